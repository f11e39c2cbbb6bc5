"""What operators are told of the service's state, and what makes it unready."""

from dataclasses import replace
from typing import Any

import pytest

from actors.breaker import BreakerState
from actors.pause import Paused
from actors.runtime import Health
from labsessions.readiness import STALLED_SECONDS, ServiceReadiness
from labsessions.repository import Counts

MIB = 1_048_576
FINE = Health(write_error=None, undeliverable=0, overdue_ms=0, stalled_seconds=0.0)
NONE = Counts(stuck=0, owed_stuck=0, from_future=0)


async def checked(
    health: Health | Exception,
    counts: Counts = NONE,
    not_configured: tuple[str, ...] = (),
    free_bytes: int = 100 * MIB,
    min_free_bytes: int = 64 * MIB,
) -> dict[str, Any]:
    """The report on a runtime in this state, on a file system with so much room."""

    async def of_runtime() -> Health:
        if isinstance(health, Exception):
            raise health
        return health

    async def of_tables() -> Counts:
        return counts

    async def of_disk() -> int:
        return free_bytes

    readiness = ServiceReadiness(of_runtime, of_tables, of_disk, not_configured, min_free_bytes=min_free_bytes)
    return await readiness.check()


async def test_all_is_well() -> None:
    """Ready, without a problem; figures are there all the same, in seconds."""
    assert await checked(replace(FINE, overdue_ms=1500)) == {
        "ready": True,
        "problems": [],
        "not_configured": [],
        "stuck": 0,
        "owed_stuck": 0,
        "from_future": 0,
        "undeliverable": 0,
        "overdue_seconds": 1.5,
        "heartbeat_age_seconds": 0.0,
        "breaker": "closed",
        "free_mib": 100,
        "paused": None,
    }


async def test_a_pause_is_shown_and_no_reason_to_be_unready() -> None:
    """Who holds cleanups back, until when and why; a problem, as somebody may have forgotten it."""
    paused = Paused(1_800_000_000_000, 1_800_000_060_000, "the backend moves", "ada")
    report = await checked(replace(FINE, paused=paused))
    assert report["ready"]
    assert report["problems"] == ["cleanups are paused by ada until 2027-01-15T08:01:00Z: the backend moves"]
    assert report["paused"] == {
        "since": "2027-01-15T08:00:00.000Z",
        "until": "2027-01-15T08:01:00.000Z",
        "reason": "the backend moves",
        "by": "ada",
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
            FINE,
            NONE._replace(from_future=3),
            (),
            "sessions created later than now: 3; they run so much longer, see python run.py doctor",
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


async def test_the_age_of_the_heartbeat_is_told() -> None:
    """In seconds; none if the dispatcher has ended, which is the worst that can happen to it."""
    assert (await checked(replace(FINE, stalled_seconds=3.5)))["heartbeat_age_seconds"] == 3.5
    ended = await checked(replace(FINE, stalled_seconds=float("inf")))
    assert (ended["ready"], ended["heartbeat_age_seconds"]) == (False, None)
    assert ended["problems"] == ["the dispatcher of wake-ups stands still"]


async def test_a_dispatcher_that_waits_no_longer_than_it_may_is_fine() -> None:
    """The near miss: exactly the limit."""
    assert (await checked(replace(FINE, stalled_seconds=STALLED_SECONDS)))["ready"] is True


@pytest.mark.parametrize(
    ("free", "least", "problems"),
    [
        (64 * MIB - 1, 64 * MIB, ["63 MiB are free for the data, less than 64: make room, or soon nothing is stored"]),
        (64 * MIB, 64 * MIB, []),
        (64 * MIB + 1, 64 * MIB, []),
        (0, MIB, ["0 MiB are free for the data, less than 1: make room, or soon nothing is stored"]),
        (0, 0, []),
    ],
)
async def test_little_room_is_told_while_there_still_is_some(free: int, least: int, problems: list[str]) -> None:
    """Less than the least is a problem; zero is off. It is ready as long as a write succeeds."""
    report = await checked(FINE, free_bytes=free, min_free_bytes=least)
    assert (report["ready"], report["problems"], report["free_mib"]) == (True, problems, free // MIB)


async def test_what_other_parts_report_is_a_problem_too() -> None:
    """Beside those of its own, and the service stays ready."""

    async def others() -> list[str]:
        return ["the webhook ops is disabled"]

    async def health() -> Health:
        return replace(FINE, undeliverable=1)

    async def counts() -> Counts:
        return NONE

    async def free_bytes() -> int:
        return 100 * MIB

    readiness = ServiceReadiness(health, counts, free_bytes, (), min_free_bytes=0, others=others)
    report = await readiness.check()
    assert report["ready"]
    assert [problem.partition(":")[0] for problem in report["problems"]] == [
        "wake-ups that cannot be delivered",
        "the webhook ops is disabled",
    ]


async def test_other_settings_count_from_the_next_look_on() -> None:
    """What is missing, and how little room is a problem."""

    async def of_runtime() -> Health:
        return FINE

    async def of_tables() -> Counts:
        return NONE

    async def of_disk() -> int:
        return 100 * MIB

    readiness = ServiceReadiness(of_runtime, of_tables, of_disk, ("A",), min_free_bytes=100 * MIB)
    assert (await readiness.check())["not_configured"] == ["A"]
    readiness.reconfigure((), min_free_bytes=100 * MIB)
    assert (await readiness.check())["problems"] == []
    readiness.reconfigure((), min_free_bytes=100 * MIB + 1)
    assert len((await readiness.check())["problems"]) == 1
