"""What `/health/ready` and `/health` say: can the store be written, has it room, are wake-ups delivered, what lacks.

A lab backend in trouble does not make the service unready: that would take the API away just when people look.
"""

from collections.abc import Awaitable, Callable, Iterator
from math import isfinite
from typing import Any

from actors.breaker import BreakerState
from actors.pause import Paused
from actors.runtime import Health
from labsessions.core.projection import iso
from labsessions.repository import Counts

# The dispatcher waits for the store no longer than a busy database may take (2 s) in good health.
STALLED_SECONDS = 10.0
MIB = 1_048_576


class ServiceReadiness:
    """`ports.Readiness` of the embedded engine. `others`: what else to look at while it goes on."""

    def __init__(
        self,
        health: Callable[[], Awaitable[Health]],
        counts: Callable[[], Awaitable[Counts]],
        free_bytes: Callable[[], Awaitable[int]],
        not_configured: tuple[str, ...],
        *,
        min_free_bytes: int,
        others: Callable[[], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._health = health
        self._counts = counts
        self._free_bytes = free_bytes
        self._others = others
        self.reconfigure(not_configured, min_free_bytes=min_free_bytes)

    def reconfigure(self, not_configured: tuple[str, ...], *, min_free_bytes: int) -> None:
        """Other things are missing, other room is little, from now on."""
        self._not_configured = not_configured
        self._min_free_bytes = min_free_bytes

    async def check(self) -> dict[str, Any]:
        """See `ports.Readiness`."""
        problems = [f"{name} is not set: cleanups are retried until it is" for name in self._not_configured]
        try:
            health = await self._health()
            counts = await self._counts()
            free_bytes = await self._free_bytes()
            others = [] if self._others is None else await self._others()
        except Exception as error:  # noqa: BLE001 - whatever keeps the store from answering is the finding
            problems.append(f"the store cannot be read: {error}")
            return {"ready": False, "problems": problems, "not_configured": list(self._not_configured)}
        ready = True
        if health.write_error is not None:
            ready = False
            problems.append(f"the last write to the store failed: {health.write_error}")
        if health.stalled_seconds > STALLED_SECONDS:
            ready = False
            problems.append("the dispatcher of wake-ups stands still")
        problems += [*self._while_ready(health, counts, free_bytes), *others]
        return {
            "ready": ready,
            "problems": problems,
            "not_configured": list(self._not_configured),
            "stuck": counts.stuck,
            "owed_stuck": counts.owed_stuck,
            "from_future": counts.from_future,
            "undeliverable": health.undeliverable,
            "overdue_seconds": health.overdue_ms / 1000,
            "heartbeat_age_seconds": health.stalled_seconds if isfinite(health.stalled_seconds) else None,
            "breaker": health.breaker.value,
            "free_mib": free_bytes // MIB,
            "paused": _paused(health.paused),
        }

    def _while_ready(self, health: Health, counts: Counts, free_bytes: int) -> Iterator[str]:
        """What somebody should look at while the service goes on."""
        if free_bytes < self._min_free_bytes:
            free = f"{free_bytes // MIB} MiB are free for the data, less than {self._min_free_bytes // MIB}"
            yield f"{free}: make room, or soon nothing is stored"
        if health.undeliverable:
            yield f"wake-ups that cannot be delivered: {health.undeliverable}; see delivery_error in actor_cells"
        if health.breaker in (BreakerState.OPEN, BreakerState.HALF_OPEN):
            yield f"the lab backend has been down for {health.open_seconds:.0f} s: cleanups wait, probes go on"
        if health.paused is not None:
            yield f"cleanups are {health.paused}"
        if health.clock_problem is not None:
            yield health.clock_problem
        if counts.stuck:
            yield f"sessions stuck in cleanup: {counts.stuck}; see last_error in labs_sessions"
        if counts.owed_stuck:
            yield f"VMs of deleted sessions stuck in cleanup: {counts.owed_stuck}; see last_error in owed_vms"
        if counts.from_future:
            told = f"sessions created later than now: {counts.from_future}"
            yield f"{told}; they run so much longer, see python run.py doctor"


def _paused(paused: Paused | None) -> dict[str, str] | None:
    if paused is None:
        return None
    return {"since": iso(paused.since_ms), "until": iso(paused.until_ms), "reason": paused.reason, "by": paused.by}
