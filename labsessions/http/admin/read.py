"""The routes that operators look at: their questions to the ports, answers into the envelope."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, Final

from aiohttp import web

from labsessions.http.admin import endpoints_read, questions
from labsessions.http.admin.parameters import Given, Taken, cursor_of, read
from labsessions.http.endpoints import Endpoint
from labsessions.http.errors import BUSY, INVALID_PARAMETER, RefusedError
from labsessions.http.scopes import user_in_path
from labsessions.http.wire import success
from labsessions.ports import BusyError, Key, Overview, Survey

WEEK_MS: Final = 7 * 86_400_000
_ENDED: Final = "ended_at"
_NOTHING: Final[dict[str, Any]] = {"session": None, "owed": [], "events": [], "last_ended": None}

Show = Callable[["ReadRoutes", web.Request, dict[str, Any]], Awaitable[dict[str, Any]]]
Handle = Callable[["ReadRoutes", web.Request], Awaitable[web.Response]]


def _answers(endpoint: Endpoint, taken: Sequence[Taken] = ()) -> Callable[[Show], Handle]:
    """A handler of the endpoint, with these parameters, of a method that returns what goes into the envelope."""
    ((_, message, *_),) = endpoint.answers

    def made(show: Show) -> Handle:
        @wraps(show)
        async def handle(routes: "ReadRoutes", request: web.Request) -> web.Response:
            asked = read(request, taken)
            try:
                return success(await show(routes, request, asked), message)
            except BusyError as error:
                raise RefusedError(BUSY.saying(str(error))) from error

        return handle

    return made


class ReadRoutes:
    """Handlers of the routes in `endpoints_read`, but for the stream."""

    def __init__(self, survey: Survey, overview: Overview, now_ms: Callable[[], int]) -> None:
        self._survey = survey
        self._overview = overview
        self._now_ms = now_ms

    @_answers(endpoints_read.OVERVIEW)
    async def overview(self, _: web.Request, __: dict[str, Any]) -> dict[str, Any]:
        """GET …/overview."""
        return await self._overview.current()

    @_answers(endpoints_read.EXPIRIES, questions.EXPIRIES)
    async def expiries(self, _: web.Request, asked: dict[str, Any]) -> dict[str, Any]:
        """GET …/expiries."""
        return await self._survey.expiries(asked["hours"])

    @_answers(endpoints_read.SESSIONS, questions.SESSIONS)
    async def sessions(self, _: web.Request, asked: dict[str, Any]) -> dict[str, Any]:
        """GET …/sessions."""
        if asked["overdue"] and asked["ending_within"] is not None:
            raise RefusedError(
                INVALID_PARAMETER.saying("Query parameter 'ending_within' must be absent with overdue=true, got both")
            )
        order, given = asked["order"], asked["cursor"]
        after = Key("", "") if given is None else given.of(order)
        page = await self._survey.sessions(questions.which(asked), order, asked["limit"], after)
        return {"sessions": page.items, "next_cursor": cursor_of(order, page.next), "total": page.total}

    @_answers(endpoints_read.USER)
    async def user(self, request: web.Request, _: dict[str, Any]) -> dict[str, Any]:
        """GET …/sessions/{user_id}: also of a user who has no session, and of nobody."""
        user_id = user_in_path(request)
        return _NOTHING if user_id is None else await self._survey.user(user_id)

    @_answers(endpoints_read.EVENTS, questions.EVENTS)
    async def events(self, request: web.Request, asked: dict[str, Any]) -> dict[str, Any]:
        """GET …/sessions/{user_id}/events."""
        user_id, limit = user_in_path(request), asked["limit"]
        events = [] if user_id is None else await self._survey.events(user_id, asked["before"], limit + 1)
        more, events = len(events) > limit, events[:limit]
        return {"events": events, "next_before": events[-1]["seq"] if more else None}

    @_answers(endpoints_read.HISTORY, questions.HISTORY)
    async def history(self, _: web.Request, asked: dict[str, Any]) -> dict[str, Any]:
        """GET …/history."""
        _require_order(asked)
        given: Given | None = asked["cursor"]
        before = None if given is None else given.of(_ENDED, numbered=True)
        page = await self._survey.history(questions.ended(asked), asked["limit"], before)
        return {"ended": page.items, "next_cursor": cursor_of(_ENDED, page.next)}

    @_answers(endpoints_read.ANALYTICS, questions.ANALYTICS)
    async def analytics(self, _: web.Request, asked: dict[str, Any]) -> dict[str, Any]:
        """GET …/analytics."""
        _require_order(asked)
        until_ms = self._now_ms() + 1 if asked["until"] is None else asked["until"]
        since_ms = until_ms - WEEK_MS if asked["since"] is None else asked["since"]
        return {"rows": await self._survey.analytics(since_ms, until_ms, asked["by"])}

    @_answers(endpoints_read.FAILURES)
    async def failures(self, _: web.Request, __: dict[str, Any]) -> dict[str, Any]:
        """GET …/failures."""
        return {"groups": await self._survey.failures()}


def _require_order(asked: dict[str, Any]) -> None:
    since_ms, until_ms = asked["since"], asked["until"]
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise RefusedError(INVALID_PARAMETER.saying("Query parameter 'until' must be later than 'since'"))
