"""Residency: an idle actor leaves memory and nothing is lost by it."""

import asyncio
import gc
import weakref
from random import Random

import pytest
from actor_kit import Add, Do, Remember, Show, Toy, World, virtual

from actors.actor import Outcome
from actors.runtime import Residency


def one_of(names: dict[str, "weakref.ref[Toy]"]) -> Do:
    """A message that leaves a weak reference to the instance."""

    def act(toy: Toy) -> Outcome:
        names[toy.name] = weakref.ref(toy)
        return Outcome()

    return Do(act)


@virtual
async def test_an_idle_actor_leaves_exactly_after_its_time() -> None:
    """LC-01, LC-02: not before; afterwards its memory is gone and its state is read from the cell again."""
    async with World(residency=Residency(idle_seconds=10)) as world:
        await world.toys.ask("a", Add(3))
        await world.toys.ask("a", Remember(99))
        await world.until(9999)
        assert len(world.toys) == 1
        await world.until(10_000)
        assert len(world.toys) == 0

        assert await world.toys.ask("a", Show()) == 3
        assert world.made == ["a", "a"]


@virtual
async def test_used_actors_stay() -> None:
    """Each message counts from then on: the time is that without mail, for each actor its own."""
    async with World(residency=Residency(idle_seconds=10)) as world:
        for name in ("a", "b", "c"):
            await world.toys.ask(name, Add(1))
        await world.until(9000)
        await world.toys.ask("b", Show())
        await world.until(12_000)
        assert len(world.toys) == 1
        await world.toys.ask("b", Show())
        await world.until(21_999)
        assert len(world.toys) == 1
        await world.until(22_000)
        assert len(world.toys) == 0
        assert world.made == ["a", "b", "c"]


@virtual
async def test_a_busy_actor_stays() -> None:
    """LC-03: while a message is being handled the instance stays, and afterwards for its time."""
    async with World(residency=Residency(idle_seconds=10)) as world:
        world.store.hold()
        reply = world.toys.ask("a", Add(1))
        await world.until(25_000)
        assert len(world.toys) == 1
        world.store.release()
        assert await reply == 1
        await world.until(29_999)
        assert len(world.toys) == 1
        await world.until(40_000)
        assert len(world.toys) == 0
        assert world.made == ["a"]


@virtual
async def test_no_more_than_so_many_are_in_memory() -> None:
    """`max_resident`: one more actor lets go of the one that was used least lately."""
    async with World(residency=Residency(idle_seconds=10, max_resident=3)) as world:
        for name in ("a", "b", "c"):
            await world.toys.ask(name, Add(1))
        await world.toys.ask("a", Show())
        assert len(world.toys) == 3
        await world.toys.ask("d", Add(1))
        assert len(world.toys) == 3

        await world.toys.ask("a", Show())
        assert world.made == ["a", "b", "c", "d"]
        await world.toys.ask("b", Show())
        assert world.made == ["a", "b", "c", "d", "b"]


@pytest.mark.parametrize("limit", [1, 2])
def test_a_new_actor_finds_room_even_if_all_are_busy(limit: int) -> None:
    """No mail is refused for want of room: where nobody can leave, there is one more than `max_resident`."""

    @virtual
    async def run() -> None:
        async with World(residency=Residency(idle_seconds=10, max_resident=limit)) as world:
            world.store.hold()
            replies = []
            for number in range(4):
                replies.append(world.toys.ask(f"toy-{number}", Add(1)))
                await asyncio.sleep(0.1)
            world.toys.tell("told", Add(1))
            assert len(world.toys) == 5
            world.store.release()

            assert [await reply for reply in replies] == [1, 1, 1, 1]
            assert await world.toys.ask("told", Show()) == 1
            await world.until(10_500)
            assert len(world.toys) == 0

    run()


@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_no_race_with_passivation_loses_a_message(limit: int) -> None:
    """LC-05: a thousand messages around the moment of passivation: each counts, never two instances at a time."""

    @virtual
    async def run() -> None:
        random = Random(limit)  # noqa: S311 - chance for a test
        alive: dict[str, weakref.ref[Toy]] = {}
        names = [f"toy-{number}" for number in range(10)]

        def add(toy: Toy) -> Outcome:
            other = alive.get(toy.name, lambda: None)()
            assert other is None or other is toy
            alive[toy.name] = weakref.ref(toy)
            toy.count += 1
            return toy.saved(toy.count)

        async with World(residency=Residency(idle_seconds=1, max_resident=limit)) as world:

            async def talk() -> None:
                for _ in range(50):
                    await asyncio.sleep(random.choice([0, 0.5, 0.999, 1, 1.001]))
                    name = random.choice(names)
                    if random.random() < 0.5:
                        await world.toys.ask(name, Do(add))
                    else:
                        world.toys.tell(name, Do(add))

            await asyncio.gather(*(talk() for _ in range(20)))

            counts = [await world.toys.ask(name, Show()) for name in names]
            assert sum(counts) == 1000
            assert len(world.made) > 20

    run()


@virtual
async def test_a_passivated_actor_is_freed_without_the_collector() -> None:
    """No reference cycle keeps it: whether it was read, written, waited for or had an effect."""

    async def effect() -> str:
        return "done"

    gc.collect()
    gc.disable()
    try:
        async with World(residency=Residency(idle_seconds=1)) as world:
            toys: dict[str, weakref.ref[Toy]] = {}
            await world.toys.ask("written", Add(1))
            await world.toys.ask("effect", Do(lambda toy: toy.saved(start_effect=effect)))
            for name in ("read", "written", "effect"):
                await world.toys.ask(name, one_of(toys))
            assert [name for name, toy in toys.items() if toy() is None] == []
            await world.until(2000)

            assert [name for name, toy in toys.items() if toy() is not None] == []
    finally:
        gc.enable()
