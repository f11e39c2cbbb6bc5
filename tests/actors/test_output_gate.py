"""The output gate: nothing leaves before the write that it depends on, and nothing at all if that fails."""

import asyncio

import pytest
from actor_kit import Add, Arm, Do, Show, Toy, World, at, toy_id, virtual

from actors.actor import Outcome
from actors.effects import Effect
from actors.errors import CommitError


async def forever() -> None:
    """An effect that never ends by itself."""
    await asyncio.get_running_loop().create_future()


def busy_outcome(notes: list[str], world: World) -> Do:
    """A message that makes use of every member of an outcome and notes what happens when."""

    async def effect() -> str:
        notes.append("effect began")
        return "result"

    def committed() -> None:
        notes.append(f"committed, durable: {world.disk.cells.get(toy_id('a'))!r}")
        notes.append(f"old effect: {world.runtime.effects.running(toy_id('a'))}")

    def act(toy: Toy) -> Outcome:
        toy.count += 1
        toy.alarm = at(500)
        return toy.saved("reply", committed=committed, cancel_effect=True, start_effect=effect)

    return Do(act)


def start(effect: Effect) -> Do:
    """A message that only starts an effect."""
    return Do(lambda _: Outcome(start_effect=effect))


@virtual
async def test_everything_waits_for_the_commit_and_then_goes_in_order() -> None:
    """OG-01: commit; then cancel, log, start; then the reply. Before the commit none of it, nor the alarm."""
    async with World() as world:
        notes: list[str] = []
        await world.toys.ask("a", start(forever))
        world.store.hold()
        reply = asyncio.ensure_future(_noted(world, notes))
        await asyncio.sleep(1)

        assert notes == []
        assert not reply.done()
        assert world.woken == []
        assert world.runtime.effects.running(toy_id("a")) is not None

        world.store.release()
        assert await reply == "reply"
        cell = b"1 %d 0" % at(500).due_ms
        assert notes == [f"committed, durable: {cell!r}", "old effect: None", "effect began", "reply"]
        await asyncio.sleep(0.1)
        assert world.woken == [("a", 1000)]
        assert world.results == [("a", "result")]


@virtual
async def test_nothing_leaves_if_the_commit_fails() -> None:
    """OG-02: the caller gets CommitError; no log line, no effect, no alarm; the next message sees the old state."""
    async with World() as world:
        notes: list[str] = []
        await world.toys.ask("a", Add(0))
        await world.toys.ask("a", start(forever))
        loads = world.store.loads
        world.store.fail(1)

        with pytest.raises(CommitError, match="not stored: the commit has failed"):
            await world.toys.ask("a", busy_outcome(notes, world))

        assert notes == []
        assert world.runtime.effects.running(toy_id("a")) is not None
        assert await world.toys.ask("a", Show()) == 0
        assert world.store.loads == loads + 1
        await asyncio.sleep(1)
        assert world.woken == []


@virtual
async def test_the_next_message_is_taken_after_the_commit() -> None:
    """Nothing uncommitted can be read: while a commit is held, a question of the same actor waits."""
    async with World() as world:
        world.store.hold()
        add = world.toys.ask("a", Add(3))
        received: list[int] = []

        def receive(toy: Toy) -> Outcome:
            received.append(toy.count)
            return Outcome()

        show = world.toys.ask("a", Do(receive))
        await asyncio.sleep(1)
        assert received == []

        world.store.release()
        await show
        assert received == [3]
        assert await add == 3


@virtual
async def test_an_outcome_without_a_write_waits_for_nobody() -> None:
    """OG-03: one actor's reply that depends on no write leaves while another's commit is held."""
    async with World() as world:
        await world.toys.ask("b", Show())
        world.store.hold()
        held = world.toys.ask("a", Add())

        assert await world.toys.ask("b", Show()) == 0
        world.store.release()
        assert await held == 1


@pytest.mark.parametrize(("durable", "count"), [(False, 1), (True, 2)])
def test_state_and_alarm_are_one(durable: bool, count: int) -> None:  # noqa: FBT001 - a parameter of the test
    """WC-02, AL-12: whenever the process dies in a commit, state and alarm are both the old or both the new ones."""

    @virtual
    async def run() -> None:
        def move(toy: Toy) -> Outcome:
            toy.count += 1
            toy.alarm = at(60_000 * toy.count)
            return toy.saved()

        async with World() as world:
            await world.toys.ask("a", Do(move))
            if durable:
                world.store.die_after(1)
            else:
                world.store.die_before(1)
            with pytest.raises(CommitError):
                await world.toys.ask("a", Do(move))

        assert world.disk.cells[toy_id("a")].startswith(b"%d " % count)
        assert world.disk.armed[toy_id("a")].due_ms == at(60_000 * count).due_ms

    run()


@virtual
async def test_erasing_takes_the_alarm_along() -> None:
    """DA-02: when nothing is left to remember, the alarm is gone as well."""
    async with World() as world:
        await world.toys.ask("a", Arm(at(1000)))

        def erase(toy: Toy) -> Outcome:
            outcome = toy.saved()
            assert outcome.write is not None
            return Outcome(write=type(outcome.write)(toy.actor_id, cell=None, alarm=None))

        await world.toys.ask("a", Do(erase))
        await asyncio.sleep(2)

        assert world.woken == []
        assert world.disk.cells == {}


async def _noted(world: World, notes: list[str]) -> object:
    reply = await world.toys.ask("a", busy_outcome(notes, world))
    notes.append("reply")
    return reply
