"""Alarms on time: never early, promptly when due, in order, and whatever the clock does."""

import asyncio
from collections.abc import Sequence

import pytest
from actor_kit import Arm, Do, Toy, World, at, virtual

from actors.actor import Outcome
from actors.admission import Limits
from actors.alarms import RECHECK_SECONDS, WINDOW
from actors.storage import Alarm, DueAlarm, Lane
from actors.testing import MemoryStore

RECHECK_MS = int(RECHECK_SECONDS * 1000)


class WindowStore(MemoryStore):
    """Notes how many alarms are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        self.limits.append(limit)
        return await super().alarms(lane, limit)


async def an_hour() -> None:
    """An effect that takes long."""
    await asyncio.sleep(3600)


@virtual
async def test_not_a_millisecond_early() -> None:
    """AL-14, BUG-15: one before the time nothing, at the time the wake-up, after it no other."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(1000)))
        await world.until(999)
        assert world.woken == []
        await world.until(1000)
        assert world.woken == [("a", 1000)]
        await world.until(3_600_000)
        assert world.woken == [("a", 1000)]


@virtual
async def test_what_is_overdue_is_served_at_the_start_oldest_first() -> None:
    """AL-17, BUG-02: alarms that passed while no process ran are served at once; the others keep their time."""
    world = World(limits=Limits(slots=1))
    for name, ms in {"c": -10, "a": -86_400_000, "later": 5000, "b": -20, "now": 0}.items():
        world.put_on_disk(name, at(ms))
    async with world:
        await world.until(4999)
        assert world.woken == [("a", 0), ("b", 0), ("c", 0), ("now", 0)]
        await world.until(5000)
        assert world.woken[4:] == [("later", 5000)]


@virtual
async def test_an_earlier_alarm_wakes_the_loop_in_time() -> None:
    """An alarm armed while the loop sleeps towards a later one, or towards none, is served at its own time."""
    async with World() as world:
        await world.until(100)
        await world.toys.ask("c", Arm(at(25_000)))
        await world.until(200)
        await world.toys.ask("b", Arm(at(5000)))
        await world.until(300)
        await world.toys.ask("a", Arm(at(4999)))
        await world.until(RECHECK_MS)

        assert world.woken == [("a", 4999), ("b", 5000), ("c", 25_000)]


@pytest.mark.parametrize(("to_ms", "expected"), [(20_000, [("a", 20_000)]), (5_000, [("a", 5_000)]), (None, [])])
def test_a_moved_alarm_rings_at_its_new_time_only(to_ms: int | None, expected: list[tuple[str, int]]) -> None:
    """AL-01, AL-08: moved later it doesn't ring at the old time, moved earlier it does at the new, cleared never."""

    @virtual
    async def run() -> None:
        async with World() as world:
            await world.toys.ask("a", Arm(at(10_000)))
            await world.until(3000)
            await world.toys.ask("a", Arm(None if to_ms is None else at(to_ms)))
            await world.until(3_600_000)

            assert expected == world.woken
            assert world.stale == []

    run()


@virtual
async def test_a_time_in_the_past_rings_at_once() -> None:
    """AL-02: not inside of the message that arms it, but right after."""
    async with World() as world:
        await world.until(100)
        await world.toys.ask("a", Arm(at(-5000)))
        assert world.woken == []
        await asyncio.sleep(0.0001)
        assert world.woken == [("a", 100)]


@pytest.mark.parametrize("lane", list(Lane))
def test_an_alarm_armed_by_a_wake_up_rings_in_time(lane: Lane) -> None:
    """AL-26: an actor that arms the next alarm each time it is woken is woken at each time, not some time later."""

    @virtual
    async def run() -> None:
        async with World() as world:

            def wake(toy: Toy) -> Outcome:
                if world.is_due(toy) and toy.alarm is not None:
                    toy.alarm = Alarm(toy.alarm.due_ms + 5000, lane)
                return toy.saved()

            world.on_wake = wake
            await world.toys.ask("a", Arm(at(5000)))
            await world.until(60_000)

            assert world.woken == [("a", ms) for ms in range(5000, 60_001, 5000)]

    run()


@pytest.mark.parametrize("same", [True, False])
def test_an_alarm_armed_again_for_now_rings_again(same: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """BUG-04: a wake-up that arms the same time again, or an earlier one, leads to another run, not to silence."""

    @virtual
    async def run() -> None:
        async with World() as world:

            def wake(toy: Toy) -> Outcome:
                toy.count += 1
                if world.is_due(toy):
                    toy.alarm = at(1000 if same else 500) if toy.count < 3 else None
                return toy.saved()

            world.on_wake = wake
            await world.toys.ask("a", Arm(at(1000)))
            await world.until(1000)
            assert world.woken == [("a", 1000)] * 3

    run()


@virtual
async def test_the_instance_need_not_be_in_memory() -> None:
    """AL-16: an actor that left memory long ago is made again and woken, and knows its name."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(3_600_000)))
        await world.until(3_599_999)
        assert len(world.toys) == 0
        await world.until(3_600_000)

        assert world.woken == [("a", 3_600_000)]
        assert world.made == ["a", "a"]


@virtual
async def test_ten_thousand_at_once_never_fill_the_memory() -> None:
    """Story 7: the loop holds a window of the due alarms, not all of them, and reads each once; each rings once."""
    store = WindowStore()
    world = World(store.disk, other_store=store)
    names = [f"toy-{number}" for number in range(10_000)]
    for name in names:
        world.put_on_disk(name, at(1000))
    async with world:
        await world.until(1000)

        assert sorted(world.woken) == sorted((name, 1000) for name in names)
        assert max(store.limits) <= WINDOW + world.limits.slots
        # In each lane a glance, the windows, and a look afterwards that finds nothing.
        assert len(store.limits) <= 10_000 / WINDOW + 6
        assert world.stale == []


@virtual
async def test_health_shows_how_late_the_oldest_is() -> None:
    """Nothing due: 0. Due and waiting for a slot: the age of the oldest first attempt."""
    async with World(limits=Limits(slots=1, slow_slots=0)) as world:
        world.on_wake = lambda toy: Outcome(write=world.note_wake_up(toy).write, start_effect=an_hour)
        await world.toys.ask("holder", Arm(at(1000)))
        await world.toys.ask("waits", Arm(at(2000)))
        await world.until(2000)
        assert (await world.runtime.health()).overdue_ms == 0
        await world.until(2750)

        health = await world.runtime.health()
        assert (health.overdue_ms, health.undeliverable, health.write_error) == (750, 0, None)
        assert health.stalled_seconds == 0


@virtual
async def test_a_stalled_dispatcher_is_visible() -> None:
    """Story 8: a store that owes an answer shows as seconds stalled, and a dispatcher that ended as infinitely many."""

    class StuckStore(MemoryStore):
        async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
            await stuck.wait()
            return await super().alarms(lane, limit)

    stuck = asyncio.Event()
    world = World(other_store=StuckStore())
    async with world:
        await asyncio.sleep(20)
        assert world.runtime._alarms.stalled_seconds() == pytest.approx(20)
        stuck.set()
        await world.toys.ask("a", Do(lambda toy: toy.saved()))
        assert world.runtime._alarms.stalled_seconds() == 0
    assert world.runtime._alarms.stalled_seconds() == float("inf")
