"""The end of a process: in order, within its time, and with nothing that isn't on the disk or armed."""

import asyncio
from collections.abc import Sequence

import pytest
from actor_kit import Add, Arm, Do, RecordingStore, Show, Toy, World, at, toy_id, virtual

from actors.actor import Outcome
from actors.admission import Limits
from actors.errors import CommitError, StoppedError
from actors.runtime import LAST_SECONDS
from actors.storage import Operation, Write


class ClosableStore(RecordingStore):
    """Notes that it was closed, and with how many cells; a batch after that is an error of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.closed_with: list[int] = []

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        await super().apply(operations)
        assert self.closed_with == []

    async def close(self) -> None:
        """See `Store`."""
        self.closed_with.append(len(self.disk.cells))


@virtual
async def test_mail_that_was_taken_is_handled_and_stored_before_the_store_closes() -> None:
    """LC-08: a question asked before `stop` gets its answer; its write is durable; then the store is closed, once."""
    store = ClosableStore()
    world = World(store.disk, other_store=store)
    world.runtime.start()
    store.hold()
    replies = [world.toys.ask(f"toy-{number}", Add(1)) for number in range(100)]
    stopping = asyncio.ensure_future(world.runtime.stop(seconds=5))
    await asyncio.sleep(1)
    assert not stopping.done()
    store.release()
    await stopping

    assert store.closed_with == [100]
    assert [await reply for reply in replies] == [1] * 100


@virtual
async def test_a_stopped_runtime_takes_no_questions() -> None:
    """StoppedError at once, for known actors and new ones, and nothing is made for it."""
    async with World() as world:
        await world.toys.ask("a", Add(1))
    for name in ("a", "new"):
        with pytest.raises(StoppedError, match="shutting down"):
            world.toys.ask(name, Show())
    assert world.made == ["a"]


@pytest.mark.parametrize(("seconds", "results"), [(2.9, []), (3.1, [("a", "done")])])
def test_effects_get_their_time(seconds: float, results: list[tuple[str, str]]) -> None:
    """An effect that ends in time has its result handled and stored; another is released: its alarm repeats it."""

    @virtual
    async def run() -> None:
        world = World()

        async def effect() -> Do:
            await asyncio.sleep(3)
            return Do(done)

        def done(toy: Toy) -> Outcome:
            world.results.append((toy.name, "done"))
            toy.count = 1
            toy.alarm = None
            return toy.saved()

        world.runtime.start()
        await world.toys.ask("a", Arm(at(3_600_000)))
        await world.toys.ask("a", Do(lambda _: Outcome(start_effect=effect)))
        began = asyncio.get_running_loop().time()
        await world.runtime.stop(seconds)

        assert asyncio.get_running_loop().time() - began <= min(seconds, 3) + 0.001
        assert results == world.results
        assert len(world.runtime.effects) == 0
        assert (toy_id("a") in world.disk.armed) is (not results)

    run()


@virtual
async def test_no_effect_outlives_the_runtime() -> None:
    """An effect that is started by the last mail is released as well: nothing runs against a closed store."""
    world = World()
    steps: list[int] = []

    async def forever() -> str:
        while True:
            await asyncio.sleep(1)
            steps.append(world.now_ms)

    async def effect() -> Do:
        await asyncio.sleep(1)
        return Do(lambda toy: toy.saved(start_effect=forever))

    world.runtime.start()
    await world.toys.ask("a", Do(lambda _: Outcome(start_effect=effect)))
    await world.runtime.stop(seconds=5)
    await asyncio.sleep(10)

    assert len(world.runtime.effects) == 0
    assert [ms for ms in steps if ms > 1000] == []


@virtual
async def test_alarms_that_were_not_delivered_stay_armed() -> None:
    """LC-09: stopped with a queue for the slots, nothing is delivered or lost; the next process serves the rest."""
    world = World(limits=Limits(slots=1, slow_slots=0))

    async def effect() -> str:
        await asyncio.sleep(60)
        return "done"

    world.on_wake = lambda toy: Outcome(write=world.note_wake_up(toy).write, start_effect=effect)
    names = [f"toy-{number}" for number in range(5)]
    for number, name in enumerate(names):
        world.put_on_disk(name, at(number))
    async with world:
        await world.until(1000)
    assert [name for name, _ in world.woken] == names[:1]
    assert [actor_id.name for actor_id in world.disk.armed] == names[1:]

    async with World(world.disk) as second:
        await second.until(1001)
        assert [name for name, _ in second.woken] == names[1:]


@pytest.mark.parametrize(("failures", "armed", "batches"), [(0, ["b"], 1), (1, ["a", "b"], 2)])
def test_a_delivery_under_way_is_handled(failures: int, armed: list[str], batches: int) -> None:
    """A wake-up that has begun is finished, and put off if it fails, before the store closes; no other one begins."""

    @virtual
    async def run() -> None:
        store = ClosableStore()
        world = World(store.disk, other_store=store)
        world.put_on_disk("a", at(1000))
        world.put_on_disk("b", at(2000))
        world.runtime.start()
        store.hold()
        await world.until(1500)
        store.fail(failures)
        stopping = asyncio.ensure_future(world.runtime.stop(seconds=0))
        await asyncio.sleep(LAST_SECONDS - 0.1)
        store.release()
        await stopping
        await asyncio.sleep(10)

        assert [["a"]] * batches == store.batches
        assert sorted(actor_id.name for actor_id in store.disk.armed) == armed
        assert sum(alarm.deferrals for alarm in store.disk.armed.values()) == failures
        assert store.closed_with == [2]

    run()


@virtual
async def test_a_write_that_nobody_waits_for_is_stored_before_the_store_closes() -> None:
    """Whoever waited may have been cancelled: what the writer has taken becomes durable."""
    store = ClosableStore()
    world = World(store.disk, other_store=store)
    world.runtime.start()
    store.hold()
    commit = asyncio.ensure_future(world.runtime.commit(Write(toy_id("a"), b"cell", None)))
    await asyncio.sleep(1)
    commit.cancel()
    stopping = asyncio.ensure_future(world.runtime.stop(seconds=0))
    await asyncio.sleep(LAST_SECONDS - 0.1)
    store.release()
    await stopping

    assert store.closed_with == [1]


@virtual
async def test_a_store_that_gives_no_answer_does_not_keep_the_stop(caplog: pytest.LogCaptureFixture) -> None:
    """The last writes have a second after the effects' time; then the store is closed over them, and a line says so."""
    store = ClosableStore()
    world = World(store.disk, other_store=store)
    world.runtime.start()
    store.hold()
    reply = world.toys.ask("a", Add(1))
    began = asyncio.get_running_loop().time()
    await world.runtime.stop(seconds=3)

    assert asyncio.get_running_loop().time() - began == pytest.approx(3 + LAST_SECONDS)
    assert store.closed_with == [0]
    assert "gave no answer in time" in caplog.text
    store.release()
    with pytest.raises(CommitError):
        await reply


@virtual
async def test_nothing_is_left_running() -> None:
    """After `stop` there is no task left of the runtime's, and no timer that does anything."""
    async with World() as world:
        await world.toys.ask("a", Add(1))
        await world.toys.ask("a", Arm(at(1000)))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await asyncio.sleep(3600)
    assert world.woken == []


@virtual
async def test_a_runtime_that_never_started_can_be_stopped() -> None:
    """A start that failed half-way is cleaned up by the same call."""
    store = ClosableStore()
    world = World(store.disk, other_store=store)
    assert await world.toys.ask("a", Add(1)) == 1
    await world.runtime.stop(seconds=1)
    assert store.closed_with == [1]
