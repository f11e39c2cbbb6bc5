"""Identity, get-or-activate, the order of messages, and isolation of one actor's faults."""

import pytest
from actor_kit import Add, Do, Remember, Show, Toy, World, toy_id, virtual

from actors.actor import Outcome
from actors.errors import ActivationError
from actors.ids import ActorId
from actors.runtime import Runtime
from actors.testing import MemoryStore, VirtualClock


def raise_(error: Exception) -> Do:
    """A message whose handler changes the memory, then raises."""

    def act(toy: Toy) -> Outcome:
        toy.count = 99
        raise error

    return Do(act)


def test_the_same_name_is_the_same_id() -> None:
    """ID-01, ID-02: an id is its namespace and its name, and prints as both."""
    assert ActorId("toys", "a") == toy_id("a")
    assert ActorId("other", "a") != toy_id("a")
    assert str(toy_id("a")) == "toys/a"


@virtual
async def test_an_id_and_an_actor_that_nobody_speaks_to_start_nothing() -> None:
    """ID-08: nothing is made, read or run before the first message."""
    async with World() as world:
        toy = Toy(toy_id("a"), world)

        assert not toy.busy
        assert len(world.toys) == 0
        assert world.store.loads == 0


@virtual
async def test_two_hundred_first_calls_make_one_instance() -> None:
    """ID-09: concurrent first calls meet in one instance, which loads once, and no call is lost."""
    async with World() as world:
        replies = [world.toys.ask("a", Add()) for _ in range(200)]

        assert [await reply for reply in replies] == list(range(1, 201))
        assert world.made == ["a"]
        assert world.store.loads == 1
        assert await world.toys.ask("a", Show()) == 200


@virtual
async def test_the_same_name_in_two_namespaces_is_two_actors() -> None:
    """ID-02: namespaces share nothing."""
    world = World()
    runtime = Runtime(MemoryStore(), VirtualClock())
    toys = runtime.namespace("toys", lambda actor_id: Toy(actor_id, world))
    others = runtime.namespace("others", lambda actor_id: Toy(actor_id, world))

    assert await toys.ask("a", Add(1)) == 1
    assert await others.ask("a", Add(5)) == 5
    assert await toys.ask("a", Show()) == 1


@virtual
async def test_messages_are_handled_in_the_order_in_which_they_were_sent() -> None:
    """ORD-01: a thousand messages that nobody waits for in between start in the order of the calls."""
    async with World() as world:
        order: list[int] = []

        def note(number: int) -> Do:
            def act(toy: Toy) -> Outcome:
                order.append(number)
                return toy.saved() if number % 3 else Outcome()

            return Do(act)

        replies = [world.toys.ask("a", note(number)) for number in range(1000)]
        for reply in replies:
            await reply

        assert order == list(range(1000))


@virtual
async def test_an_exception_reaches_the_caller_and_resets_that_actor_only() -> None:
    """ORD-05 and isolation: the caller gets the exception itself; the actor forgets what it hadn't stored."""
    async with World() as world:
        await world.toys.ask("culprit", Add(7))
        await world.toys.ask("other", Remember(5))
        loads = world.store.loads
        error = LookupError("mine")

        with pytest.raises(LookupError) as raised:
            await world.toys.ask("culprit", raise_(error))

        assert raised.value is error
        assert await world.toys.ask("culprit", Show()) == 7
        assert await world.toys.ask("other", Show()) == 5
        assert world.store.loads == loads + 1


@virtual
async def test_messages_behind_a_failing_one_are_handled() -> None:
    """Mail that waits behind a failure meets the actor as it is on the disk."""
    async with World() as world:
        first = world.toys.ask("a", Add(7))
        failing = world.toys.ask("a", raise_(LookupError()))
        last = world.toys.ask("a", Add(1))

        assert await first == 7
        with pytest.raises(LookupError):
            await failing
        assert await last == 8


@virtual
async def test_an_actor_that_cannot_be_read_refuses_its_mail_until_it_can() -> None:
    """LC-06: a failed activation is an error for whoever asked, with the reason; the next message tries afresh."""
    async with World() as world:
        await world.toys.ask("b", Add(1))
        world.store.unreadable.add(toy_id("a"))
        for _ in range(2):
            with pytest.raises(ActivationError, match="toys/a cannot be activated: the cell of toys/a cannot be read"):
                await world.toys.ask("a", Add())
        assert await world.toys.ask("b", Add(1)) == 2

        world.store.unreadable.clear()
        assert await world.toys.ask("a", Add()) == 1


@virtual
async def test_a_cell_that_cannot_be_understood_is_an_activation_error() -> None:
    """An exception in `restore` is the actor's own trouble, and its cell stays as it is."""
    async with World() as world:
        world.disk.cells[toy_id("a")] = b"what is this"

        with pytest.raises(ActivationError):
            await world.toys.ask("a", Add())
        assert world.disk.cells[toy_id("a")] == b"what is this"
