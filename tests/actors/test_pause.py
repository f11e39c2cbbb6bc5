"""A pause: what it holds back and what it doesn't, how it ends, and what a restart finds of it."""

import asyncio
import json
import logging
from itertools import pairwise

import pytest
from actor_kit import Add, Arm, Show, World, at, cell_of, virtual

from actors.admission import Limits
from actors.errors import CommitError
from actors.pause import CELL, Paused, decoded
from actors.storage import Append, Lane, Table, Write
from actors.testing import EPOCH_MS, MemoryDisk, VirtualClock

MINUTE_MS = 60_000
WORK = (Lane.FIRST, Lane.RETRY)
AUDIT = Table("audit", ("what",), key=("seq",))


async def paused(world: World, until_ms: int, by: str = "ada") -> Paused:
    """The world's wake-ups are held back until so many ms after the beginning."""
    return await world.runtime.pause.begin(EPOCH_MS + until_ms, "the backend moves", by)


@pytest.mark.parametrize("lane", WORK)
@virtual
async def test_work_waits_until_the_pause_is_over(lane: Lane) -> None:
    """To the millisecond; the instant at which it was due doesn't matter, nor that nobody looks."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(1000, lane)))
        await paused(world, MINUTE_MS)
        await world.until(MINUTE_MS - 1)
        assert world.woken == []
        await world.until(MINUTE_MS)
        assert world.woken == [("a", MINUTE_MS)]


@virtual
async def test_notices_go_on() -> None:
    """They start no work."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(1000, Lane.NOTICE)))
        await paused(world, MINUTE_MS)
        await world.until(1000)
        assert world.woken == [("a", 1000)]


@virtual
async def test_everything_else_goes_on() -> None:
    """Actors answer, alarms are stored, effects end: only wake-ups are held back."""

    async def effect() -> str:
        await asyncio.sleep(5)
        return "done"

    async with World() as world:
        world.on_wake = lambda toy: world.note_wake_up(toy)._replace(start_effect=effect)
        await world.toys.ask("a", Arm(at(1000)))
        await world.until(1001)
        await paused(world, MINUTE_MS)
        assert await world.toys.ask("a", Add()) == 1
        await world.until(7000)
        assert world.results == [("a", "done")]


@virtual
async def test_ending_it_lets_go_at_once_and_oldest_first() -> None:
    """At the pace of admission: one after another with a rate of one a second."""
    async with World(limits=Limits(rate_per_second=1.0)) as world:
        await paused(world, 10 * MINUTE_MS)
        for name, due_ms in (("c", 3000), ("a", 1000), ("b", 2000)):
            await world.toys.ask(name, Arm(at(due_ms)))
        await world.until(5000)
        assert world.woken == []
        assert await world.runtime.pause.end("bob") is not None
        await world.until(60_000)
        names, instants = zip(*world.woken, strict=True)
        assert names == ("a", "b", "c")
        assert instants[0] - 5000 <= 1000
        assert [round((later - earlier) / 1000) for earlier, later in pairwise(instants)] == [1, 1]


@virtual
async def test_who_waits_for_a_slot_is_held_back_too() -> None:
    """The gate is looked at again when the slot is granted, and the slot goes back."""
    release = asyncio.Event()

    async def effect() -> None:
        await release.wait()

    async with World(limits=Limits(slots=1, slow_slots=0)) as world:
        world.on_wake = lambda toy: world.note_wake_up(toy)._replace(start_effect=effect)
        await world.toys.ask("a", Arm(at(1000)))
        await world.toys.ask("b", Arm(at(2000)))
        await world.until(3000)
        assert world.woken == [("a", 1000)]
        await paused(world, MINUTE_MS)
        release.set()
        await world.until(MINUTE_MS - 1)
        assert world.woken == [("a", 1000)]
        await world.until(MINUTE_MS + 1)
        assert world.woken == [("a", 1000), ("b", MINUTE_MS)]


@virtual
async def test_it_survives_a_restart() -> None:
    """Also one without a stop; the end is the same, and what was due meanwhile waits."""
    disk, clock = MemoryDisk(), VirtualClock()
    async with World(disk, clock=clock) as world:
        await world.toys.ask("a", Arm(at(1000)))
        first = await paused(world, MINUTE_MS)
    again = World(disk, clock=clock)
    await again.runtime.pause.restore()
    assert again.runtime.pause.current == first
    async with again:
        await again.until(MINUTE_MS - 1)
        assert again.woken == []
        await again.until(MINUTE_MS)
        assert again.woken == [("a", MINUTE_MS)]


@pytest.mark.parametrize(("passed_ms", "held"), [(MINUTE_MS - 1, True), (MINUTE_MS, False), (MINUTE_MS + 1, False)])
@virtual
async def test_one_that_was_over_before_the_start_is_none(passed_ms: int, *, held: bool) -> None:
    """A millisecond before its end it is still on."""
    disk, clock = MemoryDisk(), VirtualClock()
    async with World(disk, clock=clock) as world:
        await paused(world, MINUTE_MS)
    clock.step(passed_ms - (clock.now_ms() - EPOCH_MS))
    again = World(disk, clock=clock)
    await again.runtime.pause.restore()
    assert (again.runtime.pause.current is not None) is held
    assert again.runtime.pause.is_open() is not held
    await again.runtime.stop(0)


@virtual
async def test_one_that_was_ended_stays_so() -> None:
    """Nothing is left of it."""
    async with World() as world:
        await paused(world, MINUTE_MS)
        await world.runtime.pause.end("bob")
        assert await cell_of(world.store, CELL) is None
        assert await world.runtime.pause.end("bob") is None
        await world.runtime.pause.restore()
        assert world.runtime.pause.current is None


@pytest.mark.parametrize(
    "cell",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"since_ms":1,"until_ms":"x","reason":"","by":""}',
        b"\xff",
        b'{"until_ms":1}',
    ],
)
@virtual
async def test_one_that_cannot_be_read_is_none(cell: bytes) -> None:
    """It must not hold anything back for ever."""
    assert decoded(cell) is None
    async with World() as world:
        world.store._apply(Write(CELL, cell, None))
        await world.runtime.pause.restore()
        assert world.runtime.pause.is_open()


@virtual
async def test_a_second_one_replaces_the_first() -> None:
    """Longer or shorter; it lasts since the first began."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(1000)))
        await paused(world, MINUTE_MS)
        await world.until(2000)
        longer = await paused(world, 3 * MINUTE_MS, "bob")
        assert longer == Paused(EPOCH_MS, EPOCH_MS + 3 * MINUTE_MS, "the backend moves", "bob")
        await world.until(2 * MINUTE_MS)
        assert world.woken == []
        await paused(world, 2 * MINUTE_MS + 1)
        await world.until(2 * MINUTE_MS + 2)
        assert world.woken == [("a", 2 * MINUTE_MS + 1)]


@virtual
async def test_two_at_once_are_one_after_the_other() -> None:
    """What is stored last is what holds, in memory and on the disk."""
    async with World() as world:
        pause = world.runtime.pause
        until_ms = EPOCH_MS + MINUTE_MS
        await asyncio.gather(pause.begin(until_ms, "x", "ada"), pause.end("bob"), pause.begin(until_ms + 1, "y", "eve"))
        cell = await cell_of(world.store, CELL)
        assert cell is not None
        assert pause.current == decoded(cell) == Paused(EPOCH_MS, until_ms + 1, "y", "eve")


@virtual
async def test_what_isnt_stored_is_not_on() -> None:
    """Nor off: a failed commit changes nothing, and the caller hears of it."""
    async with World() as world:
        world.store.fail(1)
        with pytest.raises(CommitError):
            await paused(world, MINUTE_MS)
        assert world.runtime.pause.current is None
        await paused(world, MINUTE_MS)
        world.store.fail(1)
        with pytest.raises(CommitError):
            await world.runtime.pause.end("bob")
        assert world.runtime.pause.current is not None


@virtual
async def test_rows_are_written_with_it() -> None:
    """In the same transaction: those of the beginning and those of the end."""
    async with World() as world:
        await world.runtime.pause.begin(EPOCH_MS + 1000, "x", "ada", rows=[Append(AUDIT, ("pause",))])
        await world.runtime.pause.end("ada", rows=[Append(AUDIT, ("resume",))])
        assert await world.runtime.pause.end("ada", rows=[Append(AUDIT, ("again",))]) is None
        assert [row["what"] for row in world.disk.tables["audit"].values()] == ["pause", "resume"]


@virtual
async def test_a_step_of_the_clock_is_noticed() -> None:
    """The end is an instant of the wall clock: set forward beyond it, the pause is over soon."""
    clock = VirtualClock()
    async with World(clock=clock) as world:
        await world.toys.ask("a", Arm(at(1000)))
        await paused(world, 600 * MINUTE_MS)
        await asyncio.sleep(5)
        clock.step(600 * MINUTE_MS)
        await asyncio.sleep(31)
        assert [name for name, _ in world.woken] == ["a"]


@virtual
async def test_driven_time_rings_at_the_end_of_the_pause() -> None:
    """What waits for it isn't due before; a notice is."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(1000)))
        await paused(world, MINUTE_MS)
        assert await world.runtime.next_alarm_ms() == EPOCH_MS + MINUTE_MS
        await world.toys.ask("b", Arm(at(2000, Lane.NOTICE)))
        assert await world.runtime.next_alarm_ms() == EPOCH_MS + 2000
        await world.toys.ask("a", Arm(at(2 * MINUTE_MS)))
        await world.toys.ask("b", Arm(None))
        assert await world.runtime.next_alarm_ms() == EPOCH_MS + 2 * MINUTE_MS


@virtual
async def test_health_knows_of_it() -> None:
    """As long as it is on; the dispatcher does not stand still, it waits."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(1000)))
        pause = await paused(world, MINUTE_MS)
        await world.until(30_000)
        health = await world.runtime.health()
        assert (health.paused, health.stalled_seconds, health.overdue_ms) == (pause, 0.0, 29_000)
        await world.until(MINUTE_MS)
        assert (await world.runtime.health()).paused is None


def test_the_log_has_its_beginning_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """A line each: by whom, until when, why, and how it ended."""

    @virtual
    async def run() -> None:
        disk = MemoryDisk()
        async with World(disk) as world:
            await paused(world, MINUTE_MS)
            await world.until(2 * MINUTE_MS)
            assert world.runtime.pause.current is None
            await paused(world, 3 * MINUTE_MS)
            await world.runtime.pause.end("bob")
            await paused(world, 10 * MINUTE_MS)
            await World(disk, clock=world.clock).runtime.pause.restore()
            world.store._apply(Write(CELL, b"?", None))
            await world.runtime.pause.restore()

    with caplog.at_level(logging.WARNING, logger="actors.pause"):
        run()
    told = "paused by ada until 2026-01-01T00:0{}:00Z: the backend moves"
    assert [record.getMessage().replace("2026-01-01T00:10", "2026-01-01T00:0A") for record in caplog.records] == [
        f"wake-ups are {told.format(1)}",
        "wake-ups go on: the pause is over",
        f"wake-ups are {told.format(3)}",
        "wake-ups go on: bob has ended the pause",
        f"wake-ups are {told.format('A')}",
        f"wake-ups are still {told.format('A')}",
        "the stored pause cannot be read, so there is none",
    ]


@virtual
async def test_its_cell_is_nobodys() -> None:
    """No actor has its id, and no alarm is armed for it."""
    async with World() as world:
        pause = await paused(world, MINUTE_MS)
        cell = await cell_of(world.store, CELL)
        assert cell is not None
        assert json.loads(cell) == pause._asdict()
        assert world.disk.armed == {}
        assert await world.toys.ask(CELL.name, Show()) == 0
