"""The stream of everybody's events for operators (Server-Sent Events), with the overview every two seconds."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from aiohttp import hdrs, web
from aiohttp_sse import EventSourceResponse

from labsessions.http.errors import TOO_MANY_ADMIN_STREAMS, RefusedError
from labsessions.http.options import ApiOptions
from labsessions.http.stream import as_json, begin, event_source, last_event_id, telling
from labsessions.ports import Overview, Tail

# The one event here that is not stored, and has no id.
OVERVIEW: Final = "overview"
OVERVIEW_SECONDS: Final = 2.0
MOST_STREAMS: Final = 50


class AdminStream:
    """The handler `follow`; `end` is for the shutdown. Each stream reads on by itself: a slow one delays nobody."""

    def __init__(self, tail: Tail, overview: Overview, options: ApiOptions) -> None:
        self._tail = tail
        self._overview = overview
        self._heartbeat_seconds = options.heartbeat_seconds
        self._send_seconds = options.send_seconds
        self._open: dict[asyncio.Event, web.Request] = {}
        self._ended = False

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """GET …/stream: what is stored after `Last-Event-ID`, and from then on each event once it is durable."""
        seen = last_event_id(request)
        if request.method == hdrs.METH_HEAD:
            return web.Response(content_type="text/event-stream")
        # First the watch, then the reading: what is stored in between is read, and nudges once in vain.
        with self._tail.watch() as news, self._place(request, news):
            span = await self._tail.span()
            response = event_source(self._heartbeat_seconds, self._send_seconds)
            async with telling(request, response):
                await self._stream(response, news, await begin(response, seen, span))
        return response

    async def end(self, app: web.Application) -> None:  # noqa: ARG002 - a signal of the application
        """End all streams: the service stops."""
        self._ended = True
        for news in self._open:
            news.set()

    async def _stream(self, response: EventSourceResponse, news: asyncio.Event, seq: int) -> None:
        gone = asyncio.ensure_future(response.wait())
        gone.add_done_callback(lambda _: news.set())
        time = asyncio.get_running_loop().time
        next_overview = time()
        while not self._ended and not gone.done():
            if time() >= next_overview:
                next_overview = time() + OVERVIEW_SECONDS
                await response.send(as_json(await self._overview.current()), event=OVERVIEW)
            news.clear()
            events = await self._tail.events_after(seq)
            for event in events:
                await response.send(as_json(event.data), id=str(event.seq), event=event.type)
                seq = event.seq
            if not events:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(next_overview):
                        await news.wait()

    @contextmanager
    def _place(self, request: web.Request, news: asyncio.Event) -> Iterator[None]:
        """One of the streams that may be open; RefusedError 429 if there is none left."""
        # Of those that have gone, some have not been noticed yet: only writing to them would tell.
        if sum(other.transport is not None for other in self._open.values()) >= MOST_STREAMS:
            raise RefusedError(TOO_MANY_ADMIN_STREAMS)
        self._open[news] = request
        try:
            yield
        finally:
            del self._open[news]
