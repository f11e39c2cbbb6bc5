"""What health reads past the actors: counts as of the last commit, each found by an index of its own."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from builders import POLICY, User, worker_nodes
from data_files import data_with
from msgspec import structs

from actors.sqlite import open_store
from labsessions.core.messages import Delete
from labsessions.engines.tables import schema
from labsessions.repository import COUNTS, Counts, Repository

NOTHING = Counts(stuck=0, owed_stuck=0)


def counted(folder: Path, *users: User) -> Counts:
    """The counts over these users, as the service's own connection sees them."""

    async def ask(database: Path) -> Counts:
        store = await open_store(database, (schema(),))
        try:
            return await Repository(store.query).counts()
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
    assert counted(tmp_path, *some) == Counts(stuck=2, owed_stuck=2)


def test_no_count_reads_a_table(tmp_path: Path) -> None:
    """A look at health costs the same with a million sessions: each count searches an index."""
    with closing(sqlite3.connect(data_with(tmp_path, ()))) as database:
        plan = [line for *_, line in database.execute(f"EXPLAIN QUERY PLAN {COUNTS}")]
    looks = [line for line in plan if not line.startswith(("SCAN CONSTANT ROW", "SCALAR SUBQUERY"))]
    assert looks
    assert all(line.startswith("SEARCH") and "INDEX" in line for line in looks), plan
