"""One life of the service: the real runtime and engine on a disk that outlives it, from its start to its end.

A process is an event loop of its own. Its death abandons the loop with everything on it: from that moment nothing
becomes durable, no call starts, no reply is heard.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final, cast

from actors.actor import WAKE_UP
from actors.breaker import BreakerState
from actors.ids import ActorId
from actors.storage import DueAlarm, Lane, Operation
from actors.testing import MemoryDisk, VirtualClock
from labsessions.core.messages import Keyed, Message, Operated
from labsessions.engines.embedded import NAMESPACE, EmbeddedEngine
from labsessions.ports import EngineError
from labsessions.simulation.backend import Backend, SimulatedCleaner
from labsessions.simulation.books import Books, ClientMessage
from labsessions.simulation.deliveries import NOTICED_MS, Deliveries
from labsessions.simulation.journal import Journal
from labsessions.simulation.ledger import Ledger
from labsessions.simulation.profiles import Settings
from labsessions.simulation.runtime import WatchedRuntime
from labsessions.simulation.store import WatchedStore, actor_of
from labsessions.simulation.trace import BrokenError, Trace

FADING_SECONDS: Final = 0.1


class Process:
    """Make it inside the loop that is its own. `broken` is the first invariant that it was seen to break."""

    def __init__(
        self,
        *,
        disk: MemoryDisk,
        wall_ms: int,
        since_ms: int,
        settings: Settings,
        rng: Random,
        backend: Backend,
        books: Books,
        journal: Journal,
        ledger: Ledger,
        trace: Trace,
    ) -> None:
        self.backend = backend
        self.configured = settings.configured
        self.call_timeout_seconds = settings.call_timeout_seconds
        self.dead = False
        self.stopping = False
        self.broken: BrokenError | None = None
        self.clock = VirtualClock(wall_ms)
        self.store = WatchedStore(disk, self, rng)
        self.clients: dict[asyncio.Task[None], None] = {}
        self._since_ms = since_ms
        self._books = books
        self._journal = journal
        self._ledger = ledger
        self._trace = trace
        self._attention = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.deliveries = Deliveries(books, settings.guard)
        self._runtime = WatchedRuntime(self.store, self.clock, settings, self.woken)
        self._engine = EmbeddedEngine(self._runtime, SimulatedCleaner(self), settings.policy)

    def start(self) -> None:
        """Serve."""
        self._runtime.start()

    def elapsed_ms(self) -> int:
        """Virtual milliseconds since the beginning of the run."""
        return self._since_ms + round(self._loop.time() * 1000)

    # --- time ---------------------------------------------------------------------------------------------

    async def turns(self, count: int) -> None:
        """Let the loop turn a few times; no time passes."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def let_pass(self, seconds: float) -> None:
        """Let time pass; returns early if the process dies or breaks an invariant."""
        self._attention.clear()
        if self.dead or self.broken is not None:
            return
        timer = self._loop.call_later(max(0.0, seconds), self._attention.set)
        try:
            await self._attention.wait()
        finally:
            timer.cancel()

    # --- clients ------------------------------------------------------------------------------------------

    def ask(self, user: str, message: ClientMessage | Keyed | Operated) -> None:
        """A client asks, or an operator; its answer is held against the books when it comes."""
        self._client(self._ask(user, message))

    def tell(self, user: str, message: Message | None) -> None:
        """Put something into a mailbox that comes from no client: an outcome, or (None) a wake-up."""
        self._client(self._tell(user, message))

    def client_goes(self, number: int) -> None:
        """One of the waiting clients goes away without its answer."""
        waiting = list(self.clients)
        if waiting:
            waiting[number % len(waiting)].cancel()

    def _client(self, coroutine: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(coroutine)
        self.clients[task] = None
        task.add_done_callback(self.clients.pop)

    async def _ask(self, user: str, message: ClientMessage | Keyed | Operated) -> None:
        request = self._ledger.asked(user, message)
        name = type(message).__name__
        self._trace.note(self.elapsed_ms(), "ask", user, name)
        try:
            reply = await self._engine.ask(user, message)
        except EngineError as error:
            if not self.dead:
                self._trace.note(self.elapsed_ms(), "error", user, name, str(error))
                with self.watching():
                    self._ledger.failed(request, stopping=self.stopping)
        else:
            if not self.dead:
                self._trace.note(self.elapsed_ms(), "reply", user, name, type(reply).__name__)
                with self.watching():
                    self._ledger.replied(request, reply)

    async def _tell(self, user: str, message: Message | None) -> None:
        what = "stale wake-up" if message is None else "outcome again"
        self._trace.note(self.elapsed_ms(), what, user)
        try:
            await self._engine.ask(user, cast("Message", WAKE_UP) if message is None else message)
        except EngineError as error:
            self._trace.note(self.elapsed_ms(), "error", user, what, str(error))

    # --- trouble ------------------------------------------------------------------------------------------

    def spoil(self, user: str, *, reading: bool) -> None:
        """From now on the user's cell cannot be read, or its row not be written."""
        actor_id = ActorId(NAMESPACE, user)
        self._books.of(user).spoiled = True
        if reading:
            self.store.unreadable.add(actor_id)
        else:
            self.store.poisoned[actor_id] = None

    def mend(self) -> None:
        """All is well with the medium again."""
        for actor_id in [*sorted(self.store.unreadable), *self.store.poisoned]:
            self._books.of(actor_id.name).mend()
        self.store.unreadable.clear()
        self.store.poisoned.clear()
        self.store.fail(0)
        self.store.blind = False
        self.store.release()
        self._books.disturbed()

    def step_clock(self, ms: int) -> None:
        """The wall clock is set."""
        self._books.clock_changes()
        self.deliveries.clock_steps(ms)
        self.clock.step(ms)
        self._books.disturbed(self.held_ms())

    def held_ms(self) -> int:
        """How long the clock guard may hold wake-ups back from now, with the time that it takes to notice."""
        until_ms = self.deliveries.held_until_ms
        return max(0, math.ceil(until_ms) - self.elapsed_ms() + NOTICED_MS) if until_ms else 0

    async def fade(self) -> None:
        """After its death: let everything on the loop find out, so that nothing is left half begun."""
        self.store.release()
        await asyncio.sleep(FADING_SECONDS)

    def kill(self) -> None:
        """Now, between two turns of the loop."""
        self.store.dead = True
        self._end()

    async def stop(self, seconds: float) -> None:
        """As at a SIGTERM: in order, with so much time for what is in flight."""
        self.mend()
        self.stopping = True
        await self._runtime.stop(seconds)
        self._end()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What is broken in here is noted; the runtime must not see it, or it would be taken for an actor's fault."""
        try:
            yield
        except BrokenError as broken:
            if self.broken is None and not self.dead:
                self.broken = broken
                self._attention.set()

    # --- the watcher of runtime and backend ---------------------------------------------------------------

    def woken(self, actor_id: ActorId) -> None:
        """A wake-up leaves the dispatcher."""
        if not self.dead:
            self._trace.note(self.elapsed_ms(), "wake-up", actor_id.name)
            self.look()
            with self.watching():
                self.deliveries.woken(actor_id)

    def look(self) -> None:
        """Note what holds back everybody: a breaker that isn't closed, a medium that keeps commits waiting."""
        if self._runtime.breaker.state is not BreakerState.CLOSED or self.store.holds:
            self._books.disturbed()

    # --- the store's watcher ------------------------------------------------------------------------------

    def committed(self, operations: Sequence[Operation]) -> None:
        """See `Watcher`."""
        self._trace.note(self.elapsed_ms(), "stored", *(actor_of(operation).name for operation in operations))
        if (state := self._runtime.breaker.state) is not BreakerState.CLOSED:
            self._books.counts[f"stored while the breaker is {state.value}"] += 1
        self.look()
        with self.watching():
            self._journal.committed(operations)

    def refused(self, operations: Sequence[Operation]) -> None:
        """See `Watcher`."""
        poisoned = any(actor_of(operation) in self.store.poisoned for operation in operations)
        self._trace.note(self.elapsed_ms(), "not stored", *(actor_of(operation).name for operation in operations))
        with self.watching():
            self._journal.refused(operations, poisoned=poisoned)

    def read(self, lane: Lane, window: Sequence[DueAlarm]) -> None:
        """See `Watcher`."""
        self.deliveries.read(lane, window)

    def blinded(self) -> None:
        """See `Watcher`."""
        self._books.disturbed()

    def died(self) -> None:
        """See `Watcher`."""
        self._end()

    def spins(self) -> None:
        """See `Watcher`."""
        with self.watching():
            raise BrokenError(7, "the store is asked again and again without any time passing")

    def _end(self) -> None:
        if not self.dead:
            self._books.clock_changes()
            self.dead = True
            self._ledger.died()
            self._trace.note(self.elapsed_ms(), "end of the process")
            self._attention.set()
