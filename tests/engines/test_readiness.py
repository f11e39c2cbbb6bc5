"""What operators are told of the service's state, and what makes it unready."""

from dataclasses import replace
from typing import Any

import pytest

from actors.breaker import BreakerState
from actors.runtime import Health
from labsessions.readiness import STALLED_SECONDS, ServiceReadiness
from labsessions.repository import Counts

FINE = Health(write_error=None, undeliverable=0, overdue_ms=0, stalled_seconds=0.0)
NONE = Counts(stuck=0, owed_stuck=0)


async def checked(
    health: Health | Exception, counts: Counts = NONE, not_configured: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The report on a runtime in this state."""

    async def of_runtime() -> Health:
        if isinstance(health, Exception):
            raise health
        return health

    async def of_tables() -> Counts:
        return counts

    return await ServiceReadiness(of_runtime, of_tables, not_configured).check()


async def test_all_is_well() -> None:
    """Ready, without a problem; figures are there all the same, in seconds."""
    assert await checked(replace(FINE, overdue_ms=1500)) == {
        "ready": True,
        "problems": [],
        "not_configured": [],
        "stuck": 0,
        "owed_stuck": 0,
        "undeliverable": 0,
        "overdue_seconds": 1.5,
        "breaker": "closed",
    }


@pytest.mark.parametrize(
    ("health", "counts", "not_configured", "problem"),
    [
        (replace(FINE, undeliverable=3), NONE, (), "wake-ups that cannot be delivered: 3"),
        (FINE, NONE._replace(stuck=2), (), "sessions stuck in cleanup: 2; see last_error in labs_sessions"),
        (
            FINE,
            NONE._replace(owed_stuck=4),
            (),
            "VMs of deleted sessions stuck in cleanup: 4; see last_error in owed_vms",
        ),
        (
            replace(FINE, breaker=BreakerState.OPEN, open_seconds=61.4),
            NONE,
            (),
            "the lab backend has been down for 61 s",
        ),
        (
            replace(FINE, breaker=BreakerState.HALF_OPEN, open_seconds=5),
            NONE,
            (),
            "the lab backend has been down for 5 s",
        ),
        (replace(FINE, clock_problem="the clock was set"), NONE, (), "the clock was set"),
        (FINE, NONE, ("BACKEND_API_URL",), "BACKEND_API_URL is not set"),
    ],
)
async def test_trouble_with_labs_or_backend_is_told_but_leaves_it_ready(
    health: Health, counts: Counts, not_configured: tuple[str, ...], problem: str
) -> None:
    """Unready would take the API away just when people look."""
    report = await checked(health, counts, not_configured)
    assert report["ready"] is True
    assert [problem in told for told in report["problems"]] == [True]


@pytest.mark.parametrize(
    ("health", "problem"),
    [
        (replace(FINE, write_error="disk full"), "the last write to the store failed: disk full"),
        (replace(FINE, stalled_seconds=STALLED_SECONDS + 0.1), "the dispatcher of wake-ups stands still"),
        (OSError("gone"), "the store cannot be read: gone"),
    ],
)
async def test_a_store_in_trouble_makes_it_unready(health: Health | Exception, problem: str) -> None:
    """Nothing can be acknowledged, or nothing would be cleaned up."""
    report = await checked(health)
    assert (report["ready"], report["problems"]) == (False, [problem])


async def test_a_dispatcher_that_waits_no_longer_than_it_may_is_fine() -> None:
    """The near miss: exactly the limit."""
    assert (await checked(replace(FINE, stalled_seconds=STALLED_SECONDS)))["ready"] is True
