"""The simulated lab backend, in the place of the HTTP client: the real cleaner makes its calls to it.

Each call may be confirmed, refused, or hang until its time is over, with the VM deleted or not; each attempt may be
cut short on its way back. What has died with its process neither calls nor hears any more.
"""

import asyncio
from collections import Counter
from contextlib import AbstractContextManager
from random import Random
from typing import Final, Protocol

from labsessions.backend import BackendCleaner
from labsessions.backend.reasons import Outage
from labsessions.core.messages import AttemptEnded, Clean
from labsessions.engines.embedded import GRACE_SECONDS
from labsessions.simulation.ledger import Ledger
from labsessions.simulation.profiles import Profile
from labsessions.simulation.trace import BrokenError, Trace

# How long an answer takes, in seconds; the longer ones are too late for a short call.
HEALTHY_SECONDS: Final = 0.02
LATENCIES: Final = (0.001, 0.02, 0.02, 0.3, 2.0)


class Backend:
    """The one backend of a run; it outlives the processes. `healthy` at the end of the run: every call succeeds."""

    def __init__(self, rng: Random, profile: Profile, ledger: Ledger, trace: Trace, counts: Counter[str]) -> None:
        self.healthy = False
        self.down = False
        self.outcomes: list[tuple[str, AttemptEnded]] = []
        """With the user: to be told again."""
        self.ledger = ledger
        self.trace = trace
        self.profile = profile
        self.rng = rng
        self.counts = counts

    def answer(self, seconds: float) -> tuple[str | None, float]:
        """What becomes of a call: the reason of its failure, or None, and after which time."""
        if self.healthy:
            return None, HEALTHY_SECONDS
        kind = self.rng.random()
        latency = self.rng.choice(LATENCIES)
        if kind < self.profile.hangs or latency >= seconds:
            self.counts["fault: answer lost or late"] += 1
            return Outage("timed out"), seconds
        if self.down or kind < self.profile.hangs + self.profile.fails:
            self.counts["fault: call refused"] += 1
            return Outage("HTTP 503"), latency
        return None, latency


class Host(Protocol):
    """What calls and attempts need to know of the process that they belong to."""

    backend: Backend
    configured: bool
    call_timeout_seconds: float
    dead: bool

    def elapsed_ms(self) -> int:
        """Virtual milliseconds since the beginning of the run."""
        ...

    def look(self) -> None:
        """Note what holds back everybody, before an outcome may change it."""
        ...

    def watching(self) -> AbstractContextManager[None]:
        """Notes a BrokenError that is raised inside, and goes on."""
        ...


class SimulatedCalls:
    """Has the shape of `BackendClient`, and serves one attempt."""

    def __init__(self, process: Host, clean: Clean) -> None:
        self._process = process
        self._clean = clean

    @property
    def missing(self) -> str | None:
        """See `BackendClient`."""
        return None if self._process.configured else "BACKEND_API_URL is not set"

    async def delete_services(self, master: str, seconds: float) -> str | None:
        """See `BackendClient`."""
        return await self._call("services", master, seconds)

    async def delete_vm(self, vm: str, user_id: str, seconds: float) -> str | None:
        """See `BackendClient`."""
        reason = await self._call(user_id, vm, seconds)
        if reason is None:
            self._process.backend.ledger.vm_confirmed(self._clean, vm)
        return reason

    async def _call(self, what: str, vm: str, seconds: float) -> str | None:
        process = self._process
        await _silence_of_the_dead(process)
        backend = process.backend
        with process.watching():
            backend.ledger.call_started(self._clean)
        limit = min(seconds, process.call_timeout_seconds)
        reason, latency = backend.answer(limit)
        backend.trace.note(process.elapsed_ms(), "call", what, vm, self._clean.attempt, reason)
        await asyncio.sleep(latency)
        await _silence_of_the_dead(process)
        return reason


class SimulatedCleaner:
    """The port `Cleaner`: the real one over simulated calls, and what may happen to an outcome on its way."""

    def __init__(self, process: Host) -> None:
        self._process = process
        self._running: dict[str, float] = {}

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`; raises when told to, which no real one does."""
        process = self._process
        await _silence_of_the_dead(process)
        backend = process.backend
        begun = asyncio.get_running_loop().time()
        with process.watching():
            backend.ledger.attempt_started(effect)
            self._not_at_the_same_time(effect, begun)
        self._running[effect.user_id] = begun + effect.limit_ms / 1000
        try:
            outcome = await BackendCleaner(SimulatedCalls(process, effect)).clean(effect)
        finally:
            self._running.pop(effect.user_id, None)
        await _silence_of_the_dead(process)
        process.look()
        backend.trace.note(process.elapsed_ms(), "outcome", effect.user_id, effect.attempt, outcome.error)
        with process.watching():
            took = asyncio.get_running_loop().time() - begun
            if took > effect.limit_ms / 1000 + 0.001:
                raise BrokenError(7, f"an attempt for {effect.user_id} takes {took:.3f} s, more than its limit")
        if not backend.healthy and backend.rng.random() < backend.profile.outcome_lost:
            backend.counts["fault: outcome lost"] += 1
            if backend.rng.random() < 0.5:  # noqa: PLR2004 - an even chance
                raise RuntimeError("the cleaner has failed")
            await self._never(effect, begun)
        backend.ledger.attempt_ended(outcome)
        backend.outcomes.append((effect.user_id, outcome))
        return outcome

    async def _never(self, effect: Clean, begun: float) -> None:
        """Hang until the engine's patience is over, which it then tells the mailbox itself (invariant 7)."""
        patience = effect.limit_ms / 1000 + GRACE_SECONDS
        try:
            await asyncio.sleep(begun + patience + 0.001 - asyncio.get_running_loop().time())
            await _silence_of_the_dead(self._process)
            with self._process.watching():
                raise BrokenError(7, f"the attempt for {effect.user_id} is still waited for after {patience:.0f} s")
        except asyncio.CancelledError:
            self._process.backend.ledger.attempt_ended(AttemptEnded(effect.generation, effect.attempt, (), None))
            raise

    def _not_at_the_same_time(self, effect: Clean, now: float) -> None:
        until = self._running.get(effect.user_id, now)
        if until > now + 0.001:
            raise BrokenError(2, f"an attempt for {effect.user_id} starts, another one has {until - now:.3f} s left")


async def _silence_of_the_dead(process: Host) -> None:
    """A dead process hears nothing any more, until its loop is cleared away."""
    if process.dead:
        await asyncio.get_running_loop().create_future()
