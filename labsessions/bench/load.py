"""The load client: HTTP/1.1 over raw connections, kept alive, one request in flight on each.

aiohttp's own client costs more per request than the servers that are measured here, so this one does only what a
measurement needs: request bytes come ready-made, of an answer it takes status and body. It judges no answer.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

_HEAD_END: Final = b"\r\n\r\n"
_STATUS: Final = slice(9, 12)  # HTTP/1.1 200 OK
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
NO_CONTENT: Final = 204
HTTP_PORT: Final = 80
IDLE_SECONDS: Final = 10.0  # the servers that are measured here wait at least for 75


class LoadError(Exception):
    """A request got no answer, or none that can be read; the text says which."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


Done = Callable[[Answer | LoadError], None]


class AnswerReader:
    """Bytes in, answers out; for one answer at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_at = 0
        self._end = 0  # where the answer ends, 0 as long as its head isn't complete

    def feed(self, data: bytes) -> Answer | None:
        """The answer if `data` completes it. Raises LoadError for an answer without a length, and for two at once."""
        buffer = self._buffer
        buffer += data
        if not self._end:
            head = buffer.find(_HEAD_END)
            if head < 0:
                return None
            self._body_at = head + len(_HEAD_END)
            self._end = self._body_at + self._length(head)
        if len(buffer) < self._end:
            return None
        if len(buffer) > self._end:
            raise LoadError("more came than one answer")
        answer = Answer(int(buffer[_STATUS]), bytes(buffer[self._body_at :]))
        buffer.clear()
        self._end = 0
        return answer

    def _length(self, head: int) -> int:
        found = _LENGTH.search(self._buffer, 0, head)
        if found is not None:
            return int(found[1])
        if int(self._buffer[_STATUS]) == NO_CONTENT:
            return 0
        raise LoadError("an answer came without Content-Length")


class Connection(asyncio.Protocol):
    """One connection. `send` the next request only when the last one is done."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._done: Done | None = None
        self._transport: asyncio.WriteTransport | None = None

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None

    def send(self, request: bytes, done: Done) -> None:
        """Send it; `done` is called once, with the answer or with why there is none."""
        if self._transport is None:
            done(LoadError("the server has closed the connection"))
            return
        self._done = done
        self._transport.write(request)

    def close(self) -> None:
        """Close it. Harmless if repeated."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`. uvloop's transports are no `asyncio.WriteTransport` by their type."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            answer = self._reader.feed(data)
        except LoadError as error:
            self.close()
            self._finish(error)
        else:
            if answer is not None:
                self._finish(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        self._finish(LoadError(f"the connection was lost: {exc or 'closed by the server'}"))

    def _finish(self, outcome: Answer | LoadError) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)


async def connect(url: str) -> Connection:
    """A new connection to the server at `http://host:port`. Raises LoadError if it can't be made."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or HTTP_PORT
    try:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
    except OSError as error:
        raise LoadError(f"no connection to {url}: {error}") from error
    return connection


class Pool:
    """As many connections as are needed at the same time, kept for the next request.

    One that was idle for `IDLE_SECONDS` is not used again: the server may be closing it at this very moment.
    """

    def __init__(self, url: str, clock: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._clock = clock
        self._idle: deque[tuple[Connection, float]] = deque()  # since when; the longest first

    async def ask(self, request: bytes) -> Answer:
        """The answer to one request. Raises LoadError if there is none."""
        connection = await self._connection()
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(outcome: Answer | LoadError) -> None:
            if waiting.done():  # whoever asked has been cancelled
                return
            if isinstance(outcome, LoadError):
                waiting.set_exception(outcome)
            else:
                waiting.set_result(outcome)

        connection.send(request, done)
        try:
            answer = await waiting
        except BaseException:
            connection.close()
            raise
        self._idle.append((connection, self._clock()))
        return answer

    async def _connection(self) -> Connection:
        while self._idle and self._idle[0][1] + IDLE_SECONDS <= self._clock():
            self._idle.popleft()[0].close()
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.is_open:
                return connection
        return await connect(self._url)

    def close(self) -> None:
        """Close the idle connections."""
        for connection, _ in self._idle:
            connection.close()
        self._idle.clear()
