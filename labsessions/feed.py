"""Who waits for news of which user. A nudge says only that there are some: what they are is read from the store.

So an actor never waits for anybody who listens, nothing is queued for slow ones, and order, gaps and restarts are the
store's.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Feed:
    """The waiting, by user."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._of_all: list[asyncio.Event] = []

    def announce(self, user_id: str) -> None:
        """New events of this user are durable. Returns at once; costs a look-up if nobody waits."""
        for news in self._waiting.get(user_id, ()):
            news.set()
        for news in self._of_all:
            news.set()

    @contextmanager
    def watch(self, user_id: str) -> Iterator[asyncio.Event]:
        """See `ports.Record`."""
        news = asyncio.Event()
        waiting = self._waiting.setdefault(user_id, [])
        waiting.append(news)
        try:
            yield news
        finally:
            waiting.remove(news)
            if not waiting:
                del self._waiting[user_id]

    @contextmanager
    def watch_all(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever more events of anybody are stored, as long as the block lasts."""
        news = asyncio.Event()
        self._of_all.append(news)
        try:
            yield news
        finally:
            self._of_all.remove(news)

    def __len__(self) -> int:
        """For how many users somebody waits, and how many wait for everybody."""
        return len(self._waiting) + len(self._of_all)
