"""The embedded engine: the core on the durable actors of this process, one SessionManager per user."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from actors.actor import DurableActor, Outcome, WakeUp
from actors.clock import Clock
from actors.errors import ActorError
from actors.ids import ActorId
from actors.runtime import Runtime
from actors.storage import Alarm, Append, Lane, Write
from labsessions.core.audit import Entry, entry_of, line
from labsessions.core.codec import decode, encode
from labsessions.core.machine import decide, is_notice, is_retry, wake_at
from labsessions.core.messages import Abandon, AttemptEnded, Clean, Event, Message, Operated, Reply, Wake
from labsessions.core.model import State
from labsessions.core.policy import Policy
from labsessions.engines.narration import Log, narrate
from labsessions.engines.tables import AUDIT, projected
from labsessions.log_lines import bound_logger
from labsessions.ports import Cleaner, EngineError

NAMESPACE = "SessionManager"
# Longer than an attempt may take, so that a cleaner that keeps to the limit is never cut short.
GRACE_SECONDS = 1.0
OVERDUE = "the attempt did not end within its limit"
_WAKE = Wake()


def lane_of(state: State) -> Lane:
    """The lane in which the state's wake-up waits."""
    if is_notice(state):
        return Lane.NOTICE
    return Lane.RETRY if is_retry(state) else Lane.FIRST


def write_of(
    user_id: str, state: State, events: tuple[Event, ...], now_ms: int, before: State, audit: Entry | None = None
) -> Write:
    """How a user's state is stored after `before`: its cell, its wake-up and its rows, all derived from it.

    `now_ms` is when the events that led to it have happened; `audit` is the operator's action that did.
    """
    rows = projected(user_id, state, events, now_ms, before)
    if audit is not None:
        rows.append(Append(AUDIT, tuple(line(audit, now_ms).values())))
    due_ms = wake_at(state)
    return Write(
        ActorId(NAMESPACE, user_id),
        cell=encode(state),
        alarm=None if due_ms is None else Alarm(due_ms, lane_of(state)),
        rows=rows,
    )


class SessionManager(DurableActor):
    """One user's actor: it asks the core what a message means, and hands the runtime what follows from it."""

    def __init__(
        self,
        actor_id: ActorId,
        runtime: Runtime,
        cleaner: Cleaner,
        policy: Policy,
        log: Log,
        *,
        announce: Callable[[str], None],
        happened: Callable[[tuple[Event, ...]], None],
    ) -> None:
        super().__init__(actor_id, runtime)
        self._clock = runtime.clock
        self._breaker = runtime.breaker
        self._cleaner = cleaner
        self._policy = policy
        self._log = log
        self._announce = announce
        self._happened = happened
        self._state = State()

    def restore(self, cell: bytes | None) -> None:
        """See `DurableActor`."""
        self._state = decode(cell)

    def receive(self, message: Message | WakeUp) -> Outcome:
        """See `DurableActor`."""
        woken = isinstance(message, WakeUp)
        said = _WAKE if isinstance(message, WakeUp) else message
        now_ms = self._clock.now_ms()
        decision = decide(self._state, said, now_ms, self._policy)
        audit = entry_of(self.actor_id.name, said, decision.reply) if isinstance(said, Operated) else None
        if decision.state is self._state and not woken and audit is None:
            return Outcome(decision.reply)
        # A wake-up writes even if nothing was due: should the stored alarm ever disagree with the state, this mends it.
        write = write_of(self.actor_id.name, decision.state, decision.events, now_ms, before=self._state, audit=audit)
        self._state = decision.state
        clean = next((effect for effect in decision.effects if isinstance(effect, Clean)), None)
        return Outcome(
            reply=decision.reply,
            write=write,
            committed=lambda: self._tell(decision.events),
            cancel_effect=any(isinstance(effect, Abandon) for effect in decision.effects),
            start_effect=None if clean is None else lambda: self._clean(clean),
        )

    def _tell(self, events: tuple[Event, ...]) -> None:
        """Whoever wants to know of the events, now that they are durable."""
        narrate(events, self._log)
        if events:
            self._announce(self.actor_id.name)
            self._happened(events)

    async def _clean(self, effect: Clean) -> AttemptEnded:
        """An attempt, whose end doesn't depend on the cleaner: one that hung would keep its slot for ever."""
        begun = self._breaker.begins()
        try:
            async with asyncio.timeout(effect.limit_ms / 1000 + GRACE_SECONDS):
                ended = await self._cleaner.clean(effect)
        except TimeoutError:  # the cleaner's fault, which tells nothing of the backend
            return AttemptEnded(effect.generation, effect.attempt, confirmed=(), error=OVERDUE)
        if ended.backend_up:
            self._breaker.answered()
        elif ended.backend_up is False:
            self._breaker.failed(begun)
        return ended


class EmbeddedEngine:
    """`ports.Sessions` on a `Runtime`. HTTP reaches a SessionManager only by messages to its mailbox.

    `announce` is called with the id of a user when new events of it are durable, `happened` with the events; both
    must return at once.
    """

    def __init__(
        self,
        runtime: Runtime,
        cleaner: Cleaner,
        policy: Policy,
        manager: type[SessionManager] = SessionManager,
        announce: Callable[[str], None] = lambda user_id: None,  # noqa: ARG005 - nobody is told
        happened: Callable[[tuple[Event, ...]], None] = lambda events: None,  # noqa: ARG005 - likewise
    ) -> None:
        self._clock: Clock = runtime.clock
        self.policy = policy
        log = bound_logger()
        self._namespace = runtime.namespace(
            NAMESPACE,
            lambda actor_id: manager(actor_id, runtime, cleaner, policy, log, announce=announce, happened=happened),
        )

    async def ask(self, user_id: str, message: Message) -> Reply:
        """See `ports.Sessions`."""
        try:
            reply: Any = await self._namespace.ask(user_id, message)
        except ActorError as error:
            raise EngineError(str(error)) from error
        return cast("Reply", reply)

    def now_ms(self) -> int:
        """See `ports.Sessions`."""
        return self._clock.now_ms()
