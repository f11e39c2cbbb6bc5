"""The durable actor: load, receive, commit, gate, reply, effects.

What an author writes is synchronous: `restore` the state from the cell, and `receive` a message and return an
`Outcome`. The runtime does the rest in this order: make the write durable, then log, then cancel or start the
effect, then reply. Nothing leaves before the write that it depends on (output gate), and the next message is
taken after the commit, so nothing uncommitted can be read.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, NamedTuple, Protocol

from actors.effects import Effect, Effects
from actors.errors import ActivationError, UnansweredWakeUpError
from actors.ids import ActorId
from actors.mailbox import MailboxActor
from actors.storage import Alarm, Operation, Write


class WakeUp:
    """The message by which an alarm is delivered. A question: the actor looks what is due and writes its alarm."""

    __slots__ = ()


WAKE_UP = WakeUp()


class Outcome(NamedTuple):
    """What a message led to. `committed` runs after the commit in the sender's context: for log lines."""

    reply: Any = None
    write: Write | None = None
    committed: Callable[[], None] | None = None
    cancel_effect: bool = False
    start_effect: Effect | None = None


class ActorServices(Protocol):
    """What an actor needs of the runtime."""

    effects: Effects

    def load(self, actor_id: ActorId) -> Awaitable[bytes | None]:
        """The actor's cell."""
        ...

    def commit(self, operation: Operation) -> Awaitable[None]:
        """Done when durable; CommitError otherwise."""
        ...

    def armed(self, actor_id: ActorId, alarm: Alarm) -> None:
        """Tell the alarms that one is stored."""
        ...


class DurableActor(MailboxActor):
    """One id's actor. Any failure resets it: it forgets its memory and reads its cell again at the next message."""

    def __init__(self, actor_id: ActorId, services: ActorServices) -> None:
        super().__init__(str(actor_id))
        self.actor_id = actor_id
        self.last_used = 0.0
        """When it was last spoken to, on the loop's clock; kept by its namespace."""
        self._services = services
        self._active = False

    @abstractmethod
    def restore(self, cell: bytes | None) -> None:
        """Take the state from the cell (None: there is none). An exception means that it cannot be understood."""

    @abstractmethod
    def receive(self, message: Any) -> Outcome:
        """Decide. Must not touch anything outside of the actor; a WakeUp must be answered with a write."""

    async def handle(self, message: Any, context: Context) -> Any:
        """See `MailboxActor`. ActivationError, CommitError, or what `receive` raised."""
        if not self._active:
            await self._activate(context)
        try:
            outcome = context.run(self._decide, message)
            if outcome.write is not None:
                await self._services.commit(outcome.write)
        except BaseException:
            self._active = False
            raise
        self._release(outcome, context)
        return outcome.reply

    def _decide(self, message: Any) -> Outcome:
        outcome = self.receive(message)
        if isinstance(message, WakeUp) and outcome.write is None:
            raise UnansweredWakeUpError(f"{self.actor_id} took a wake-up without a write")
        return outcome

    async def _activate(self, context: Context) -> None:
        try:
            cell = await self._services.load(self.actor_id)
            context.run(self.restore, cell)
        except Exception as error:
            raise ActivationError(f"{self.actor_id} cannot be activated: {error}") from error
        self._active = True

    def _release(self, outcome: Outcome, context: Context) -> None:
        """Open the gate: what was held back until the commit goes out."""
        if outcome.write is not None and outcome.write.alarm is not None:
            self._services.armed(self.actor_id, outcome.write.alarm)
        if outcome.cancel_effect:
            self._services.effects.cancel(self.actor_id)
        if outcome.committed is not None:
            context.run(outcome.committed)
        if outcome.start_effect is not None:
            self._services.effects.start(self.actor_id, outcome.start_effect, context)
