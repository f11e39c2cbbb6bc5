"""The stream of a user's events (Server-Sent Events), and how the last session ended. Both are read from the record."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp_sse import EventSourceResponse

from labsessions import log_lines
from labsessions.core.messages import Refusal
from labsessions.http.errors import INVALID_LAST_EVENT_ID, NONE_ENDED, OF_REFUSAL, TOO_MANY_STREAMS, RefusedError
from labsessions.http.options import ApiOptions
from labsessions.http.scopes import user_in_path
from labsessions.http.wire import success
from labsessions.ports import EngineError, Record, Span

# The one event that is not stored: some that the client has asked for are not there any more.
GAP: Final = "events.gap"

_NUMBER: Final = re.compile(r"[0-9]{1,18}")

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class StreamRoutes:
    """Handlers that read the record; without one they raise EngineError. `end` is for the shutdown."""

    def __init__(self, record: Record | None, options: ApiOptions) -> None:
        self._stored = record
        self._send_seconds = options.send_seconds
        self._open: dict[str, dict[asyncio.Event, web.Request]] = {}
        self._ended = False
        self.reconfigure(options)

    def reconfigure(self, options: ApiOptions) -> None:
        """Go by another heartbeat and another number of streams from the next stream on."""
        self._heartbeat_seconds = options.heartbeat_seconds
        self._most = options.streams_per_user

    async def last(self, request: web.Request) -> web.Response:
        """GET …/last: why and when the user's last session ended; 404 if none has."""
        user_id = user_in_path(request)
        ended = None if user_id is None else await self._record.last_ended(user_id)
        if ended is None:
            raise RefusedError(NONE_ENDED, user=user_id)
        return success(ended, "Last lab session retrieved successfully")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET …/events: what is stored after `Last-Event-ID`, and from then on each event once it is durable."""
        user_id = user_in_path(request)
        if user_id is None:
            raise RefusedError(OF_REFUSAL[Refusal.NOT_FOUND])
        seen = last_event_id(request)
        if request.method == hdrs.METH_HEAD:
            return web.Response(content_type="text/event-stream")
        # First the watch, then the reading: what is stored in between is read, and nudges once in vain.
        with self._record.watch(user_id) as news, self._place(user_id, request, news):
            span = await self._record.span()
            response = event_source(self._heartbeat_seconds, self._send_seconds)
            async with telling(request, response):
                await self._stream(response, user_id, news, await begin(response, seen, span))
        return response

    async def end(self, app: web.Application) -> None:  # noqa: ARG002 - a signal of the application
        """End all streams: the service stops."""
        self._ended = True
        for streams in self._open.values():
            for news in streams:
                news.set()

    @property
    def _record(self) -> Record:
        if self._stored is None:
            raise EngineError("nothing is recorded")
        return self._stored

    async def _stream(self, response: EventSourceResponse, user_id: str, news: asyncio.Event, seq: int) -> None:
        gone = asyncio.ensure_future(response.wait())
        gone.add_done_callback(lambda _: news.set())
        while not self._ended and not gone.done():
            news.clear()
            events = await self._record.events_after(user_id, seq)
            for event in events:
                await response.send(as_json(event.data), id=str(event.seq), event=event.type)
                seq = event.seq
            if not events:
                await news.wait()

    @contextmanager
    def _place(self, user_id: str, request: web.Request, news: asyncio.Event) -> Iterator[None]:
        """One of the streams that a user may have open; RefusedError 429 if there is none left."""
        streams = self._open.setdefault(user_id, {})
        # Of those that have gone, some have not been noticed yet: only writing to them would tell.
        if sum(other.transport is not None for other in streams.values()) >= self._most:
            raise RefusedError(TOO_MANY_STREAMS, user=user_id)
        streams[news] = request
        try:
            yield
        finally:
            del streams[news]
            if not streams:
                del self._open[user_id]


def event_source(heartbeat_seconds: float, send_seconds: float) -> EventSourceResponse:
    """The answer that a stream of events is."""
    response = EventSourceResponse(ping_interval=heartbeat_seconds, send_timeout=send_seconds)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"  # as of every answer
    return response


@asynccontextmanager
async def telling(request: web.Request, response: EventSourceResponse) -> AsyncIterator[None]:
    """Begin the answer, and end it with the block, whatever becomes of the client: it may go, or not read."""
    await response.prepare(request)
    try:
        async with response:
            yield
    except ConnectionError:
        pass  # the client has gone
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()  # it doesn't read: a proper end would wait for it
    except Exception:  # noqa: BLE001 - the head has been sent: there is no other answer any more
        _log.error(log_lines.UNHANDLED, method=request.method, path=request.rel_url.raw_path, exc_info=True)


async def begin(response: EventSourceResponse, seen: int | None, span: Span) -> int:
    """Say where the stream begins: after `seen`, or with what comes from now on; and whether anything is missing."""
    if seen is None:
        # An id without data is no event, but the client comes back with it, so that it misses nothing either.
        await response.write(f"id: {span.newest}\r\n\r\n".encode())
        return span.newest
    if span.pruned <= seen <= span.newest:
        return seen
    # Deleted since; or a number that was never given, as the data was restored from a backup.
    after = span.pruned if seen < span.pruned else span.newest
    await response.send(
        as_json({"type": GAP, "last_event_id": seen, "continues_after": after}), id=str(after), event=GAP
    )
    return after


def last_event_id(request: web.Request) -> int | None:
    """The last event that the client has seen; None if it doesn't say. RefusedError 400 for what is no number.

    The header goes first: a browser that connects again sends it, and asks for the same address as the first time.
    """
    both = (request.headers.get("Last-Event-ID"), request.query.get("last_event_id"))
    given = [each for each in both if each]
    if any(_NUMBER.fullmatch(each) is None for each in given):
        raise RefusedError(INVALID_LAST_EVENT_ID)
    return int(given[0]) if given else None


def as_json(data: Any) -> str:
    """As the data of an event."""
    return msgspec.json.encode(data).decode()
