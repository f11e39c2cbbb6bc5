"""What health reads past the actors: counts as of the last commit, each found by an index of its own."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders import HOUR, NOW, POLICY, User, worker_nodes
from data_files import data_with
from msgspec import structs

from actors.sqlite import open_store
from labsessions.core.messages import Delete
from labsessions.core.reanchor import AHEAD_MS
from labsessions.engines.tables import schema
from labsessions.repository import COUNTS, Counts, Repository

NOTHING = Counts(stuck=0, owed_stuck=0, from_future=0)


def counted(folder: Path, *users: User, now_ms: int = NOW) -> Counts:
    """The counts over these users, as the service's own connection sees them at `now_ms`."""

    async def ask(database: Path) -> Counts:
        store = await open_store(database, (schema(),))
        try:
            return await Repository(store.query, lambda: now_ms).counts()
        finally:
            await store.close()

    return asyncio.run(ask(data_with(folder, users)))


def failed(user_id: str, times: int) -> User:
    """A session of two VMs whose cleanup has failed so often."""
    user = User().create(user_id=user_id, generation=user_id.ljust(36, "0"), worker_nodes=worker_nodes("w"))
    for _ in range(times):
        user.expire().fail()
    return user


def owing(user_id: str, times: int) -> User:
    """Likewise, and then deleted by hand: the two VMs are owed."""
    user = failed(user_id, times)
    user.policy = structs.replace(POLICY, owed_after_ms=0)
    user.say(Delete(), user.due_ms)
    return user


def test_nothing_is_stuck(tmp_path: Path) -> None:
    """Neither in an empty file nor where attempts have failed, but not often enough."""
    assert counted(tmp_path / "empty") == NOTHING
    almost = POLICY.stuck_after - 1
    assert counted(tmp_path / "some", failed("a", 0), failed("b", almost), owing("c", 0), owing("d", almost)) == NOTHING


def test_stuck_sessions_and_vms_are_counted_apart(tmp_path: Path) -> None:
    """Sessions of those that clients see, VMs of those that were deleted by hand."""
    limit = POLICY.stuck_after
    some = (failed("a", limit), failed("b", limit + 1), failed("c", limit - 1), owing("d", limit), owing("e", 0))
    assert counted(tmp_path, *some) == NOTHING._replace(stuck=2, owed_stuck=2)


@pytest.mark.parametrize(
    ("ahead_ms", "number"), [(-HOUR, 0), (0, 0), (1, 0), (AHEAD_MS, 0), (AHEAD_MS + 1, 1), (10 * HOUR, 1)]
)
def test_sessions_from_the_future_are_counted(tmp_path: Path, ahead_ms: int, number: int) -> None:
    """Those that run; one that is being cleaned has its deadline behind it. A small step of the clock is none."""
    at_ms = NOW + ahead_ms
    some = (
        User().create(now_ms=NOW, user_id="now"),
        User().create(now_ms=at_ms, user_id="ahead"),
        User().create(now_ms=at_ms, user_id="cleaning", duration=1).expire(),
    )
    assert counted(tmp_path, *some) == NOTHING._replace(from_future=number)
    assert counted(tmp_path, *some, now_ms=max(NOW, at_ms)) == NOTHING


def test_no_count_reads_a_table(tmp_path: Path) -> None:
    """A look at health costs the same with a million sessions: each count searches an index."""
    with closing(sqlite3.connect(data_with(tmp_path, ()))) as database:
        plan = [line for *_, line in database.execute(f"EXPLAIN QUERY PLAN {COUNTS}", ("",))]
    looks = [line for line in plan if not line.startswith(("SCAN CONSTANT ROW", "SCALAR SUBQUERY"))]
    assert looks
    assert all(line.startswith("SEARCH") and "INDEX" in line for line in looks), plan
