"""The runtime: how namespaces, store, writer, alarms, admission and effects meet, and in which order they stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from actors.actor import WAKE_UP, DurableActor
from actors.admission import Admission, Limits
from actors.alarms import LONGEST_BACKOFF_SECONDS, Alarms
from actors.batches import Batches
from actors.breaker import Breaker, BreakerLimits, BreakerState
from actors.clock import Clock
from actors.clock_guard import ClockGuard
from actors.effects import Effects
from actors.group_commit import GroupCommit
from actors.ids import ActorId
from actors.namespace import Namespace
from actors.pause import Pause, Paused
from actors.stats import CommitStats
from actors.storage import Alarm, Lane, Operation, Store

logger = logging.getLogger(__name__)

# For the last mail and the last writes of a stop.
LAST_SECONDS = 1.0
# Cells read in one go: as many as may be asked for at once by the usual number of clients and slots.
LARGEST_LOAD = 256


@dataclass(frozen=True, slots=True)
class Residency:
    """How long an idle actor stays in memory, and how many may be there."""

    idle_seconds: float = 10.0
    max_resident: int = 10_000


@dataclass(frozen=True, slots=True)
class Health:
    """How the runtime does.

    `write_error`: why the last commit failed, if it did. `undeliverable`: wake-ups that back off, as a cell won't
    load, for instance. `overdue_ms`: age of the oldest first wake-up that is due and not delivered.
    `stalled_seconds`: how long ago the dispatcher was in order; infinite if it has ended.
    `breaker`: whether wake-ups are held back as what their effects depend on is down, `open_seconds` for how long.
    `clock_problem`: why the clock isn't trusted, so that wake-ups wait, and what to do about it. `paused`: who holds
    wake-ups back, if anybody does.
    """

    write_error: str | None
    undeliverable: int
    overdue_ms: int
    stalled_seconds: float
    breaker: BreakerState = BreakerState.CLOSED
    open_seconds: float = 0.0
    clock_problem: str | None = None
    paused: Paused | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the runtime knows of itself without asking the store.

    `stalled_seconds`, `breaker` and `clock_problem` as in `Health`. `clock_steps`: how often the clock was seen to be
    set, `last_step_ms` by how much it was last. `effects` run, in `slots_in_use` of the `slots` and beside them;
    `resident` actors are in memory.
    """

    stalled_seconds: float
    breaker: BreakerState
    clock_problem: str | None
    clock_steps: int
    last_step_ms: float
    effects: int
    slots_in_use: int
    slots: int
    resident: int
    commits: CommitStats


class Runtime:
    """One process's actors. Make it, register namespaces, `start`, and `stop` at the end.

    It owns the store: `stop` closes it.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        limits: Limits | None = None,
        breaker: BreakerLimits | None = None,
        residency: Residency | None = None,
        guard: ClockGuard | None = None,
        longest_backoff_seconds: float = LONGEST_BACKOFF_SECONDS,
    ) -> None:
        self.clock = clock
        self.effects = Effects(self._deliver)
        self._store = store
        self._guard = guard
        self._reader: Batches[ActorId, bytes | None] = Batches(store.load, largest=LARGEST_LOAD)
        self._writer = GroupCommit(store)
        self.pause = Pause(clock, self.load, self.commit)
        self._residency = residency or Residency()
        self._namespaces: dict[str, Namespace] = {}
        self._admission = Admission(limits or Limits(), breaker)
        self._alarms = Alarms(
            store=store,
            clock=clock,
            admission=self._admission,
            effects=self.effects,
            wake=self._wake,
            commit=self.commit,
            guard=guard,
            pause=self.pause,
            longest_backoff_seconds=longest_backoff_seconds,
        )

    @property
    def breaker(self) -> Breaker:
        """To be told by effects what they have learnt of the medium behind them."""
        return self._admission.breaker

    def namespace(self, name: str, make: Callable[[ActorId], DurableActor]) -> Namespace:
        """Register the actors of one kind; `make` constructs one, which must not start anything."""
        namespace = Namespace(
            name,
            make,
            idle_seconds=self._residency.idle_seconds,
            max_resident=self._residency.max_resident,
        )
        self._namespaces[name] = namespace
        return namespace

    def start(self) -> None:
        """Begin to deliver wake-ups; the overdue ones go first."""
        if self._guard is not None:
            self._guard.start()
        self._admission.start()
        self._alarms.start()

    def reconfigure(self, limits: Limits, breaker: BreakerLimits) -> None:
        """Admit wake-ups by other limits from now on."""
        self._admission.reconfigure(limits, breaker)

    def stalled_seconds(self) -> float:
        """How long the dispatcher has been waiting for the store; infinite if it has ended. Asks nobody."""
        return self._alarms.stalled_seconds()

    async def stop(self, seconds: float) -> None:
        """Stop in order: no new wake-ups; effects finish within `seconds` or are released; mail; writes; the store.

        Nothing is cleaned up for the occasion: what is unfinished has its alarm. A medium that gives no answer keeps
        it no longer than `LAST_SECONDS` more, and what the medium itself takes to close.
        """
        try:
            async with asyncio.timeout(seconds + LAST_SECONDS):
                await self._alarms.stop()
                await self._admission.stop()
                await self.effects.drain(seconds)
                for namespace in self._namespaces.values():
                    await namespace.drain()
                await self.effects.drain(0)  # what the last mail has started
                await self._writer.drained()
        except TimeoutError:
            logger.warning("the store gave no answer in time: what it still has to write is not acknowledged")
            await self.effects.drain(0)
        self.pause.stop()
        if self._guard is not None:
            await self._guard.stop()
        await self._store.close()

    def load(self, actor_id: ActorId) -> Awaitable[bytes | None]:
        """See `ActorServices`."""
        return self._reader.submit(actor_id)

    def commit(self, operation: Operation) -> Awaitable[None]:
        """See `ActorServices`."""
        return self._writer.commit(operation)

    def armed(self, actor_id: ActorId, alarm: Alarm) -> None:
        """See `ActorServices`."""
        self._alarms.armed(actor_id, alarm)

    async def health(self) -> Health:
        """How it goes. Raises what the store raises if it cannot be read."""
        # Retries may wait for others, so their age tells nothing.
        earliest = [alarm for lane in (Lane.FIRST, Lane.NOTICE) for alarm in await self._store.alarms(lane, 1)]
        return Health(
            write_error=self._writer.last_error,
            undeliverable=await self._store.deferred(),
            overdue_ms=max((0, *(self.clock.now_ms() - alarm.due_ms for alarm in earliest))),
            stalled_seconds=self.stalled_seconds(),
            breaker=self.breaker.state,
            open_seconds=self.breaker.open_seconds,
            clock_problem=None if self._guard is None else self._guard.problem,
            paused=self.pause.current,
        )

    def pulse(self) -> Pulse:
        """How it goes, at once and cheaply."""
        guard = self._guard
        return Pulse(
            stalled_seconds=self._alarms.stalled_seconds(),
            breaker=self.breaker.state,
            clock_problem=None if guard is None else guard.problem,
            clock_steps=0 if guard is None else guard.steps,
            last_step_ms=0.0 if guard is None else guard.last_step_ms,
            effects=len(self.effects),
            slots_in_use=self._admission.slots_in_use,
            slots=self._admission.slots,
            resident=sum(len(namespace) for namespace in self._namespaces.values()),
            commits=self._writer.stats,
        )

    async def next_alarm_ms(self) -> int | None:
        """When the earliest alarm rings, at the end of a pause if it has to wait for that; None if there is none."""
        paused = self.pause.current
        rings: list[int] = []
        for lane in Lane:
            held_ms = 0 if paused is None or lane is Lane.NOTICE else paused.until_ms
            rings += [max(alarm.due_ms, held_ms) for alarm in await self._store.alarms(lane, 1)]
        return min(rings, default=None)

    def is_busy(self) -> bool:
        """Whether an effect runs, a wake-up is under way, or an actor has mail."""
        return (
            len(self.effects) > 0
            or self._alarms.delivering > 0
            or any(namespace.is_busy() for namespace in self._namespaces.values())
        )

    def _deliver(self, actor_id: ActorId, message: Any) -> None:
        self._namespaces[actor_id.namespace].tell(actor_id.name, message)

    async def _wake(self, actor_id: ActorId) -> None:
        await self._namespaces[actor_id.namespace].ask(actor_id.name, WAKE_UP)
