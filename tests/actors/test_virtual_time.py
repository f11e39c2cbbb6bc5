"""The fakes by themselves: time that is driven, and a disk that fails when told."""

import asyncio
import time

import pytest
from actor_kit import at, cell_of, toy_id, virtual

from actors.clock import SystemClock
from actors.storage import Lane, Write
from actors.testing import (
    EPOCH_MS,
    DeadlockError,
    DiskError,
    ManualClock,
    MemoryDisk,
    MemoryStore,
    ProcessDiedError,
    VirtualClock,
    run_virtual,
)
from actors.testing.clocks import MOST_TURNS


def write(name: str) -> Write:
    """A write of the toy `name`."""
    return Write(toy_id(name), b"cell", at(0))


async def spin(turns: int) -> None:
    """Let the loop turn."""
    for _ in range(turns):
        await asyncio.sleep(0)


def test_sleeping_costs_nothing() -> None:
    """A virtual week passes in no time, and the wall clock goes along to the millisecond."""

    async def main() -> int:
        clock = VirtualClock()
        for seconds in (0.001, 0.01, 0.1, 7 * 86_400):
            await asyncio.sleep(seconds)
        return clock.now_ms() - EPOCH_MS

    began = time.monotonic()
    assert run_virtual(main()) == 7 * 86_400_000 + 111
    assert time.monotonic() - began < 5


def test_timers_fire_in_order_at_their_own_times() -> None:
    """Time jumps from timer to timer and passes over none."""

    async def main() -> list[int]:
        clock = VirtualClock()
        fired: list[int] = []
        for ms in (30, 10, 20, -5, 0):
            clock.call_at(EPOCH_MS + ms, lambda: fired.append(clock.now_ms() - EPOCH_MS))
        clock.call_at(EPOCH_MS + 15, lambda: fired.append(-1)).cancel()
        await asyncio.sleep(1)
        return fired

    assert run_virtual(main()) == [0, 0, 10, 20, 30]


@pytest.mark.parametrize("at_seconds", [0, 1, 1e6])
def test_time_never_stands_still(at_seconds: float) -> None:
    """A library that waits for a rounding error (aiolimiter does) must see it pass, as on a real loop."""

    @virtual
    async def run() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(at_seconds)
        before = loop.time()
        await spin(10)
        assert before < loop.time() < before + 1e-6

    run()


@virtual
async def test_what_other_threads_say_is_heard() -> None:
    """The loop looks for what is ready before it lets time pass."""
    loop = asyncio.get_running_loop()
    heard = loop.create_future()
    loop.call_soon_threadsafe(heard.set_result, loop.time())
    await heard
    assert loop.time() - heard.result() < 1e-9


def test_waiting_for_nothing_is_an_error() -> None:
    """Where a real loop would hang, a virtual one says so."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError):
        run_virtual(main())


def test_turning_in_a_circle_is_an_error() -> None:
    """Nor does a virtual loop hang where all turn and no time passes; a millisecond now and then is enough."""

    async def main() -> None:
        for _ in range(2):
            await spin(MOST_TURNS - 10)
            await asyncio.sleep(0.001)
        await spin(10**9)

    with pytest.raises(DeadlockError, match="100000 turns, and no time has passed"):
        run_virtual(main())


@virtual
async def test_a_step_of_the_virtual_clock_is_noticed_by_no_timer() -> None:
    """The wall clock steps against the time of the loop; timers keep the latter."""
    clock = VirtualClock()
    fired: list[int] = []
    clock.call_at(EPOCH_MS + 1000, lambda: fired.append(clock.now_ms() - EPOCH_MS))
    clock.step(-400)
    assert clock.now_ms() == EPOCH_MS - 400
    await asyncio.sleep(1.0001)
    assert fired == [600]


async def test_the_manual_clock_fires_in_order_each_at_its_own_time() -> None:
    """`advance` passes through every instant on the way, also for timers that are set meanwhile; ties keep order."""
    clock = ManualClock()
    fired: list[tuple[str, int]] = []

    def note(name: str) -> None:
        fired.append((name, clock.now_ms() - EPOCH_MS))
        if name == "first":
            clock.call_at(EPOCH_MS + 15, lambda: note("set meanwhile"))

    for ms, name in [(20, "third"), (10, "first"), (20, "fourth"), (31, "later")]:
        clock.call_at(EPOCH_MS + ms, lambda name=name: note(name))  # type: ignore[misc]
    cancelled = clock.call_at(EPOCH_MS + 12, lambda: note("cancelled"))
    cancelled.cancel()
    clock.advance(30)

    assert fired == [("first", 10), ("set meanwhile", 15), ("third", 20), ("fourth", 20)]
    assert clock.now_ms() == EPOCH_MS + 30
    clock.advance(1)
    assert fired[4:] == [("later", 31)]
    cancelled.cancel()


async def test_a_manual_timer_in_the_past_fires_at_the_next_turn() -> None:
    """Not within `call_at`, as no real clock would."""
    clock = ManualClock()
    fired: list[int] = []
    clock.call_at(EPOCH_MS, lambda: fired.append(0))
    clock.call_at(EPOCH_MS - 1, lambda: fired.append(-1))
    assert fired == []
    await spin(1)
    assert fired == [0, -1]


async def test_a_step_of_the_manual_clock_fires_nothing() -> None:
    """Timers that a step has passed over fire at the next advance; a step back only delays."""
    clock = ManualClock()
    fired: list[int] = []
    clock.call_at(EPOCH_MS + 10, lambda: fired.append(clock.now_ms() - EPOCH_MS))
    clock.step(100)
    assert (fired, clock.now_ms()) == ([], EPOCH_MS + 100)
    clock.advance(0)
    assert fired == [100]

    clock.call_at(EPOCH_MS + 150, lambda: fired.append(clock.now_ms() - EPOCH_MS))
    clock.step(-100)
    clock.advance(149)
    assert fired == [100]
    clock.advance(1)
    assert fired == [100, 150]


async def test_the_system_clock_tells_the_time_of_the_machine() -> None:
    """Milliseconds, rounded down; a timer in the past fires at the next turn, one in the future can be cancelled."""
    clock = SystemClock()
    before = time.time_ns()
    now_ms = clock.now_ms()
    assert before // 1_000_000 <= now_ms <= time.time_ns() // 1_000_000

    fired = asyncio.Event()
    clock.call_at(now_ms + 3_600_000, fired.set).cancel()
    clock.call_at(now_ms - 1000, fired.set)
    async with asyncio.timeout(5):
        await fired.wait()


@virtual
async def test_failing_commits_are_counted_down() -> None:
    """`fail(n)`: n commits change nothing, the next one does."""
    store = MemoryStore()
    store.fail(2)
    for _ in range(2):
        with pytest.raises(DiskError):
            await store.apply([write("a")])
    assert store.disk.cells == {}
    await store.apply([write("a")])
    assert store.disk.cells == {toy_id("a"): b"cell"}
    assert store.commits == 1


@pytest.mark.parametrize("durable", [False, True])
def test_the_process_dies_at_the_nth_commit(durable: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """`die_before`: lost. `die_after`: durable. Either way nobody hears of it, and the store answers nothing more."""

    @virtual
    async def run() -> None:
        disk = MemoryDisk()
        store = MemoryStore(disk)
        store.die_after(3) if durable else store.die_before(3)
        await store.apply([write("a")])
        await store.apply([write("b")])
        with pytest.raises(ProcessDiedError):
            await store.apply([write("c")])

        assert [actor_id.name for actor_id in disk.cells] == ["a", "b", *(["c"] if durable else [])]
        for call in (
            cell_of(store, toy_id("a")),
            store.apply([write("d")]),
            store.alarms(Lane.FIRST, 1),
            store.deferred(),
        ):
            with pytest.raises(ProcessDiedError):
                await call
        await store.close()
        assert await cell_of(MemoryStore(disk), toy_id("a")) == b"cell"

    run()


@virtual
async def test_held_commits_wait_until_they_are_released() -> None:
    """`hold` and `release`; if the process dies in between, they are lost."""
    store = MemoryStore()
    store.hold()
    commit = asyncio.ensure_future(store.apply([write("a")]))
    await asyncio.sleep(1)
    assert not commit.done()
    store.dead = True
    store.release()
    with pytest.raises(ProcessDiedError):
        await commit
    assert store.disk.cells == {}
