"""`ports.Tail`: the newest events are kept in memory while somebody follows them, so that each is read once.

Nobody has a queue. Who follows too slowly, or has been away, reads from the store what isn't kept any more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import msgspec

from labsessions.feed import Feed
from labsessions.ports import Span, StoredEvent
from labsessions.repository.query import Query

KEPT: Final = 1_000
PAGE: Final = 200
_EVENTS: Final = f"""
SELECT seq, type, at, user_id, session_id, data FROM session_events WHERE seq > ? ORDER BY seq LIMIT {PAGE}
"""  # noqa: S608 - a number of our own


class EventTail:
    """`span` tells which events are stored; `feed` is where news are announced."""

    def __init__(self, query: Query, span: Callable[[], Awaitable[Span]], feed: Feed) -> None:
        self._span = span
        self._query = query
        self._feed = feed
        self._turn = asyncio.Lock()
        self._watch = ExitStack()
        self._listeners = 0
        self._news = asyncio.Event()
        # All events after the number `_after`, up to `_newest`; None: not known yet.
        self._kept: deque[StoredEvent] = deque()
        self._after: int | None = None
        self._newest = 0

    @contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """See `ports.Tail`."""
        if not self._listeners:  # nothing was read since the last one has gone
            self._news = self._watch.enter_context(self._feed.watch_all())
            self._kept.clear()
            self._after = None
        self._listeners += 1
        try:
            with self._feed.watch_all() as news:
                yield news
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._watch.close()

    async def span(self) -> Span:
        """See `ports.Tail`."""
        return await self._span()

    async def events_after(self, seq: int) -> list[StoredEvent]:
        """See `ports.Tail`."""
        async with self._turn:
            after = await self._read_on()
            if seq >= after:
                return self._kept_after(seq)
        return await self._read(seq)

    async def _read_on(self) -> int:
        """Keep what is new; the number after which everything is kept."""
        if self._after is None:
            self._news.set()
            self._after = self._newest = (await self._span()).newest
        while self._news.is_set():
            self._news.clear()
            try:
                page = await self._read(self._newest)
            except BaseException:
                self._news.set()
                raise
            for event in page:
                self._kept.append(event)
                self._newest = event.seq
                if len(self._kept) > KEPT:
                    self._after = self._kept.popleft().seq
            if len(page) == PAGE:  # there may be more
                self._news.set()
        return self._after

    def _kept_after(self, seq: int) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        for event in reversed(self._kept):
            if event.seq <= seq:
                break
            found.append(event)
        return found[::-1]

    async def _read(self, seq: int) -> list[StoredEvent]:
        return [_event(**row) for row in await self._query(_EVENTS, (seq,))]


def _event(seq: int, type: str, at: str, user_id: str, session_id: str, data: str) -> StoredEvent:  # noqa: A002 - the column's name
    told = {"type": type, "at": at, "user_id": user_id, "session_id": session_id, **msgspec.json.decode(data)}
    return StoredEvent(seq, type, told)
