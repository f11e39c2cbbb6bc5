"""A collector over numbers that a test chooses. It tests nothing."""

from collections.abc import Callable
from typing import Any

from actors.breaker import BreakerState
from actors.runtime import Pulse
from actors.stats import CommitStats
from labsessions.metrics.collector import Asked, Metrics, Parts, Sources, WebhookFigures
from labsessions.metrics.lag import LoopLag
from labsessions.metrics.stored import Census
from labsessions.metrics.tally import Tally

CENSUS = Census(
    active=7, cleaning=2, stuck=1, overdue=3, oldest_overdue_seconds=252.5, owed=4, owed_stuck=1, undeliverable=0
)

CRM = WebhookFigures("crm", {"delivered": 5, "failed": 1}, dead_letters=1, lag=3)


def pulse(**changes: Any) -> Pulse:
    """A runtime in order, but for `changes`."""
    members: dict[str, Any] = {
        "stalled_seconds": 0.0,
        "breaker": BreakerState.CLOSED,
        "clock_problem": None,
        "clock_steps": 0,
        "last_step_ms": 0.0,
        "effects": 5,
        "slots_in_use": 3,
        "slots": 64,
        "resident": 9,
        "commits": CommitStats(),
    }
    return Pulse(**(members | changes))


class Asking:
    """What is asked for; counts how often, and raises `fault` if there is one."""

    def __init__(self) -> None:
        self.times = 0
        self.fault: Exception | None = None

    async def __call__(self) -> Asked:
        """See `Sources.ask`."""
        self.times += 1
        if self.fault is not None:
            raise self.fault
        return Asked(CENSUS, free_bytes=1_000_000, backup_ms=1_700_000_000_000, webhooks=[CRM])


def metrics(
    asking: Asking | None = None, the_pulse: Callable[[], Pulse] = pulse, *, paused: bool = False, **changes: Any
) -> Metrics:
    """A collector where every family has a sample."""
    tally = Tally()
    tally.answered("GET", "/x/{user_id}", 200, 0.002)
    tally.answered("GET", "/x/{user_id}", 404, 0.2)
    tally.called("/api/v1/labs/delete", "202", 0.02)
    sources: dict[str, Any] = {
        "version": "1.2.3",
        "tally": tally,
        "lag": LoopLag(),
        "pulse": the_pulse,
        "ask": asking or Asking(),
        "parts": Parts(paused=lambda: paused, orphans=lambda: 2),
    }
    return Metrics(Sources(**(sources | changes)))
