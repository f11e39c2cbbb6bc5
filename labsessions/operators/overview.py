"""The service at a glance, for operators: counts, what works and what doesn't, and one sentence that says it all."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from actors.breaker import BreakerState
from actors.clock import SystemClock
from actors.pause import Paused
from actors.runtime import Runtime
from labsessions import last_backup
from labsessions.cached import Cached
from labsessions.core.projection import iso
from labsessions.operators.verdict import Situation, verdict
from labsessions.ports import Readiness
from labsessions.readiness import STALLED_SECONDS
from labsessions.repository import Query
from labsessions.repository.census import Census, census, failures
from labsessions.repository.listing import milliseconds

# Ten dashboards cost no more than one.
KEPT_SECONDS: Final = 1.0
# So many of those under cleanup tell what goes wrong with most.
SAMPLE: Final = 1_000


class ServiceOverview:
    """`ports.Overview` of the embedded engine.

    `last_error` is what the last cleanup attempt failed with, None if it didn't; `paused` tells of a pause.
    """

    def __init__(
        self,
        runtime: Runtime,
        query: Query,
        readiness: Readiness,
        data_dir: Path,
        version: str,
        *,
        last_error: Callable[[], str | None] = lambda: None,
        paused: Callable[[], Paused | None] = lambda: None,
    ) -> None:
        self._runtime = runtime
        self._query = query
        self._readiness = readiness
        self._data_dir = data_dir
        self._version = version
        self._last_error = last_error
        self._paused = paused
        self._started_ms = runtime.clock.now_ms()
        self._cached = Cached(self._look, KEPT_SECONDS)

    async def current(self) -> dict[str, Any]:
        """See `ports.Overview`."""
        return await self._cached.get()

    async def _look(self) -> dict[str, Any]:
        ready = await self._readiness.check()
        found, error, store_error = None, None, None
        now_ms = self._runtime.clock.now_ms()
        try:
            found = await census(self._query, now_ms)
            if found.cleaning or found.stuck:
                error = next((group["error"] for group in await failures(self._query, SAMPLE)), None)
        except Exception as failure:  # noqa: BLE001 - whatever keeps the store from answering is the finding
            store_error = str(failure)
        backup_ms = await asyncio.to_thread(last_backup.noted, self._data_dir)
        pulse, paused = self._runtime.pulse(), self._paused()
        backend = self._backend(now_ms)
        counted = Census(0, 0, 0, 0, None, 0, 0, 0) if found is None else found
        oldest_ms = None if counted.oldest is None else milliseconds(counted.oldest)
        judged = verdict(
            Situation(
                now_ms,
                overdue=counted.overdue,
                oldest_ms=oldest_ms,
                stuck=counted.stuck,
                owed_stuck=counted.owed_stuck,
                down_since_ms=backend.since_ms if backend.is_down else None,
                error=error,
                paused=None if paused is None else f"cleanups are paused until {iso(paused.until_ms)}",
                clock_problem=pulse.clock_problem,
                stalled=pulse.stalled_seconds > STALLED_SECONDS,
                store_error=store_error,
            )
        )
        return {
            "server_time": iso(now_ms),
            "version": self._version,
            "started_at": iso(self._started_ms),
            "verdict": {"ok": judged.ok, "text": judged.text, "since": _iso(judged.since_ms)},
            "problems": ready.get("problems", []),
            "counts": None if found is None else _counts(found),
            "oldest_overdue_seconds": None if oldest_ms is None else (now_ms - oldest_ms) / 1000,
            "scheduler": {
                "heartbeat_age_seconds": pulse.stalled_seconds if math.isfinite(pulse.stalled_seconds) else None,
                "paused": None if paused is None else _paused(paused),
                "clock_problem": pulse.clock_problem,
            },
            "backend": {"state": backend.state, "since": _iso(backend.since_ms), "last_error": self._last_error()},
            "last_backup": None if backup_ms is None else _age(backup_ms, now_ms),
            "resident_actors": pulse.resident,
            "effects_running": pulse.effects,
            "test_clock": not isinstance(self._runtime.clock, SystemClock),
        }

    def _backend(self, now_ms: int) -> "_Backend":
        breaker = self._runtime.breaker
        since_ms = now_ms - round(breaker.open_seconds * 1000)
        match breaker.state:
            case BreakerState.OPEN:
                return _Backend("down", since_ms)
            case BreakerState.HALF_OPEN:
                return _Backend("probing", since_ms)
            case _:
                return _Backend("up" if breaker.heard else "unknown", None)


class _Backend(NamedTuple):
    state: str
    since_ms: int | None

    @property
    def is_down(self) -> bool:
        return self.since_ms is not None


def _counts(found: Census) -> dict[str, int]:
    return {
        "active": found.sessions - found.cleaning - found.stuck,
        "ending_soon": found.ending_soon,
        "cleaning": found.cleaning,
        "overdue": found.overdue,
        "stuck": found.stuck,
        "owed": found.owed,
        "owed_stuck": found.owed_stuck,
    }


def _paused(paused: Paused) -> dict[str, str]:
    return {
        "since": iso(paused.since_ms),
        "until": iso(paused.until_ms),
        "reason": paused.reason,
        "by": paused.by,
    }


def _age(at_ms: int, now_ms: int) -> dict[str, Any]:
    return {"at": iso(at_ms), "age_seconds": (now_ms - at_ms) / 1000}


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
