"""Pykka on asyncio: inbox, future and actor loop. The only file that imports Pykka.

Pykka lets new actor types supply their inbox, their future and their loop (`_create_actor_inbox`,
`_create_future`, `_start_actor_loop`); `ActorRef.tell` and `ActorRef.ask(block=False)` then work as they stand.
Stock Pykka spends a thread on each actor; here an actor at rest is a few objects, and no task either.

The loop is replaced as a whole, because Pykka's own treats a BaseException (`CancelledError` is one) as a
reason to stop every actor of the process. Not supported, on purpose: proxies, `stop`, `ActorRegistry`.
"""

import asyncio
import logging
import sys
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any, cast

import pykka
from pykka._envelope import Envelope

from actors.errors import BlockingCallError, StoppedError

logger = logging.getLogger(__name__)

_ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class ReplyFuture(pykka.Future[Any]):
    """A reply to come. Await it; `get` raises, as it would block the loop that has to produce the value."""

    def __init__(self) -> None:
        # Without Pykka's own: what it sets is for `get` and its hooks, of which there are none here.
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def get(self, *, timeout: float | None = None) -> Any:
        """Never: raises BlockingCallError."""
        raise BlockingCallError(f"await the reply instead of get(timeout={timeout})")

    def set(self, value: Any = None) -> None:
        """The reply. Ignored if whoever asked has gone."""
        if not self._future.done():
            self._future.set_result(value)

    def set_exception(self, exc_info: _ExcInfo | None = None) -> None:
        """The exception instead of a reply: `exc_info`, by default the one being handled."""
        _, error, _ = exc_info or sys.exc_info()
        if not self._future.done() and error is not None:
            self._future.set_exception(error)

    def __await__(self) -> Generator[Any, None, Any]:
        """The reply, or its exception raised."""
        return self._future.__await__()

    __iter__ = __await__


class Mailbox:
    """The inbox: first come, first served. Each message keeps the context of its sender.

    The context makes the log lines of a handler carry the sender's bound fields (a request id), and keeps
    what one handler binds from the next.
    """

    __slots__ = ("_mail", "notify")

    def __init__(self) -> None:
        self._mail: deque[tuple[Envelope[Any], Context]] = deque()
        self.notify: Callable[[], None] | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        """Called by `ActorRef.tell` and `.ask`. Never blocks."""
        self._mail.append((envelope, copy_context()))
        if self.notify is not None:
            self.notify()

    def get(self) -> Envelope[Any]:
        """The oldest message, without its context (Pykka's protocol)."""
        return self.take()[0]

    def take(self) -> tuple[Envelope[Any], Context]:
        """The oldest message and the context of its sender. IndexError if there is none."""
        return self._mail.popleft()

    def empty(self) -> bool:
        """Whether there is no mail."""
        return not self._mail


class MailboxActor(pykka.Actor):
    """An actor that handles one message after the other on the event loop.

    Construct it directly instead of by `start`, which would register it in Pykka's process-wide list (searched
    from end to end on each removal).
    """

    def __init__(self, name: str = "actor") -> None:
        # What Pykka's own `__init__` sets, without the random URN and the threading.Event that it makes for each
        # actor: they cost more than all the rest.
        self.actor_urn = f"urn:actor:{name}"
        self.actor_inbox = self._create_actor_inbox()
        self.actor_stopped = cast("threading.Event", Flag())
        self._actor_ref = pykka.ActorRef(self)
        self._busy = False
        self._idle: asyncio.Future[None] | None = None
        self._mailbox.notify = self._start_actor_loop

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @staticmethod
    def _create_future() -> ReplyFuture:
        return ReplyFuture()

    @abstractmethod
    async def handle(self, message: Any, context: Context) -> Any:
        """The reply to `message`. No other message is handled meanwhile; an exception goes to who asked.

        May await futures (and what is made of them), but nothing that needs a task of its own, as a timeout does.
        """

    @property
    def busy(self) -> bool:
        """Whether a message is being handled; while there is mail, one always is."""
        return self._busy

    def retire(self) -> None:
        """Take no more mail: later `ask`s fail with ActorDeadError. Only for an actor that is not busy."""
        self.actor_stopped.set()
        self._mailbox.notify = None  # breaks the cycle, so that memory is freed without the collector

    async def drained(self) -> None:
        """Return when all mail has been handled."""
        while self._busy:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._idle])

    @property
    def _mailbox(self) -> Mailbox:
        return cast("Mailbox", self.actor_inbox)

    def _start_actor_loop(self) -> None:
        """Called at each arrival: begin, unless the actor is in the middle of a message."""
        if not self._busy:
            self._work()

    def _work(self) -> None:
        mailbox = self._mailbox
        while not self._busy and not mailbox.empty():
            envelope, context = mailbox.take()
            self._busy = True
            self._step(self.handle(envelope.message, context), envelope)
        if not self._busy and self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    def _step(self, handler: Coroutine[Any, Any, Any], envelope: Envelope[Any]) -> None:
        """Run the handler to its end, or until it has to wait.

        By hand instead of as a task, which costs two turns of the loop: what needs no waiting is answered before
        `ask` returns. In a context of its own, as what the sender has bound must not stick to what is done for many.
        """
        try:
            awaited = Context().run(handler.send, None)
        except StopIteration as end:
            self._busy = False
            if envelope.reply_to is not None:
                envelope.reply_to.set(end.value)
        except asyncio.CancelledError:
            self._busy = False
            _fail(envelope, StoppedError("the actor was stopped while it handled the message"))
        except Exception as error:  # noqa: BLE001 - the actor's fault stays the actor's
            self._busy = False
            _fail(envelope, error)
        else:
            if awaited is None:  # a bare yield, as in `asyncio.sleep(0)`
                asyncio.get_running_loop().call_soon(self._resume, handler, envelope)
            else:
                awaited.add_done_callback(lambda _: self._resume(handler, envelope))

    def _resume(self, handler: Coroutine[Any, Any, Any], envelope: Envelope[Any]) -> None:
        self._step(handler, envelope)
        self._start_actor_loop()


class Flag:
    """The part of threading.Event that Pykka asks an actor's `actor_stopped` for, without a lock."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Raise it."""
        self._set = True

    def is_set(self) -> bool:
        """Whether it was raised."""
        return self._set


def _fail(envelope: Envelope[Any], error: Exception) -> None:
    if envelope.reply_to is not None:
        envelope.reply_to.set_exception((type(error), error, error.__traceback__))
    else:
        logger.error("a message that nobody waits for failed: %s", type(envelope.message).__name__, exc_info=error)
