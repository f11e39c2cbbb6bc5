"""Slots and wake-ups together: a slot is taken before a wake-up and freed when its effect ends, whatever happens."""

import asyncio
from collections.abc import Callable

import pytest
from actor_kit import Do, Toy, World, at, toy_id, virtual

from actors.actor import Outcome
from actors.admission import Limits
from actors.storage import Lane


def starting(world: World, seconds: float, began: list[tuple[str, int]]) -> Callable[[Toy], Outcome]:
    """What a woken toy does: clear its alarm and start an effect of so many seconds."""

    def wake(toy: Toy) -> Outcome:
        async def effect() -> str:
            began.append((toy.name, world.now_ms))
            await asyncio.sleep(seconds)
            return "done"

        return Outcome(write=world.note_wake_up(toy).write, start_effect=effect)

    return wake


@virtual
async def test_a_hundred_that_hang_delay_the_others_by_a_second_at_most() -> None:
    """Contract 3.6: with the default limits a hundred effects that hang until their limit leave others on time."""
    world = World()
    began: list[tuple[str, int]] = []
    hanging, quick = starting(world, 30, began), starting(world, 0.05, began)
    world.on_wake = lambda toy: hanging(toy) if toy.name.startswith("hangs") else quick(toy)
    due = {f"hangs-{number}": 1000 for number in range(100)}
    due |= {f"at-once-{number}": 1000 for number in range(100)}
    due |= {f"later-{number}": 1100 + 100 * number for number in range(100)}
    for name, ms in due.items():
        world.put_on_disk(name, at(ms))
    async with world:
        await world.until(40_000)

        delays = {name: ms - due[name] for name, ms in began}
        assert delays.keys() == due.keys()
        assert min(delays.values()) == 0
        assert max(delay for name, delay in delays.items() if not name.startswith("hangs")) <= 1000
        assert world.runtime._admission.in_use == 0


@virtual
async def test_retries_that_hang_leave_first_attempts_alone() -> None:
    """Contract 3.6: without places beside, hanging retries hold half of the slots, and first attempts have the rest."""
    world = World(limits=Limits(slots=4, slow_slots=0))
    began: list[tuple[str, int]] = []
    hanging, quick = starting(world, 3600, began), starting(world, 0.2, began)
    world.on_wake = lambda toy: hanging(toy) if toy.name.startswith("retry") else quick(toy)
    for number in range(10):
        world.put_on_disk(f"retry-{number}", at(0, Lane.RETRY))
        world.put_on_disk(f"first-{number}", at(1000))
    async with world:
        await world.until(10_000)
        assert sorted(ms for name, ms in began if name.startswith("first")) == [
            1000 + 200 * turn for turn in range(5) for _ in range(2)
        ]
        assert len([name for name, _ in began if name.startswith("retry")]) == 2


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_a_slot_is_held_until_the_effect_ends(seconds: float) -> None:
    """The next wake-up starts when the effect of the one before has ended, with one slot one at a time."""

    @virtual
    async def run() -> None:
        world = World(limits=Limits(slots=1))
        began: list[tuple[str, int]] = []
        world.on_wake = starting(world, seconds, began)
        for number in range(5):
            world.put_on_disk(f"toy-{number}", at(0))
        async with world:
            await world.until(5000)
            assert [int(ms) for _, ms in began] == pytest.approx([seconds * 1000 * turn for turn in range(5)], abs=1)
            assert world.runtime._admission.in_use == 0

    run()


def fails(_: Toy) -> Outcome:
    """A wake-up that raises."""
    raise LookupError("mine")


@pytest.mark.parametrize("what", ["no effect", "raises", "no write"])
def test_a_slot_is_free_at_once_if_no_effect_was_started(what: str) -> None:
    """Whether there was nothing to do or the wake-up failed: the next one goes at the same instant."""

    @virtual
    async def run() -> None:
        world = World(limits=Limits(slots=1))
        acts: dict[str, Callable[[Toy], Outcome]] = {
            "no effect": world.note_wake_up,
            "raises": fails,
            "no write": lambda _: Outcome(),
        }
        world.on_wake = lambda toy: (world.note_wake_up if toy.name == "last" else acts[what])(toy)
        for number in range(5):
            world.put_on_disk(f"toy-{number}", at(0))
        world.put_on_disk("last", at(1))
        async with world:
            await world.until(1)
            assert world.woken[-1] == ("last", 1)
            assert world.runtime._admission.in_use == 0

    run()


@virtual
async def test_cancelling_the_effect_frees_the_slot() -> None:
    """A user's message that cancels the effect lets the next one in at once."""
    world = World(limits=Limits(slots=1, slow_slots=0))
    began: list[tuple[str, int]] = []
    world.on_wake = starting(world, 3600, began)
    world.put_on_disk("a", at(0))
    world.put_on_disk("b", at(1))
    async with world:
        await world.until(1000)
        assert began == [("a", 0)]
        await world.toys.ask("a", Do(lambda _: Outcome(cancel_effect=True)))
        await world.until(1001)
        assert began == [("a", 0), ("b", 1000)]


@virtual
async def test_an_effect_that_is_replaced_frees_its_slot() -> None:
    """An actor that is woken while its effect runs, and starts another, holds one slot, not two."""
    world = World(limits=Limits(slots=4, slow_slots=0))

    async def effect() -> str:
        await asyncio.sleep(10)
        return "done"

    def wake(toy: Toy) -> Outcome:
        world.is_due(toy)
        toy.alarm = at(world.now_ms + 1000, Lane.RETRY)
        return toy.saved(start_effect=effect)

    world.on_wake = wake
    world.put_on_disk("a", at(0))
    async with world:
        await world.until(5000)
        assert world.woken == [("a", ms) for ms in range(0, 5001, 1000)]
        assert world.runtime._admission.in_use == 1
        assert world.runtime.effects.running(toy_id("a")) is not None


@virtual
async def test_the_rate_limit_paces_wake_ups() -> None:
    """Ten due at once at two a second: one each half second."""
    world = World(limits=Limits(rate_per_second=2))
    for number in range(10):
        world.put_on_disk(f"toy-{number}", at(0))
    async with world:
        await world.until(10_000)
        assert [ms for _, ms in world.woken] == [*range(0, 4501, 500)]
