"""Alarms in trouble: processes that die, cells that won't load, stores that fail. Nothing is lost, nothing spins."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from actor_kit import Add, Arm, RecordingStore, Show, Toy, World, at, toy_id, virtual

from actors.actor import Outcome
from actors.errors import CommitError
from actors.ids import ActorId
from actors.storage import DueAlarm, Lane, Operation, Write
from actors.testing import DiskError, MemoryDisk, MemoryStore, VirtualClock


class FlakyStore(MemoryStore):
    """Counts what it is asked for in each virtual second, and fails while it is told to."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        super().__init__(disk)
        self.reading_fails = False
        self.writing_fails = False
        self.reads: Counter[int] = Counter()
        self.writes: Counter[int] = Counter()
        self.loaded: list[tuple[str, int]] = []

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """See `Store`."""
        self.loaded += [(actor_id.name, _seconds()) for actor_id in actor_ids]
        return await super().load(actor_ids)

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        self.reads[_seconds()] += 1
        if self.reading_fails:
            raise DiskError("it cannot be read")
        return await super().alarms(lane, limit)

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        self.writes[_seconds()] += 1
        if self.writing_fails:
            await asyncio.sleep(0)
            raise DiskError("it cannot be written")
        await super().apply(operations)


def _seconds() -> int:
    return int(asyncio.get_running_loop().time())


@pytest.mark.parametrize(("durable", "again"), [(False, [("a", 2000)]), (True, [])])
def test_a_process_that_dies_in_a_wake_up(durable: bool, again: list[tuple[str, int]]) -> None:  # noqa: FBT001
    """AL-25, AL-37, AL-38: dead before the commit, the next process wakes the actor again; after it, no need to."""

    @virtual
    async def run() -> None:
        async with World() as first:
            await first.toys.ask("a", Arm(at(1000)))
            if durable:
                first.store.die_after(1)
            else:
                first.store.die_before(1)
            await first.until(1999)
            assert first.woken == [("a", 1000)]
            assert first.store.dead

        await first.until(2000)
        async with World(first.disk) as second:
            await second.until(3000)
            assert again == second.woken
            assert second.disk.armed == {}

    run()


@pytest.mark.parametrize("durable", [False, True])
def test_no_death_at_any_commit_loses_an_alarm(durable: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """AL-38, I3: processes die at each commit in turn; in the end each actor has got through all its alarms."""

    @virtual
    async def run() -> None:
        disk = MemoryDisk()
        world = World(disk)
        for number in range(5):
            world.put_on_disk(f"toy-{number}", at(1000 * number))
        for commits in (*range(1, 12), 1000):
            world = World(disk)
            world.on_wake = _three_times(world)
            world.store.die_after(commits) if durable else world.store.die_before(commits)
            async with world:
                await asyncio.sleep(30)

        assert disk.armed == {}
        assert {cell.split()[0] for cell in disk.cells.values()} == {b"3"}

    run()


@virtual
async def test_an_actor_that_cannot_be_read_backs_off_and_delays_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Story 8: 1, 2, 4 … s up to 300 s; counted, logged at error, out of others' way; served when it can be read."""
    store = FlakyStore()
    world = World(store.disk, other_store=store)
    store.unreadable.add(toy_id("bad"))
    world.put_on_disk("bad", at(0))
    expected = [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111]
    for second in expected:
        world.put_on_disk(f"good-{second}", at(second * 1000))
    async with world:
        await world.until(1_200_000)

        assert expected == [second for name, second in store.loaded if name == "bad"]
        assert world.woken == [(f"good-{second}", second * 1000) for second in expected]
        assert (await world.runtime.health()).undeliverable == 1
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == len(expected)
        assert "the wake-up of toys/bad could not be delivered (12 times in a row), next try in 300 s" in caplog.text
        assert "the cell of toys/bad cannot be read" in errors[0].message

        store.unreadable.clear()
        await world.until(1_411_000)
        assert world.woken[-1] == ("bad", 1_411_000)
        assert (await world.runtime.health()).undeliverable == 0
        assert store.disk.armed == {}


@pytest.mark.parametrize(
    ("longest_seconds", "expected"),
    [(4.0, [0, 1, 3, 7, 11, 15, 19]), (3.9, [0, 1, 3, 6, 10, 14, 18]), (1.0, [*range(21)]), (0.01, [*range(21)])],
)
def test_the_longest_back_off_can_be_shorter(longest_seconds: float, expected: list[int]) -> None:
    """For who tries again soon anyway; never below the first one, a second, as nobody should spin."""

    @virtual
    async def run() -> None:
        store = FlakyStore()
        world = World(store.disk, other_store=store, longest_backoff_seconds=longest_seconds)
        store.unreadable.add(toy_id("bad"))
        world.put_on_disk("bad", at(0))
        async with world:
            await world.until(20_500)
        assert expected == [second for _, second in store.loaded]

    run()


@pytest.mark.parametrize(("back_ms", "expected_ms"), [(999, 5001), (1000, 5000), (1001, 5000), (3_600_000, 5000)])
def test_a_clock_that_is_set_back_makes_no_back_off_early(back_ms: int, expected_ms: int) -> None:
    """A wake-up that fails while the clock is set back is not put off to before its own time by the new clock."""

    @virtual
    async def run() -> None:
        clock = VirtualClock()
        world = World(clock=clock)

        def fail(_: Toy) -> Outcome:
            clock.step(-back_ms)
            raise LookupError("of the handler")

        world.on_wake = fail
        await world.toys.ask("a", Arm(at(5000)))
        async with world:
            await world.until(5000)
        assert world.disk.armed[toy_id("a")] == DueAlarm(toy_id("a"), at(expected_ms).due_ms, Lane.FIRST, 1)

    run()


@virtual
async def test_the_back_off_survives_a_restart() -> None:
    """AL-35: how often a delivery failed is stored with the alarm, so a restart doesn't start from one second."""
    first = World()
    first.store.unreadable.add(toy_id("bad"))
    first.put_on_disk("bad", at(0))
    async with first:
        await first.until(7000)
    second = World(first.disk)
    second.store.unreadable.add(toy_id("bad"))
    async with second:
        await second.until(14_999)
        assert first.disk.armed[toy_id("bad")].deferrals == 4
        await second.until(15_001)
        assert first.disk.armed[toy_id("bad")] == DueAlarm(toy_id("bad"), at(31_000).due_ms, Lane.FIRST, 5)


@virtual
async def test_an_alarm_of_an_unknown_kind_backs_off() -> None:
    """A row of a namespace that this release doesn't have: put off like one that can't be read, and others go on."""
    world = World()
    ghost = ActorId("ghosts", "boo")
    world.store._apply(Write(ghost, b"cell", at(0)))
    world.put_on_disk("a", at(500))
    async with world:
        await world.until(2000)
        assert world.woken == [("a", 500)]
        assert world.disk.armed[ghost].deferrals == 2


@virtual
async def test_a_wake_up_without_a_write_is_put_off(caplog: pytest.LogCaptureFixture) -> None:
    """A bug of an actor: its alarm would be due for ever. It backs off, and is told about, instead of spinning."""
    async with World() as world:
        asked: list[int] = []

        def wake(_: object) -> Outcome:
            asked.append(world.now_ms)
            return Outcome()

        world.on_wake = wake
        await world.toys.ask("a", Arm(at(1000)))
        await world.until(60_000)

        assert asked == [1000, 2000, 4000, 8000, 16_000, 32_000]
        assert "toys/a took a wake-up without a write" in caplog.text


@pytest.mark.parametrize("failures", [1, 2, 3, 4, 5, 6, 7])
def test_failing_commits_lose_no_wake_up(failures: int) -> None:
    """AL-25, AL-32: the wake-up's own write fails, then perhaps its deferral: it is tried again until it is stored."""

    @virtual
    async def run() -> None:
        async with World() as world:
            await world.toys.ask("a", Arm(at(1000)))
            world.store.fail(failures)
            await world.until(60_000)

            assert world.disk.armed == {}
            # Each run costs two failures, its write's and its deferral's; an odd one leaves the deferral alone.
            runs = failures // 2 + failures % 2 + 1
            assert world.woken == [("a", 1000 * run) for run in range(1, runs + 1)]
            assert await world.toys.ask("a", Show()) == 0

    run()


@virtual
async def test_a_full_disk_makes_nothing_spin() -> None:
    """A minute without a single commit: a few tries a second for each slot at most, and then everything is served."""
    store = FlakyStore()
    world = World(store.disk, other_store=store)
    for number in range(10):
        world.put_on_disk(f"toy-{number}", at(1000))
    store.writing_fails = True
    async with world:
        await world.until(60_000)
        loads = Counter(second for _, second in store.loaded)
        assert max(store.writes.values()) <= 10 * 4
        assert max(loads.values()) <= 10
        assert max(store.reads.values()) <= 40
        assert (await world.runtime.health()).write_error == "it cannot be written"
        with pytest.raises(CommitError):
            await world.toys.ask("other", Add())

        store.writing_fails = False
        world.woken.clear()
        await world.until(120_000)
        assert sorted(name for name, _ in world.woken) == [f"toy-{number}" for number in range(10)]
        assert store.disk.armed == {}
        assert (await world.runtime.health()).write_error is None


@virtual
async def test_a_store_that_cannot_be_read_is_tried_each_second(caplog: pytest.LogCaptureFixture) -> None:
    """Story 8: the loops outlive the store's failures, neither spin nor flood the log, and go on within a second."""
    store = FlakyStore()
    store.reading_fails = True
    world = World(store.disk, other_store=store)
    world.put_on_disk("a", at(1000))
    async with world:
        await world.until(60_500)
        assert max(store.reads.values()) <= 2 * len(Lane)
        lines = [record for record in caplog.records if record.message.startswith("the alarms cannot be read")]
        times = [int(record.message.partition("(")[2].partition(" ")[0]) for record in lines]
        assert sorted(times) == [n for n in (1, 2, 4, 8, 16, 32) for _ in Lane]
        assert all("next try in 1 s: it cannot be read" in record.message for record in lines)
        assert [bool(record.exc_info) for record in lines] == [n == 1 for n in times]
        assert world.runtime.pulse().stalled_seconds == pytest.approx(60.5, abs=0.001)

        store.reading_fails = False
        await world.until(61_500)
        assert world.runtime.pulse().stalled_seconds == 0
        assert [name for name, _ in world.woken] == ["a"]


@virtual
async def test_a_poisoned_actor_delays_no_wake_up_of_others() -> None:
    """One actor's write breaks each batch that it is in; those woken with it are served at the same instant."""
    store = RecordingStore()
    store.poisoned.add("toy-5")
    world = World(store.disk, other_store=store)
    for number in range(10):
        world.put_on_disk(f"toy-{number}", at(1000))
    async with world:
        await world.until(1000)
        assert sorted(toy.name for toy in store.disk.armed) == ["toy-5"]
        await world.until(30_000)
        assert len([name for name, _ in world.woken if name != "toy-5"]) == 9


def _three_times(world: World) -> Callable[[Toy], Outcome]:
    def wake(toy: Toy) -> Outcome:
        if world.is_due(toy):
            toy.count += 1
            toy.alarm = None if toy.count == 3 else at(world.now_ms + 700)
        return toy.saved()

    return wake
