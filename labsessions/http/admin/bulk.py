"""Another attempt now for many users: a preview first, then so many and no others.

Nothing is forced: an attempt that is due goes at the pace of admission, as a retry after everybody's first one.
"""

import asyncio
from typing import Any, Final

import structlog
from aiohttp import web

from labsessions import log_lines
from labsessions.core.audit import DONE, Entry
from labsessions.core.messages import Affected, Refusal, RetryNow
from labsessions.http.admin.operator import REASON, Body, operator
from labsessions.http.checks import FILLED, USER_ID, array_of, boolean, integer, one_of
from labsessions.http.errors import COUNT_CHANGED, RefusedError
from labsessions.http.wire import success
from labsessions.log_lines import bound_logger
from labsessions.ports import Audit, EngineError, Sessions, Waiting

# Users who are asked at once: their writes share a commit or two, and others get their turn in between.
SLICE: Final = 100
_MOST: Final = 2**31 - 1
RETRY_MANY: Final = Body(
    {
        "dry_run": boolean(),
        "status": one_of("cleaning", "stuck"),
        "error": FILLED,
        "user_ids": array_of(USER_ID),
        "expected": integer(0, _MOST),
        "reason": REASON,
    },
    required=("dry_run",),
)
_ACTION: Final = "retry_many"
_NONE: Final = {"retried": 0, "running": 0, "failed": 0}


class BulkRoutes:
    """The handler of `/api/v1/admin/retry`."""

    def __init__(self, sessions: Sessions, waiting: Waiting, audit: Audit, body_seconds: float) -> None:
        self._sessions = sessions
        self._waiting = waiting
        self._audit = audit
        self._body_seconds = body_seconds
        self._log: structlog.stdlib.BoundLogger = bound_logger()

    async def retry(self, request: web.Request) -> web.Response:
        """POST: whom the filter matches, and unless it is a dry run, their next attempt is due now."""
        body = await RETRY_MANY.read(request, self._body_seconds)
        who, reason = operator(request), body.pop("reason", None)
        dry_run, expected = body.pop("dry_run"), body.pop("expected", None)
        users = await self._waiting.users(body.get("status"), body.get("error"), body.get("user_ids"))
        figures = _NONE if dry_run else await self._retry(users, expected, who, reason, body)
        return success({"matched": len(users), **figures, "dry_run": dry_run}, "Waiting cleanups matched")

    async def _retry(
        self, users: list[str], expected: int | None, who: str, reason: str | None, of: dict[str, Any]
    ) -> dict[str, int]:
        """RefusedError if another number than this was expected. In the audit before anything is done, and after."""

        async def note(outcome: str, **figures: int) -> None:
            detail = {**of, "matched": len(users), **figures}
            await self._audit.note(Entry(who=who, action=_ACTION, outcome=outcome, reason=reason, detail=detail))
            self._log.info(log_lines.OPERATED, who=who, action=_ACTION, reason=reason, outcome=outcome, **figures)

        if expected is not None and expected != len(users):
            await note(COUNT_CHANGED.code, expected=expected)
            raise RefusedError(COUNT_CHANGED.saying(f"{len(users)} users match by now, not {expected}"))
        await note("begun")
        figures = dict(_NONE)
        for start in range(0, len(users), SLICE):
            for figure in await asyncio.gather(*[self._one(user) for user in users[start : start + SLICE]]):
                if figure is not None:
                    figures[figure] += 1
            await asyncio.sleep(0)
        await note(DONE, **figures)
        return figures

    async def _one(self, user: str) -> str | None:
        """Which figure it counts for; none if nothing waits there any more."""
        try:
            reply = await self._sessions.ask(user, RetryNow())
        except EngineError as error:
            self._log.warning(log_lines.REFUSED, user=user, reason=str(error))
            return "failed"
        if isinstance(reply, Affected):
            return "retried"
        return "running" if reply is Refusal.ATTEMPT_RUNNING else None
