"""The events of sessions on a real file: written with the state, announced once they are durable, pruned when old."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from builders import GENERATION, NOW, OTHER_GENERATION, POLICY, User, lab

from actors.errors import CommitError
from actors.runtime import Runtime
from actors.sqlite import SqliteStore, open_store
from actors.storage import Append, Write
from actors.testing import ManualClock
from labsessions.core.messages import AttemptEnded, Clean, Create, Delete, Show, Update
from labsessions.core.model import LabChanges
from labsessions.core.projection import iso
from labsessions.core.record import EVENT_COLUMNS
from labsessions.engines.embedded import EmbeddedEngine, write_of
from labsessions.engines.tables import EVENTS, schema
from labsessions.feed import Feed
from labsessions.ports import EngineError, Span
from labsessions.repository import Repository
from labsessions.repository.record import EVENTS as EVENTS_QUERY
from labsessions.repository.record import LAST_ENDED, SPAN
from labsessions.retention import MS_PER_DAY, OLD_EVENTS, Retention

DAYS = 7


class NoCleaner:
    """For stories that end before the deadline."""

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        raise AssertionError(f"nothing is due, but {effect} was asked for")


class World(NamedTuple):
    """An engine on a file, and all that reads its events."""

    engine: EmbeddedEngine
    store: SqliteStore
    clock: ManualClock
    feed: Feed
    record: Repository
    retention: Retention
    announced: list[tuple[str, int]]
    """User, and the number of the newest event that another connection saw at that moment."""

    async def end(self, user: str, generation: str = GENERATION) -> None:
        """A session of this user begins and ends."""
        await self.engine.ask(user, Create(generation, lab(user_id=user)))
        await self.engine.ask(user, Delete())


@asynccontextmanager
async def world(path: Path) -> AsyncIterator[World]:
    """The service's parts on the file at `path`."""
    store = await open_store(path, (schema(),))
    clock = ManualClock(NOW)
    runtime = Runtime(store, clock)
    feed = Feed()
    announced: list[tuple[str, int]] = []

    def announce(user_id: str) -> None:
        announced.append((user_id, sql(path, "SELECT max(seq) AS newest FROM session_events")[0]["newest"]))
        feed.announce(user_id)

    engine = EmbeddedEngine(runtime, NoCleaner(), POLICY, announce=announce)
    record = Repository(store.query, clock.now_ms, feed)
    retention = Retention(store.query, runtime.commit, clock.now_ms, busy=lambda: False, days=DAYS)
    runtime.start()
    try:
        yield World(engine, store, clock, feed, record, retention, announced)
    finally:
        await runtime.stop(0)


def sql(path: Path, statement: str) -> list[dict[str, Any]]:
    """What another connection sees."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(found) for found in database.execute(statement)]


async def told(record: Repository, user: str, seq: int = 0) -> list[tuple[int, str]]:
    """Numbers and types of the user's events after `seq`."""
    return [(event.seq, event.type) for event in await record.events_after(user, seq)]


async def test_events_stand_in_the_order_of_the_commits(tmp_path: Path) -> None:
    """Each with its instant, its session and its data; what changes nothing tells nothing."""
    async with world(tmp_path / "db") as it:
        await it.engine.ask("a", Create(GENERATION, lab(user_id="a")))
        it.clock.advance(1)
        await it.engine.ask("b", Create(OTHER_GENERATION, lab(user_id="b")))
        await it.engine.ask("a", Update(LabChanges(duration=61)))
        await it.engine.ask("a", Show())
        await it.engine.ask("a", Delete())
        await it.engine.ask("a", Delete())  # not found
        assert await told(it.record, "a") == [(1, "session.created"), (3, "session.updated"), (4, "session.ended")]
        assert await told(it.record, "b") == [(2, "session.created")]
        assert (await it.record.events_after("a", 3))[0].data == {
            "type": "session.ended",
            "at": iso(NOW + 1),
            "session_id": "session-1",
            "reason": "deleted",
            "attempts": 0,
            "lateness_seconds": None,
        }
    (last,) = sql(tmp_path / "db", "SELECT * FROM session_events WHERE seq = 4")
    assert last["generation"] == GENERATION
    assert json.loads(last["data"])["reason"] == "deleted"


@pytest.mark.parametrize(("after", "numbers"), [(0, [1, 3, 4]), (1, [3, 4]), (2, [3, 4]), (3, [4]), (4, []), (9, [])])
async def test_reading_goes_on_after_a_number(tmp_path: Path, after: int, numbers: list[int]) -> None:
    """Whoever's number it is: one before, the same, one after."""
    async with world(tmp_path / "db") as it:
        await it.engine.ask("a", Create(GENERATION, lab(user_id="a")))
        await it.engine.ask("b", Create(OTHER_GENERATION, lab(user_id="b")))
        await it.engine.ask("a", Update(LabChanges(duration=61)))
        await it.engine.ask("a", Delete())
        assert [seq for seq, _ in await told(it.record, "a", after)] == numbers


async def test_news_are_announced_once_they_can_be_read(tmp_path: Path) -> None:
    """After the commit, for each commit with events, and to nobody for a mere question."""
    async with world(tmp_path / "db") as it:
        with it.feed.watch("a") as news, it.feed.watch("b") as others:
            await it.engine.ask("a", Create(GENERATION, lab(user_id="a")))
            assert news.is_set()
            assert not others.is_set()
            await it.engine.ask("a", Show())
            await it.engine.ask("a", Delete())
        assert it.announced == [("a", 1), ("a", 2)]
        assert len(it.feed) == 0


async def test_what_was_not_stored_is_not_told(tmp_path: Path) -> None:
    """A commit that fails leaves neither state nor event, and nobody hears of it."""
    async with world(tmp_path / "db") as it:
        sql(tmp_path / "db", "CREATE TRIGGER full BEFORE INSERT ON session_events BEGIN SELECT raise(FAIL, 'no'); END")
        with pytest.raises(EngineError):
            await it.engine.ask("a", Create(GENERATION, lab(user_id="a")))
        assert it.announced == []
        assert await told(it.record, "a") == []
    assert sql(tmp_path / "db", "SELECT * FROM labs_sessions") == []


def old_event(at_ms: int, user: str = "a") -> Write:
    """An event of then, without a session."""
    user_state = User().create(user_id=user)
    values = dict.fromkeys(EVENT_COLUMNS, "x") | {"at": iso(at_ms), "user_id": user, "data": "{}"}
    write = write_of(user, user_state.state, (), NOW, before=user_state.state)
    return Write(write.actor_id, write.cell, write.alarm, [Append(EVENTS, tuple(values.values()))])


@pytest.mark.parametrize(
    ("age_ms", "kept"),
    [
        (DAYS * MS_PER_DAY + 1, False),
        (DAYS * MS_PER_DAY, True),
        (DAYS * MS_PER_DAY - 1, True),
        (0, True),
        (-DAYS * MS_PER_DAY, True),
        (-DAYS * MS_PER_DAY - 1, False),
    ],
)
async def test_events_are_kept_as_long_as_they_should(tmp_path: Path, age_ms: int, *, kept: bool) -> None:
    """Not a millisecond less. One that a clock has dated further ahead would keep all others: it is old."""
    async with world(tmp_path / "db") as it:
        await it.store.apply([old_event(NOW - age_ms)])
        assert await it.retention.prune() is not kept
        assert len(await told(it.record, "a")) == kept
        assert await it.record.span() == Span(0 if kept else 1, 1)


async def test_only_the_beginning_is_pruned(tmp_path: Path) -> None:
    """What is old but behind a newer event stays until that one goes: so no number is missing in between."""
    old, new = old_event(NOW - DAYS * MS_PER_DAY - 1), old_event(NOW)
    async with world(tmp_path / "db") as it:
        for each in (old, old, new, old):
            await it.store.apply([each])
        assert await it.retention.prune()
        assert [seq for seq, _ in await told(it.record, "a")] == [3, 4]
        assert await it.record.span() == Span(2, 4)
        assert not await it.retention.prune()


@pytest.mark.parametrize("number", [OLD_EVENTS.batch - 1, OLD_EVENTS.batch, OLD_EVENTS.batch + 1])
async def test_pruning_goes_in_batches(tmp_path: Path, number: int) -> None:
    """So that nobody waits long for the writer; the last batch is followed by none."""
    async with world(tmp_path / "db") as it:
        for _ in range(number):
            await it.store.apply([old_event(0)])
        batches = 0
        while await it.retention.prune():
            batches += 1
        assert batches == -(-number // OLD_EVENTS.batch)
        assert await it.record.span() == Span(number, number)


async def test_pruning_survives_a_store_in_trouble(tmp_path: Path) -> None:
    """It reports the failure as one, and nothing is gone."""
    async with world(tmp_path / "db") as it:
        await it.store.apply([old_event(0)])
        sql(tmp_path / "db", "CREATE TRIGGER held BEFORE DELETE ON session_events BEGIN SELECT raise(FAIL, 'no'); END")
        with pytest.raises(CommitError):
            await it.retention.prune()
        assert await it.record.span() == Span(0, 1)


async def test_the_span_of_what_is_stored(tmp_path: Path) -> None:
    """Nothing ever; some; all of it pruned."""
    async with world(tmp_path / "db") as it:
        assert await it.record.span() == Span(0, 0)
        await it.end("a")
        assert await it.record.span() == Span(0, 2)
        it.clock.advance(DAYS * MS_PER_DAY + 1)
        await it.retention.prune()
        assert await it.record.span() == Span(2, 2)


async def test_the_last_session_that_ended(tmp_path: Path) -> None:
    """Of this user, by the instant of its end; of two in the same millisecond the later one."""
    async with world(tmp_path / "db") as it:
        assert await it.record.last_ended("a") is None
        await it.end("a")
        await it.end("b", generation="f" * 36)
        await it.engine.ask("a", Create(OTHER_GENERATION, lab(user_id="a", id="session-2")))
        first = await it.record.last_ended("a")
        await it.engine.ask("a", Delete())
        second = await it.record.last_ended("a")
    assert first == {
        "id": "session-1",
        "labId": "lab-1",
        "created_at": iso(NOW),
        "expires_at": iso(NOW + 3_600_000),
        "ended_at": iso(NOW),
        "reason": "deleted",
        "attempts": 0,
        "lateness_seconds": None,
    }
    assert second == {**first, "id": "session-2"}


@pytest.mark.parametrize("query", [EVENTS_QUERY, LAST_ENDED, SPAN])
async def test_no_question_reads_a_table(tmp_path: Path, query: str) -> None:
    """Each costs the same with a million rows."""
    async with world(tmp_path / "db") as it:
        plan = [
            row["detail"] for row in await it.store.query(f"EXPLAIN QUERY PLAN {query}", ("a", 1)[: query.count("?")])
        ]
    looks = [str(line) for line in plan if "session_" in str(line) and "sqlite_sequence" not in str(line)]
    assert looks
    assert all(line.startswith("SEARCH") for line in looks), plan
