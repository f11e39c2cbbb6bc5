"""The runtime of a simulated process: the real one, made as `bootstrap` does it, and watched where it wakes actors."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actors.alarms import LONGEST_BACKOFF_SECONDS
from actors.clock import Clock
from actors.clock_guard import ClockGuard
from actors.ids import ActorId
from actors.runtime import Runtime
from actors.storage import Store
from labsessions.simulation.profiles import Settings

# There is no such folder: what the clock guard would keep there decides about nothing but a line of the log.
NOWHERE: Final = Path("/dev/null/clock")


class WatchedRuntime(Runtime):
    """Tells `woken` of each wake-up that leaves the dispatcher."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, woken: Callable[[ActorId], None]) -> None:
        passed = asyncio.get_running_loop().time
        super().__init__(
            store,
            clock,
            limits=settings.limits,
            breaker=settings.breaker,
            residency=settings.residency,
            longest_backoff_seconds=min(LONGEST_BACKOFF_SECONDS, settings.policy.retry_interval_ms / 1000),
            guard=None if settings.guard is None else ClockGuard(clock, NOWHERE, settings.guard, passed),
        )
        self._woken = woken

    async def _wake(self, actor_id: ActorId) -> None:
        self._woken(actor_id)
        await super()._wake(actor_id)
