"""Cleanups held back for a while by an operator, and let go on."""

from typing import Any, Final

from aiohttp import web

from labsessions.core.model import duration_ms
from labsessions.core.projection import iso
from labsessions.http.admin.operator import REASON, Body, operator
from labsessions.http.checks import INSTANT, Schema, minutes
from labsessions.http.errors import INVALID_FIELD, MISSING_FIELDS, NOT_PAUSED, RefusedError
from labsessions.http.extension import instant_ms
from labsessions.http.wire import success
from labsessions.ports import Pauses, Sessions

# Who pauses for longer has forgotten it: VMs would run for days.
LONGEST_MINUTES: Final = 1440
PAUSE: Final = Body(
    {"minutes": minutes(LONGEST_MINUTES), "until": INSTANT, "reason": REASON},
    required=("reason",),
)
RESUME: Final = Body({})
SCHEMA: Final[Schema] = {
    **PAUSE.schema,
    "oneOf": [
        {"required": ["minutes"], "properties": {"minutes": {"type": "number"}}},
        {"required": ["until"], "properties": {"until": {"type": "string"}}},
    ],
}
"""What POST takes: one of the two, and why."""


class PauseRoutes:
    """Handlers of `/api/v1/admin/pause` and `…/resume`."""

    def __init__(self, sessions: Sessions, pauses: Pauses, body_seconds: float) -> None:
        self._now_ms = sessions.now_ms
        self._pauses = pauses
        self._body_seconds = body_seconds

    async def show(self, _: web.Request) -> web.Response:
        """GET: the pause that is on, or null."""
        return success(self._seen(), "Pause retrieved successfully")

    async def begin(self, request: web.Request) -> web.Response:
        """POST /pause: no cleanup attempt begins until then; a pause that is on is replaced."""
        body = await PAUSE.read(request, self._body_seconds)
        await self._pauses.begin(self._until_ms(body), body["reason"], operator(request))
        return success(self._seen(), "Cleanups are paused")

    async def end(self, request: web.Request) -> web.Response:
        """POST /resume: they go on, at the usual pace; 409 if they are not paused."""
        await RESUME.read(request, self._body_seconds)
        if not await self._pauses.end(operator(request)):
            raise RefusedError(NOT_PAUSED)
        return success(self._seen(), "Cleanups go on")

    def _until_ms(self, body: dict[str, Any]) -> int:
        now_ms = self._now_ms()
        match body:
            case {"minutes": _, "until": _}:
                text = "Field 'until' must be absent where 'minutes' is given, got both"
                raise RefusedError(INVALID_FIELD.saying(text))
            case {"minutes": length}:
                return now_ms + duration_ms(length)
            case {"until": until}:
                until_ms = instant_ms(until)
                if not now_ms < until_ms <= now_ms + duration_ms(LONGEST_MINUTES):
                    text = f"Field 'until' must be later than now, and by {LONGEST_MINUTES} minutes at most"
                    raise RefusedError(INVALID_FIELD.saying(text))
                return until_ms
            case _:
                raise RefusedError(MISSING_FIELDS.saying("Missing required fields: minutes or until"))

    def _seen(self) -> dict[str, Any]:
        paused = self._pauses.current
        if paused is None:
            return {"paused": None}
        return {
            "paused": {
                "since": iso(paused.since_ms),
                "until": iso(paused.until_ms),
                "remaining_seconds": max(0, paused.until_ms - self._now_ms()) / 1000,
                "reason": paused.reason,
                "by": paused.by,
            }
        }
