"""The live log of this process as Server-Sent Events: `line` has a log line, `dropped` how many were lost."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp_sse import EventSourceResponse

from labsessions.http.endpoints import Answer, Endpoint, Parameter
from labsessions.http.errors import INVALID_PARAMETER, Problem, RefusedError
from labsessions.http.groups import RouteGroup
from labsessions.http.options import ApiOptions
from labsessions.http.scopes import Scope
from labsessions.http.shapes import sse_events
from labsessions.http.stream import event_source, telling
from labsessions.ports import LiveLog, LogListener

# Each costs a rendering of every line: for a few operators, not for a platform.
MOST_LISTENERS: Final = 5
# Written at once: some dozens of KiB.
_LINES_PER_WRITE: Final = 200
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

TOO_MANY_LISTENERS: Final = Problem(
    429, "too_many_listeners", f"{MOST_LISTENERS} others follow the log already", {"Retry-After": "15"}
)
LOG: Final = Endpoint(
    "GET",
    "/api/v1/admin/log",
    "Follow the log of the service (Server-Sent Events)",
    Scope.ADMIN,
    answers=(Answer(200, "The log lines from now on", "LogLines", enveloped=False),),
    problems=(INVALID_PARAMETER, TOO_MANY_LISTENERS),
    query=(
        Parameter("level", {"enum": [*_LEVELS]}, "Only lines of at least this level"),
        Parameter("user_id", {"type": "string"}, "Only lines about this user"),
        Parameter("event", {"type": "string"}, "Only lines with this in their `event`, in upper or lower case"),
    ),
)
_SCHEMA: Final = sse_events(
    'Each event is one of: `line`, a log line as a JSON object; `dropped`, `{"dropped": n}`, as the reader was too slow'
)


class LogRoutes:
    """The handler of the log. `end` is for the shutdown."""

    def __init__(self, log: LiveLog, options: ApiOptions) -> None:
        self._log = log
        self._heartbeat_seconds = options.heartbeat_seconds
        self._send_seconds = options.send_seconds
        self._open: dict[LogListener, web.Request] = {}
        self._ended = False

    def group(self) -> RouteGroup:
        """The route, to be served and described."""
        return RouteGroup(((LOG, self.follow),), schemas={"LogLines": _SCHEMA}, end=self.end)

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """GET …/log: each line from now on, until either side ends it."""
        wanted = _wanted(request.query)
        if request.method == hdrs.METH_HEAD:
            return web.Response(content_type="text/event-stream")
        with self._listener(request, wanted) as listener:
            response = event_source(self._heartbeat_seconds, self._send_seconds)
            async with telling(request, response):
                await self._stream(response, listener)
        return response

    async def end(self, app: web.Application) -> None:  # noqa: ARG002 - a signal of the application
        """End all streams: the service stops."""
        self._ended = True
        for listener in self._open:
            listener.wake()

    async def _stream(self, response: EventSourceResponse, listener: LogListener) -> None:
        gone = asyncio.ensure_future(response.wait())
        gone.add_done_callback(lambda _: listener.wake())
        while not self._ended and not gone.done():
            dropped, lines = await listener.next()
            if dropped:
                await self._write(response, [("dropped", f'{{"dropped":{dropped}}}')])
            for start in range(0, len(lines), _LINES_PER_WRITE):
                await self._write(response, [("line", line) for line in lines[start : start + _LINES_PER_WRITE]])

    async def _write(self, response: EventSourceResponse, events: list[tuple[str, str]]) -> None:
        """Many with one call: `send` makes one for each, and a busy service writes thousands of lines a second."""
        async with asyncio.timeout(self._send_seconds):
            await response.write("".join([f"event: {name}\r\ndata: {data}\r\n\r\n" for name, data in events]).encode())

    @contextmanager
    def _listener(self, request: web.Request, wanted: Callable[[Mapping[str, Any]], bool]) -> Iterator[LogListener]:
        """One of the few that there may be; RefusedError 429 if there is no room for it."""
        # Of those that have gone, some have not been noticed yet: only writing to them would tell.
        if sum(other.transport is not None for other in self._open.values()) >= MOST_LISTENERS:
            raise RefusedError(TOO_MANY_LISTENERS)
        with self._log.listen(wanted) as listener:
            self._open[listener] = request
            try:
                yield listener
            finally:
                del self._open[listener]


def _wanted(query: Mapping[str, str]) -> Callable[[Mapping[str, Any]], bool]:
    """What the query asks for. RefusedError 400 for a level that there isn't."""
    level, user, words = query.get("level"), query.get("user_id"), query.get("event", "").lower()
    if level is not None and level not in _LEVELS:
        raise RefusedError(INVALID_PARAMETER.saying(f"Parameter 'level' must be one of {', '.join(_LEVELS)}"))
    least = 0 if level is None else _LEVELS[level]

    def wanted(line: Mapping[str, Any]) -> bool:
        if _LEVELS.get(line["level"], least) < least:
            return False
        return user in (None, line.get("user")) and words in str(line["event"]).lower()

    return wanted
