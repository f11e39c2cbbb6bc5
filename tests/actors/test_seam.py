"""The seam to Pykka: what we override is there, and what we promise instead of Pykka's own loop holds."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context
from importlib.metadata import version
from typing import Any

import pykka
import pytest
from actor_kit import virtual
from pykka._envelope import Envelope

from actors.errors import BlockingCallError, StoppedError
from actors.mailbox import Mailbox, MailboxActor, ReplyFuture


class Performer(MailboxActor):
    """Does what the message says: a coroutine function that it awaits."""

    async def handle(self, message: Callable[[], Awaitable[Any]], context: Context) -> Any:
        """See `MailboxActor`."""
        del context
        return await message()


def raising(error: BaseException) -> Callable[[], Awaitable[Any]]:
    """A message whose handler raises `error`."""

    async def act() -> None:
        raise error

    return act


async def fine() -> str:
    """A message whose handler is fine."""
    return "fine"


def after_a_second(answer: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """A message whose handler takes its time."""

    async def act() -> Any:
        await asyncio.sleep(1)
        return await answer()

    return act


async def hang() -> None:
    """A message whose handler never ends."""
    await asyncio.get_running_loop().create_future()


def test_the_pinned_version_of_pykka() -> None:
    """The seam is private API in part: it was read in 4.5, and another major version needs another look."""
    major, minor = (int(part) for part in version("pykka").split(".")[:2])

    assert major == 4
    assert minor >= 5


@pytest.mark.parametrize("hook", ["_create_actor_inbox", "_create_future", "_start_actor_loop"])
def test_pykka_has_the_hooks_that_we_override(hook: str) -> None:
    """Each hook exists on `pykka.Actor` with the parameters of ours."""
    theirs, ours = getattr(pykka.Actor, hook), getattr(MailboxActor, hook)

    assert inspect.signature(theirs).parameters.keys() == inspect.signature(ours).parameters.keys()


@virtual
async def test_pykka_uses_our_inbox_and_our_future() -> None:
    """Constructing an actor asks for our inbox, and `ask` for our future."""
    actor = Performer()

    assert isinstance(actor.actor_inbox, Mailbox)
    assert actor.actor_ref.actor_inbox is actor.actor_inbox
    assert isinstance(actor.actor_ref.ask(fine, block=False), ReplyFuture)
    await actor.drained()


@virtual
async def test_ask_and_tell_reach_the_actor() -> None:
    """`ActorRef.ask(block=False)` and `ActorRef.tell` work as Pykka wrote them."""
    told = asyncio.Event()

    async def note() -> None:
        told.set()

    actor = Performer()
    actor.actor_ref.tell(note)

    assert await actor.actor_ref.ask(fine, block=False) == "fine"
    assert told.is_set()


@virtual
async def test_a_blocking_get_is_refused() -> None:
    """`get` never blocks the loop, with a timeout or without; a blocking `ask` ends the same way."""
    actor = Performer()
    reply = actor.actor_ref.ask(fine, block=False)

    with pytest.raises(BlockingCallError):
        reply.get()
    with pytest.raises(BlockingCallError, match="timeout=0"):
        reply.get(timeout=0)
    with pytest.raises(BlockingCallError):
        actor.actor_ref.ask(fine)
    assert await reply == "fine"


@virtual
async def test_a_retired_actor_refuses_mail() -> None:
    """After `retire`, `ask` fails when awaited and `tell` at once, both with Pykka's own error."""
    actor = Performer()
    actor.retire()

    with pytest.raises(pykka.ActorDeadError):
        await actor.actor_ref.ask(fine, block=False)
    with pytest.raises(pykka.ActorDeadError):
        actor.actor_ref.tell(fine)


@virtual
async def test_the_registry_stays_empty_and_no_thread_is_started() -> None:
    """A hundred actors at work are no threads, and no entry in Pykka's process-wide list."""
    threads = threading.active_count()
    actors = [Performer() for _ in range(100)]
    replies = [actor.actor_ref.ask(fine, block=False) for actor in actors]

    assert threading.active_count() == threads
    assert pykka.ActorRegistry.get_all() == []
    assert [await reply for reply in replies] == ["fine"] * 100


@virtual
async def test_an_actor_is_busy_only_while_it_waits_in_the_middle_of_a_message() -> None:
    """From a message that has to wait until the last message is handled; what needs no waiting is answered at once."""
    actor = Performer()
    at_once = actor.actor_ref.ask(fine, block=False)
    busy = [actor.busy]
    actor.actor_ref.tell(after_a_second(fine))
    behind = actor.actor_ref.ask(fine, block=False)
    busy.append(actor.busy)
    await behind
    busy.append(actor.busy)

    assert busy == [False, True, False]
    assert await at_once == "fine"


@virtual
async def test_mail_that_comes_out_of_a_handler_waits_its_turn() -> None:
    """A handler that sends to its own actor isn't entered again: the message comes after it, in order."""
    order: list[str] = []

    async def outer() -> None:
        actor.actor_ref.tell(inner)
        order.append("outer")

    async def inner() -> None:
        order.append("inner")

    actor = Performer()
    actor.actor_ref.tell(outer)
    await actor.drained()

    assert order == ["outer", "inner"]


@virtual
async def test_a_handler_may_yield_its_turn() -> None:
    """A bare yield, as in `asyncio.sleep(0)`, lets the loop turn once; other mail of the actor still waits."""
    turned: list[str] = []

    async def polite() -> list[str]:
        asyncio.get_running_loop().call_soon(turned.append, "others")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return list(turned)

    actor = Performer()
    reply = actor.actor_ref.ask(polite, block=False)

    assert actor.busy
    assert await reply == ["others"]


@virtual
async def test_an_exception_stops_neither_the_actor_nor_the_others() -> None:
    """An exception goes to whoever asked, as it was raised; both actors go on."""
    actor, other = Performer(), Performer()
    error = LookupError("mine")

    with pytest.raises(LookupError) as raised:
        await actor.actor_ref.ask(raising(error), block=False)

    assert raised.value is error
    assert await actor.actor_ref.ask(fine, block=False) == "fine"
    assert await other.actor_ref.ask(fine, block=False) == "fine"


@virtual
async def test_an_exception_that_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A told message that fails leaves a line in the log, and the actor goes on."""
    actor = Performer()
    actor.actor_ref.tell(raising(LookupError("mine")))

    assert await actor.actor_ref.ask(fine, block=False) == "fine"
    assert [record.message for record in caplog.records] == ["a message that nobody waits for failed: function"]


@virtual
async def test_a_cancelled_handler_stops_nobody_else() -> None:
    """CancelledError refuses this one message; the actor goes on with its mail, and the others never noticed."""
    actor, other = Performer(), Performer()
    cancelled = actor.actor_ref.ask(raising(asyncio.CancelledError()), block=False)
    behind = actor.actor_ref.ask(fine, block=False)
    actor.actor_ref.tell(fine)

    with pytest.raises(StoppedError):
        await cancelled
    assert await behind == "fine"
    assert await other.actor_ref.ask(fine, block=False) == "fine"
    assert await actor.actor_ref.ask(fine, block=False) == "fine"


def test_stock_pykka_stops_everybody_for_the_same_reason() -> None:
    """Why the loop is replaced as a whole: in Pykka's own, one actor's CancelledError stops all actors."""

    class Stock(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: BaseException) -> None:
            raise message

    bystander, culprit = Stock.start(), Stock.start()
    culprit.tell(asyncio.CancelledError())

    assert bystander.actor_stopped.wait(timeout=5)


@virtual
async def test_a_hanging_handler_keeps_only_its_own_mail() -> None:
    """While one handler hangs, its mail waits and the other actors answer."""
    actor, other = Performer(), Performer()
    actor.actor_ref.tell(hang)
    behind = actor.actor_ref.ask(fine, block=False)

    assert await other.actor_ref.ask(fine, block=False) == "fine"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(behind, timeout=3600)
    assert actor.busy


@virtual
async def test_a_reply_to_somebody_who_has_gone_is_dropped() -> None:
    """Whoever stops waiting disturbs nobody: neither a reply nor an exception for them is an error."""
    for answer in (fine, raising(LookupError("mine"))):
        actor = Performer()
        reply = actor.actor_ref.ask(after_a_second(answer), block=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_value(reply), timeout=0.5)

        assert await actor.actor_ref.ask(fine, block=False) == "fine"


@virtual
async def test_the_future_takes_an_exception_as_pykka_hands_it_over() -> None:
    """`set_exception` without arguments takes the exception being handled; without any there is nothing to take."""
    reply = ReplyFuture()
    reply.set_exception()
    try:
        raise LookupError("mine")  # noqa: TRY301 - the point is an exception being handled
    except LookupError:
        reply.set_exception()

    with pytest.raises(LookupError, match="mine"):
        await reply


@virtual
async def test_the_inbox_is_first_come_first_served() -> None:
    """`put`, `get` and `empty` are Pykka's inbox protocol; it works without an actor too."""
    inbox = Mailbox()
    for number in range(3):
        inbox.put(Envelope(number))

    assert [inbox.get().message for _ in range(3)] == [0, 1, 2]
    assert inbox.empty()


async def _value(reply: "pykka.Future[Any]") -> Any:
    return await reply
