"""Context variables: the sender's are seen wherever its message leads, and nobody else's are."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

from actor_kit import Add, Arm, Do, Toy, World, at, virtual

from actors.actor import Outcome
from actors.ids import ActorId
from actors.storage import Operation
from actors.testing import MemoryStore

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


def look(toy: Toy) -> Outcome:
    """Reply with the request that the handler sees."""
    del toy
    return Outcome(REQUEST.get())


@virtual
async def test_what_a_handler_binds_does_not_leak_to_the_next_message() -> None:
    """Each message is handled in its own context, also if they come from the same sender."""
    async with World() as world:

        def bind(toy: Toy) -> Outcome:
            del toy
            REQUEST.set("bound by a handler")
            return Outcome(REQUEST.get())

        assert await world.toys.ask("a", Do(bind)) == "bound by a handler"
        assert await world.toys.ask("a", Do(look)) == "none"
        assert REQUEST.get() == "none"


@virtual
async def test_the_first_sender_does_not_stick_to_the_actor() -> None:
    """Two messages in one mailbox are handled by one task, and yet each in its own sender's context."""
    async with World() as world:
        replies = []
        for request in ("one", "two"):
            REQUEST.set(request)
            replies.append(world.toys.ask("a", Do(look)))
        REQUEST.set("three")

        assert [await reply for reply in replies] == ["one", "two"]


@virtual
async def test_the_sender_is_seen_by_receive_committed_the_effect_and_its_result() -> None:
    """A request id is on every line that the request leads to, even when it was held up by others' commits."""
    async with World() as world:
        seen: list[tuple[str, str]] = []
        done = asyncio.Event()

        async def effect() -> Do:
            seen.append(("effect", REQUEST.get()))
            return Do(result)

        def result(toy: Toy) -> Outcome:
            seen.append(("result", REQUEST.get()))
            done.set()
            return look(toy)

        def act(toy: Toy) -> Outcome:
            seen.append(("receive", REQUEST.get()))
            return toy.saved(committed=lambda: seen.append(("committed", REQUEST.get())), start_effect=effect)

        REQUEST.set("request-1")
        world.store.hold()
        reply = world.toys.ask("a", Do(act))
        REQUEST.set("request-2")
        await asyncio.sleep(1)
        world.store.release()
        await reply
        await done.wait()

        assert seen == [(where, "request-1") for where in ("receive", "committed", "effect", "result")]


@virtual
async def test_what_is_done_for_many_belongs_to_no_sender() -> None:
    """The tasks of an actor and of the writer outlive the message that started them: they don't carry its fields."""
    seen: set[tuple[str, str]] = set()

    class CuriousStore(MemoryStore):
        async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
            seen.add(("load", REQUEST.get()))
            return await super().load(actor_ids)

        async def apply(self, operations: Sequence[Operation]) -> None:
            seen.add(("apply", REQUEST.get()))
            await super().apply(operations)

    async with World(other_store=CuriousStore()) as world:
        REQUEST.set("request-1")
        await world.toys.ask("a", Add(1))

        assert seen == {("load", "none"), ("apply", "none")}


@virtual
async def test_a_wake_up_has_no_sender() -> None:
    """Neither who started the runtime nor who armed the alarm is seen by a wake-up."""
    REQUEST.set("the start")
    async with World() as world:
        seen: list[str] = []

        def wake(toy: Toy) -> Outcome:
            seen.append(REQUEST.get())
            return world.note_wake_up(toy)

        world.on_wake = wake
        REQUEST.set("who armed it")
        await world.toys.ask("a", Arm(at(1000)))
        await world.until(1000)

        assert seen == ["none"]
