"""Pykka on asyncio: inbox, future and actor loop. The only file that imports Pykka.

Pykka lets new actor types supply their inbox, their future and their loop (`_create_actor_inbox`,
`_create_future`, `_start_actor_loop`); `ActorRef.tell` and `ActorRef.ask(block=False)` then work as they stand.
Stock Pykka spends a thread on each actor; here an actor has a task, and only while there is mail.

The loop is replaced as a whole, because Pykka's own treats a BaseException (`CancelledError` is one) as a
reason to stop every actor of the process. Not supported, on purpose: proxies, `stop`, `ActorRegistry`.
"""

import asyncio
import logging
import sys
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Generator
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
        super().__init__()
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

    def __init__(self) -> None:
        super().__init__()
        self._task: asyncio.Task[None] | None = None
        self._mailbox.notify = self._start_actor_loop

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @staticmethod
    def _create_future() -> ReplyFuture:
        return ReplyFuture()

    @abstractmethod
    async def handle(self, message: Any, context: Context) -> Any:
        """The reply to `message`. No other message is handled meanwhile; an exception goes to who asked."""

    @property
    def busy(self) -> bool:
        """Whether a message is being handled or waiting."""
        return self._task is not None

    def retire(self) -> None:
        """Take no more mail: later `ask`s fail with ActorDeadError. Only for an actor that is not busy."""
        self.actor_stopped.set()
        self._mailbox.notify = None  # breaks the cycle, so that memory is freed without the collector

    async def drained(self) -> None:
        """Return when all mail has been handled."""
        while self._task is not None:
            await asyncio.wait([self._task])

    @property
    def _mailbox(self) -> Mailbox:
        return cast("Mailbox", self.actor_inbox)

    def _start_actor_loop(self) -> None:
        if self._task is None:
            # A context of its own: what the first sender has bound must not stick to the task.
            self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())

    async def _work(self) -> None:
        mailbox = self._mailbox
        try:
            while not mailbox.empty():
                envelope, context = mailbox.take()
                await self._answer(envelope, context)
        finally:
            self._task = None
            while not mailbox.empty():  # only if this task was cancelled: nobody may be left waiting
                _refuse(mailbox.get(), StoppedError("the actor was stopped before it took the message"))

    async def _answer(self, envelope: Envelope[Any], context: Context) -> None:
        try:
            reply = await self.handle(envelope.message, context)
        except asyncio.CancelledError:
            _refuse(envelope, StoppedError("the actor was stopped while it handled the message"))
            raise
        except Exception as error:  # the actor's fault stays the actor's
            if envelope.reply_to is None:
                logger.exception("a message that nobody waits for failed: %s", type(envelope.message).__name__)
            else:
                _refuse(envelope, error)
        else:
            if envelope.reply_to is not None:
                envelope.reply_to.set(reply)


def _refuse(envelope: Envelope[Any], error: Exception) -> None:
    if envelope.reply_to is not None:
        envelope.reply_to.set_exception((type(error), error, error.__traceback__))
