"""The contract of `storage.Store`, for every implementation: the SQLite file and the fake in memory alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from actor_kit import cell_of, toy_id

from actors.schema import Schema
from actors.sqlite import open_store
from actors.storage import Alarm, Column, Deferral, DueAlarm, Lane, Operation, Put, Remove, Store, Table, Write
from actors.testing import MemoryStore

SHOWN = Table("shown", ("name", "value", "note"), key=("name",))
SCHEMA = Schema("toys", ("CREATE TABLE shown (name TEXT PRIMARY KEY, value INTEGER NOT NULL, note TEXT) STRICT",))


@dataclass
class Medium:
    """A store with the means to look at its projected rows and to make a batch fail."""

    store: Store
    rows: Callable[[], Awaitable[list[dict[str, Column]]]]
    spoil: Callable[[list[Operation]], list[Operation]]


@pytest.fixture(params=["memory", "sqlite"])
async def medium(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Medium]:
    """Each implementation in turn."""
    if request.param == "memory":
        memory = MemoryStore()

        async def memory_rows() -> list[dict[str, Column]]:
            return sorted(memory.disk.rows("shown"), key=lambda row: str(row["name"]))

        def fail_next(operations: list[Operation]) -> list[Operation]:
            memory.fail(1)
            return operations

        yield Medium(memory, memory_rows, fail_next)
        await memory.close()
        return

    sqlite = await open_store(tmp_path / "toys.db", (SCHEMA,))

    async def sqlite_rows() -> list[dict[str, Column]]:
        return await sqlite.query("SELECT * FROM shown ORDER BY name")

    def with_poison(operations: list[Operation]) -> list[Operation]:
        return [*operations, save("poison", rows=(Put(SHOWN, ("poison", None, None)),))]

    yield Medium(sqlite, sqlite_rows, with_poison)
    await sqlite.close()


def save(name: str, alarm: Alarm | None = None, cell: bytes = b"cell", rows: tuple[Put | Remove, ...] = ()) -> Write:
    """A write of the toy `name`."""
    return Write(toy_id(name), cell, alarm, rows)


def due(name: str, due_ms: int, lane: Lane = Lane.FIRST, deferrals: int = 0) -> DueAlarm:
    """What the index shows of the alarm of the toy `name`."""
    return DueAlarm(toy_id(name), due_ms, lane, deferrals)


async def test_a_cell_comes_back_as_it_was_written(medium: Medium) -> None:
    """KV-01: nothing before the first write, then the bytes of the last one, whatever they are."""
    assert await cell_of(medium.store, toy_id("a")) is None
    for cell in (bytes(range(256)), b"", b"last"):
        await medium.store.apply([save("a", cell=cell)])
        assert await cell_of(medium.store, toy_id("a")) == cell
    assert await cell_of(medium.store, toy_id("b")) is None
    assert await cell_of(medium.store, toy_id("a")._replace(namespace="others")) is None


async def test_names_are_kept_as_they_are(medium: Medium) -> None:
    """Names that differ at all are different actors: case, spaces, quotes, look-alikes, other planes."""
    names = ["a", "A", " a", "a ", "ä", "a\u0308", "'", '"', "%", "naïve/🚀", ""]
    await medium.store.apply([save(name, cell=name.encode()) for name in names])

    assert [await cell_of(medium.store, toy_id(name)) for name in names] == [name.encode() for name in names]


async def test_erasing_leaves_nothing(medium: Medium) -> None:
    """DA-01, DA-02: a write without a cell removes cell and alarm; erasing what isn't there is harmless."""
    await medium.store.apply([save("a", Alarm(5, Lane.FIRST)), save("b", Alarm(6, Lane.FIRST))])
    for _ in range(2):
        await medium.store.apply([Write(toy_id("a"), cell=None, alarm=None)])

        assert await cell_of(medium.store, toy_id("a")) is None
        assert await medium.store.alarms(Lane.FIRST, 10) == [due("b", 6)]


async def test_a_failing_batch_leaves_nothing(medium: Medium) -> None:
    """WC-01: cells, alarms, deferrals and rows of a batch are all there or none is; the next batch is not affected."""
    await medium.store.apply([save("a", Alarm(5, Lane.FIRST), b"old", (Put(SHOWN, ("a", 1, None)),))])
    batch: list[Operation] = [
        save("a", Alarm(50, Lane.RETRY), b"new", (Put(SHOWN, ("a", 2, None)),)),
        save("b", Alarm(60, Lane.FIRST), b"new", (Put(SHOWN, ("b", 2, None)),)),
        Deferral(due("a", 5), 70, "trouble"),
    ]
    with pytest.raises(Exception, match=r"NOT NULL|the commit has failed"):
        await medium.store.apply(medium.spoil(list(batch)))

    assert await cell_of(medium.store, toy_id("a")) == b"old"
    assert await cell_of(medium.store, toy_id("b")) is None
    assert await medium.store.alarms(Lane.FIRST, 10) == [due("a", 5)]
    assert await medium.store.alarms(Lane.RETRY, 10) == []
    assert await medium.rows() == [{"name": "a", "value": 1, "note": None}]

    await medium.store.apply(batch[1:2])
    assert await cell_of(medium.store, toy_id("b")) == b"new"


async def test_alarms_are_listed_per_lane_earliest_first(medium: Medium) -> None:
    """At most `limit` of a lane, due or not; an actor without an alarm isn't listed."""
    await medium.store.apply(
        [
            save("late", Alarm(2**60, Lane.FIRST)),
            save("b", Alarm(20, Lane.FIRST)),
            save("retry", Alarm(15, Lane.RETRY)),
            save("none"),
            save("a", Alarm(10, Lane.FIRST)),
        ]
    )
    first = [due("a", 10), due("b", 20), due("late", 2**60)]

    for limit in (0, 1, 2, 3, 4):
        assert await medium.store.alarms(Lane.FIRST, limit) == first[:limit]
    assert await medium.store.alarms(Lane.RETRY, 10) == [due("retry", 15, Lane.RETRY)]


async def test_one_alarm_for_each_actor(medium: Medium) -> None:
    """AL-01, AL-08: another alarm replaces the one before, also in another lane; none clears it."""
    await medium.store.apply([save("a", Alarm(10, Lane.FIRST))])
    await medium.store.apply([save("a", Alarm(5, Lane.RETRY))])
    assert await medium.store.alarms(Lane.FIRST, 10) == []
    assert await medium.store.alarms(Lane.RETRY, 10) == [due("a", 5, Lane.RETRY)]

    await medium.store.apply([save("a")])
    assert await medium.store.alarms(Lane.RETRY, 10) == []


async def test_a_write_without_an_alarm_disarms(medium: Medium) -> None:
    """The alarm is part of what is written: a cell that is written without one has none."""
    await medium.store.apply([save("a", Alarm(5, Lane.FIRST))])
    await medium.store.apply([save("a")])
    assert await medium.store.alarms(Lane.FIRST, 10) == []


async def test_a_deferral_puts_off_the_alarm_and_is_counted(medium: Medium) -> None:
    """Each deferral moves the due time and counts one; the cell stays as it is."""
    await medium.store.apply([save("a", Alarm(10, Lane.RETRY)), save("b", Alarm(11, Lane.RETRY))])
    assert await medium.store.deferred() == 0
    await medium.store.apply([Deferral(due("a", 10, Lane.RETRY), 100, "trouble")])
    await medium.store.apply([Deferral(due("a", 100, Lane.RETRY, 1), 200, "trouble again")])

    assert await medium.store.alarms(Lane.RETRY, 10) == [due("b", 11, Lane.RETRY), due("a", 200, Lane.RETRY, 2)]
    assert await medium.store.deferred() == 1
    assert await cell_of(medium.store, toy_id("a")) == b"cell"


async def test_a_write_ends_the_trouble(medium: Medium) -> None:
    """After a deferral, the actor's next write counts from nought again, whichever alarm it stores."""
    for alarm in (Alarm(100, Lane.FIRST), Alarm(300, Lane.FIRST)):
        await medium.store.apply([save("a", Alarm(10, Lane.FIRST))])
        await medium.store.apply([Deferral(due("a", 10), 100, "trouble")])
        await medium.store.apply([save("a", alarm)])

        assert await medium.store.alarms(Lane.FIRST, 10) == [due("a", alarm.due_ms)]
        assert await medium.store.deferred() == 0


@pytest.mark.parametrize(
    "now",
    [
        due("a", 11),
        due("a", 10, Lane.RETRY),
        due("a", 10, deferrals=1),
        due("b", 10),
    ],
    ids=["another time", "another lane", "deferred already", "another actor"],
)
async def test_a_deferral_yields_if_it_is_not_the_same_alarm_any_more(medium: Medium, now: DueAlarm) -> None:
    """AL-31, BUG-14: a late deferral must not touch an alarm that was stored meanwhile."""
    if now.deferrals:
        await medium.store.apply([save("a", Alarm(5, Lane.FIRST))])
        await medium.store.apply([Deferral(due("a", 5), now.due_ms, "trouble")])
    else:
        await medium.store.apply([save(now.actor_id.name, Alarm(now.due_ms, now.lane))])
    await medium.store.apply([Deferral(due("a", 10), 500, "late")])

    assert await medium.store.alarms(now.lane, 10) == [now]


async def test_a_deferral_yields_to_a_write_of_the_same_batch(medium: Medium) -> None:
    """In whichever order they come in one transaction: the write's alarm stays."""
    for name, write_first in (("a", True), ("b", False)):
        await medium.store.apply([save(name, Alarm(10, Lane.FIRST))])
        batch: list[Operation] = [save(name, Alarm(20, Lane.FIRST)), Deferral(due(name, 10), 500, "late")]
        await medium.store.apply(batch if write_first else batch[::-1])

    assert await medium.store.alarms(Lane.FIRST, 10) == [due("a", 20), due("b", 20)]


async def test_a_deferral_does_not_arm_what_is_cleared(medium: Medium) -> None:
    """Neither an actor without an alarm nor one that is gone gets an alarm by a late deferral."""
    await medium.store.apply([save("a")])
    await medium.store.apply([Deferral(due("a", 10), 500, "late"), Deferral(due("gone", 10), 500, "late")])

    assert await medium.store.alarms(Lane.FIRST, 10) == []
    assert await cell_of(medium.store, toy_id("gone")) is None


async def test_rows_are_put_replaced_and_removed_by_key(medium: Medium) -> None:
    """Projections: a row with the same key is replaced as a whole; removing one that isn't there is harmless."""
    await medium.store.apply([save("a", rows=(Put(SHOWN, ("a", 1, "x")), Put(SHOWN, ("b", 2, None))))])
    await medium.store.apply([save("a", rows=(Put(SHOWN, ("a", 3, None)), Remove(SHOWN, ("gone",))))])
    assert await medium.rows() == [
        {"name": "a", "value": 3, "note": None},
        {"name": "b", "value": 2, "note": None},
    ]

    await medium.store.apply([Write(toy_id("a"), None, None, (Remove(SHOWN, ("b",)),))])
    assert await medium.rows() == [{"name": "a", "value": 3, "note": None}]


async def test_closing_twice_is_harmless(medium: Medium) -> None:
    """`close` may be repeated."""
    await medium.store.close()
    await medium.store.close()
