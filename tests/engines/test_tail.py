"""The events of all users are read once for everybody who follows them, in order, each once."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import NOW

from actors.ids import ActorId
from actors.sqlite import SqliteStore, open_store
from actors.storage import Append, Prune, Write
from labsessions.core.projection import iso
from labsessions.engines.tables import EVENTS, schema
from labsessions.feed import Feed
from labsessions.ports import StoredEvent
from labsessions.repository import EventTail, Repository
from labsessions.repository import tail as module


class World:
    """A file, and a tail that notes which questions it asks."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.feed = Feed()
        self.asked: list[int] = []
        self.fault: Exception | None = None
        record = Repository(store.query, lambda: NOW, self.feed)
        self.tail = EventTail(self.query, record.span, self.feed)

    async def query(self, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """See `Query`."""
        self.asked.append(values[0])
        if self.fault is not None:
            raise self.fault
        return await self.store.query(sql, values)

    async def happen(self, number: int = 1, user: str = "ada") -> None:
        """So many events more, in one commit, and announced."""
        rows = [Append(EVENTS, (iso(NOW), user, "g", "session-1", "session.updated", '{"x":1}')) for _ in range(number)]
        await self.store.apply([Write(ActorId("n", user), b"", None, rows)])
        self.feed.announce(user)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """On a new file."""
    store = await open_store(folder / "db", (schema(),))
    try:
        yield World(store)
    finally:
        await store.close()


async def all_after(tail: EventTail, seq: int) -> list[int]:
    """The numbers of all events after this one, as a listener gets them."""
    found: list[int] = []
    while page := await tail.events_after(found[-1] if found else seq):
        found += [event.seq for event in page]
    return found


async def test_an_event_names_its_user(tmp_path: Path) -> None:
    """Otherwise it is what the user's own stream has."""
    async with world(tmp_path) as it:
        with it.tail.watch():
            await it.happen()
            (event,) = await it.tail.events_after(0)
    data = {"type": "session.updated", "at": iso(NOW), "user_id": "ada", "session_id": "session-1", "x": 1}
    assert event == StoredEvent(1, "session.updated", data)


async def test_each_is_read_once_for_all(tmp_path: Path) -> None:
    """One question for each news, however many listen; none without news."""
    async with world(tmp_path) as it:
        with ExitStack() as stack:
            news = [stack.enter_context(it.tail.watch()) for _ in range(5)]
            assert [await it.tail.events_after(0) for _ in news] == [[]] * 5
            it.asked.clear()
            for number in (1, 2, 3):
                await it.happen()
                assert all(each.is_set() for each in news)
                heard = [[event.seq for event in await it.tail.events_after(number - 1)] for _ in news]
                assert heard == [[number]] * 5
            assert it.asked == [0, 1, 2]


async def test_nothing_is_read_while_nobody_listens(tmp_path: Path) -> None:
    """The first one who does begins with the newest; what was before it is read for whoever asks for it."""
    async with world(tmp_path) as it:
        with it.tail.watch():
            await it.happen()
            assert await all_after(it.tail, 0) == [1]
        await it.happen(700)
        it.asked.clear()
        with it.tail.watch():
            assert (await it.tail.span()).newest == 701
            assert await it.tail.events_after(701) == []
            await it.happen()
            assert await all_after(it.tail, 701) == [702]
            assert it.asked == [701, 701]
            assert await all_after(it.tail, 0) == list(range(1, 703))


@pytest.mark.parametrize("kept", [3, 4, 1000])
@pytest.mark.parametrize("page", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
async def test_whoever_listens_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, page: int, seed: int
) -> None:
    """Also who is slow, and however little is kept: each event once, in order, to the last."""
    monkeypatch.setattr(module, "KEPT", kept)
    monkeypatch.setattr(module, "PAGE", page)
    monkeypatch.setattr(module, "_EVENTS", module._EVENTS.replace("LIMIT 200", f"LIMIT {page}"))
    rng = random.Random(seed)  # noqa: S311
    async with world(tmp_path) as it:
        with it.tail.watch(), it.tail.watch():
            seen: list[list[int]] = [[], [], []]
            for _ in range(40):
                if rng.random() < 0.6:
                    await it.happen(rng.randrange(1, 6))
                for numbers, speed in zip(seen, (1.0, 0.4, 0.05), strict=True):
                    if rng.random() < speed:
                        numbers += [event.seq for event in await it.tail.events_after(numbers[-1] if numbers else 0)]
            newest = (await it.tail.span()).newest
            for numbers in seen:
                rest = await all_after(it.tail, numbers[-1] if numbers else 0)
                assert numbers + rest == list(range(1, newest + 1))


async def test_several_who_ask_at_once_are_told_the_same(tmp_path: Path) -> None:
    """Nobody gets half of what another one is reading."""
    async with world(tmp_path) as it:
        with it.tail.watch():
            await it.tail.events_after(0)
            await it.happen(300)
            it.asked.clear()
            found = await asyncio.gather(*(it.tail.events_after(0) for _ in range(4)))
            assert [[event.seq for event in each] for each in found] == [list(range(1, 301))] * 4
            assert it.asked == [0, 200]


async def test_a_store_in_trouble_costs_no_event(tmp_path: Path) -> None:
    """Who asks is told of it, and finds all when it is well again."""
    async with world(tmp_path) as it:
        with it.tail.watch():
            await it.tail.events_after(0)
            await it.happen()
            it.fault = OSError("gone")
            with pytest.raises(OSError, match="gone"):
                await it.tail.events_after(0)
            it.fault = None
            assert await all_after(it.tail, 0) == [1]


async def test_what_is_deleted_in_the_background_is_no_gap_for_who_listens(tmp_path: Path) -> None:
    """The newest stay in memory."""
    async with world(tmp_path) as it:
        with it.tail.watch():
            await it.tail.events_after(0)
            await it.happen(3)
            assert await all_after(it.tail, 2) == [3]
            await it.store.apply([Prune(EVENTS, 3)])
            assert await all_after(it.tail, 0) == [1, 2, 3]
