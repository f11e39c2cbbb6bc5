"""The HTTP server beneath the door: what isn't even HTTP is answered, too, as any failure, and hardly logged.

aiohttp's own way quotes what was sent in its answer, where others may read it, and in a traceback, one for each
request: whoever sends rubbish would fill the disk, and a header with a token in it would stand in the log.
"""

import asyncio
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from labsessions import log_lines
from labsessions.http.door import request_id_of
from labsessions.http.errors import HEAD_TOO_LARGE, INTERNAL, MALFORMED, Problem
from labsessions.http.headers import REQUEST_ID, SECURITY
from labsessions.http.wire import failure

# Lines about what isn't HTTP: enough to see that there is trouble and whence, for people; the others are counted.
LINES: Final = 10
PERIOD_SECONDS: Final = 60.0

_TOO_MANY: Final = "Too many headers"
_TLS: Final = "Received HTTPS"
_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Runner(web.AppRunner):
    """A runner whose connections are `Connection`s; keywords as for those."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)


class _Server(web.Server):
    def __init__(self, handler: Any, *, request_factory: Any, access_log_class: Any, **settings: Any) -> None:
        super().__init__(handler, request_factory=request_factory)
        self._settings = {**settings, "access_log_class": access_log_class}
        self._lines = Sparingly()

    def __call__(self) -> web.RequestHandler:
        return Connection(self, self._lines, loop=asyncio.get_running_loop(), **self._settings)


class Sparingly:
    """So many log lines in a period, of all connections together."""

    def __init__(self, lines: int = LINES, seconds: float = PERIOD_SECONDS) -> None:
        self._lines = lines
        self._seconds = seconds
        self._ends = 0.0
        self._said = 0
        self._unsaid = 0

    def may_say(self, now: float) -> int | None:
        """How many were left out before this one, if it may be said; None if it may not. `now` is in seconds."""
        if now >= self._ends:
            self._ends, self._said = now + self._seconds, 0
        if self._said >= self._lines:
            self._unsaid += 1
            return None
        self._said += 1
        unsaid, self._unsaid = self._unsaid, 0
        return unsaid


class Connection(web.RequestHandler):
    """One client's connection."""

    __slots__ = ("_lines",)

    def __init__(self, server: web.Server, lines: Sparingly, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._lines = lines

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what no handler has answered; then the connection is closed, as what follows means nothing."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer has been sent")
        request_id = request_id_of(request)
        if status == MALFORMED.status:
            problem = _problem(exc, message or "")
            self._say(request, problem, request_id)
        else:
            problem = INTERNAL
            _log.error(log_lines.UNHANDLED, request_id=request_id, exc_info=exc)
        answer = failure(problem, request_id)
        answer.headers.update({REQUEST_ID: request_id, **SECURITY})
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What goes wrong behind the answer; of a body that cannot be read, the refusal has said all."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def _say(self, request: web.BaseRequest, problem: Problem, request_id: str) -> None:
        unsaid = self._lines.may_say(asyncio.get_running_loop().time())
        if unsaid is None:
            return
        fields: dict[str, Any] = {"status": problem.status, "reason": problem.text, "remote": request.remote}
        if unsaid:
            fields["not_logged"] = unsaid
        _log.warning(log_lines.REFUSED, **fields, request_id=request_id)


def _problem(exc: BaseException | None, message: str) -> Problem:
    if isinstance(exc, LineTooLong) or message.startswith(_TOO_MANY):
        return HEAD_TOO_LARGE
    if isinstance(exc, BadHttpMethod) and message.startswith(_TLS):
        return MALFORMED.saying(f"{MALFORMED.text}: HTTPS was spoken where HTTP is")
    return MALFORMED
