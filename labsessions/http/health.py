"""Routes for whoever watches the service: `/health`, its live and ready variants, and the overview at `/`."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from labsessions.core.projection import iso
from labsessions.http.endpoints import Endpoint
from labsessions.http.options import ApiOptions
from labsessions.http.wire import json_answer
from labsessions.ports import Readiness, Sessions

SERVICE = "lab-sessions-api"


class HealthRoutes:
    """Handlers of `/health*`; they need no token and never wait for a session."""

    def __init__(self, sessions: Sessions, readiness: Readiness) -> None:
        self._sessions = sessions
        self._readiness = readiness

    async def health(self, _: web.Request) -> web.Response:
        """200 as long as the service answers; `problems` only if readiness knows any."""
        body: dict[str, Any] = {
            "status": "healthy",
            "service": SERVICE,
            "timestamp": iso(self._sessions.now_ms()),
        }
        if problems := (await self._readiness.check()).get("problems"):
            body["problems"] = problems
        return json_answer(body)

    async def live(self, _: web.Request) -> web.Response:
        """200: the event loop turns. A supervisor restarts the service if this stays away."""
        return json_answer({"status": "alive"})

    async def ready(self, _: web.Request) -> web.Response:
        """200 or 503, with all that readiness knows."""
        state = await self._readiness.check()
        return json_answer(state, 200 if state["ready"] else 503)


class Overview:
    """The handler of `/`: what this service is, what it offers, what it lacks."""

    def __init__(self, options: ApiOptions, endpoints: Iterable[Endpoint]) -> None:
        self._body = {
            "service": SERVICE,
            "version": options.version,
            "endpoints": [endpoint.listed() for endpoint in endpoints],
        }
        self.reconfigure(options)

    def reconfigure(self, options: ApiOptions) -> None:
        """Say that something else is missing from now on."""
        self._body["not_configured"] = options.not_configured

    async def show(self, _: web.Request) -> web.Response:
        """200, the same as long as the settings are."""
        return json_answer(self._body)
