"""What a scrape asks the store: sessions by state, and the oldest that is overdue."""

import asyncio
from pathlib import Path

import pytest
from builders import NOW, POLICY, User
from data_files import data_with, sql
from msgspec import structs

from actors.sqlite import open_store
from labsessions.core.messages import Delete
from labsessions.engines.tables import schema
from labsessions.metrics.stored import UNDELIVERABLE, Census, take_census
from labsessions.repository.census import CENSUS

NOTHING = Census(0, 0, 0, 0, 0.0, 0, 0, 0)
MINUTE_MS = 60_000


def census(database: Path, now_ms: int) -> Census:
    """As the service's own connection sees it at this instant."""

    async def ask() -> Census:
        store = await open_store(database, (schema(),))
        try:
            return await take_census(store.query, lambda: now_ms)
        finally:
            await store.close()

    return asyncio.run(ask())


def user(name: str, minutes: float = 60) -> User:
    """A running session."""
    return User().create(user_id=name, generation=name.ljust(36, "0"), duration=minutes)


def failed(name: str, minutes: float, times: int) -> User:
    """A session whose cleanup has failed so often."""
    session = user(name, minutes)
    for _ in range(times):
        session.expire().fail()
    return session


def test_nothing_is_nothing(tmp_path: Path) -> None:
    """Neither in an empty file nor with obligations that have only lapsed answers left."""
    assert census(data_with(tmp_path / "data", []), NOW) == NOTHING


@pytest.mark.parametrize(("after_ms", "overdue"), [(-1, 0), (0, 1), (1, 1)])
def test_a_session_is_overdue_from_its_deadline_on(tmp_path: Path, after_ms: int, overdue: int) -> None:
    """One before, equal, one after, though nobody has woken it yet."""
    session = user("a", 60)
    found = census(data_with(tmp_path / "data", [session]), session.session.expires_ms + after_ms)
    assert (found.active, found.overdue) == (1, overdue)
    assert found.oldest_overdue_seconds == pytest.approx(max(0, after_ms) / 1000)


def test_a_warning_that_was_not_delivered_hides_no_overdue_session(tmp_path: Path) -> None:
    """Its alarm waits in the lane of notices, and the deadline has passed meanwhile."""
    session = User(structs.replace(POLICY, warn_before_ms=(MINUTE_MS,))).create(duration=2)
    assert session.session.leads_ms
    database = data_with(tmp_path / "data", [session])
    assert sql(database, "SELECT lane FROM actor_cells") == [(2,)]
    assert census(database, NOW + MINUTE_MS + 1).overdue == 0
    assert census(database, NOW + 3 * MINUTE_MS)[:5] == (1, 0, 0, 1, 60.0)


def test_states_are_counted_and_the_oldest_deadline_is_found(tmp_path: Path) -> None:
    """Whatever alarms come first: that of a retry tells nothing of the deadline."""
    owing = user("d", 500)
    owing.policy = structs.replace(POLICY, owed_after_ms=10 * MINUTE_MS)
    owing.say(Delete(), NOW)
    users = [
        *(user("a", 500), user("b", 500)),
        *(failed("e", 50, 1), user("f", 40).expire()),
        *(failed("9", 30, POLICY.stuck_after), owing),
    ]
    database = data_with(tmp_path / "data", users)
    sql(database, "UPDATE actor_cells SET deferrals = 2 WHERE name = 'a'")
    now_ms = NOW + 60 * MINUTE_MS
    owed = len(owing.state.owed[0].pending)
    assert census(database, now_ms) == Census(
        active=2,
        cleaning=2,
        stuck=1,
        overdue=3,
        oldest_overdue_seconds=30 * 60.0,
        owed=owed,
        owed_stuck=0,
        undeliverable=1,
    )


def test_no_table_is_read_from_end_to_end(tmp_path: Path) -> None:
    """But that of owed VMs, which is nearly always empty: sessions that run cost a look through a small index."""
    database = data_with(tmp_path / "data", [user("a")])
    plan = [str(step) for *_, step in sql(database, f"EXPLAIN QUERY PLAN {CENSUS}", "", "")]
    plan += [str(step) for *_, step in sql(database, f"EXPLAIN QUERY PLAN {UNDELIVERABLE}")]
    scans = [step for step in plan if step.startswith("SCAN") and "INDEX" not in step]
    assert {step.split()[1] for step in scans} <= {"late", "owed_vms", "CONSTANT"}
