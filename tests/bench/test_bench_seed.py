"""Seeding leaves what the service would have left; and what is read from its files is what stands in them."""

import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from actors.directory import DataDirectory
from actors.errors import DirectoryInUseError
from actors.runtime import Runtime
from actors.sqlite import open_store
from actors.testing import ManualClock
from labsessions.bench.database import ended, history_line_bytes, pages, wal
from labsessions.bench.labs import lab_body, master_of, user_name
from labsessions.bench.seed import BATCH, MS_PER_MINUTE, Waiting, seed
from labsessions.bootstrap import DATABASE
from labsessions.core.codec import decode
from labsessions.core.messages import AttemptEnded, Clean, Create, Current, Delete, Show
from labsessions.core.policy import Policy
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.http.fields import SessionFields

NOW = 1_764_000_000_123
DURATION_MS = 90_000


class Confirming:
    """A cleaner whose backend confirms everything."""

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        return AttemptEnded(effect.generation, effect.attempt, effect.vms, None)


async def engine(stack: AsyncExitStack, data: Path, clock: ManualClock) -> EmbeddedEngine:
    """The real engine on a data directory, as long as the stack lasts."""
    data.mkdir(exist_ok=True)
    store = await open_store(data / DATABASE, (schema(),))
    runtime = Runtime(store, clock)
    stack.push_async_callback(runtime.stop, 0)
    runtime.start()
    return EmbeddedEngine(runtime, Confirming(), Policy())


def create(user: str) -> Create:
    """What a POST of the benchmark's lab asks the engine for."""
    body = lab_body(user, DURATION_MS / MS_PER_MINUTE)
    return Create("11111111-1111-4111-8111-111111111111", SessionFields(43_200, 43_200).lab(body, new_id="made-up"))


def contents(data: Path) -> list[dict[str, Any]]:
    """Every row of every table, but for the ids that are drawn at random and the text of the schema."""
    found: list[dict[str, Any]] = []
    with closing(sqlite3.connect(data / DATABASE)) as database:
        database.row_factory = sqlite3.Row
        for table in ("actor_cells", "labs_sessions", "session_history", "schema_versions"):
            found += [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]  # noqa: S608
    for row in found:
        row.pop("id", None), row.pop("generation", None)
        if "cell" in row:
            session = decode(row["cell"]).session
            assert session is not None
            lab = structs.replace(session.lab, id="")
            row["cell"] = structs.replace(session, generation="", lab=lab)
    return found


async def test_a_seeded_store_is_what_the_engine_would_have_written(tmp_path: Path) -> None:
    """Row by row and cell by cell, but for the random ids."""
    users = [user_name("seed", number) for number in range(3)]
    await seed(tmp_path / "seeded", [Waiting(user, NOW, DURATION_MS) for user in users])
    async with AsyncExitStack() as stack:
        sessions = await engine(stack, tmp_path / "written", ManualClock(NOW))
        for user in users:
            await sessions.ask(user, create(user))
    assert contents(tmp_path / "seeded") == contents(tmp_path / "written")
    assert len(contents(tmp_path / "seeded")) == 3 + 3 + 2


async def test_the_engine_serves_and_cleans_up_what_was_seeded(tmp_path: Path) -> None:
    """A session is shown as it was sent, and ends at its deadline."""
    user, other = user_name("seed", 1), user_name("seed", 2)
    await seed(tmp_path, [Waiting(user, NOW, DURATION_MS), Waiting(other, NOW, 10 * DURATION_MS)])
    clock = ManualClock(NOW)
    async with AsyncExitStack() as stack:
        sessions = await engine(stack, tmp_path, clock)
        shown = await sessions.ask(user, Show())
        assert isinstance(shown, Current)
        assert (shown.session.lab.lab_request_id, shown.session.expires_ms) == (master_of(user), NOW + DURATION_MS)
        assert shown.session.lab == SessionFields(43_200, 43_200).lab(
            lab_body(user, DURATION_MS / MS_PER_MINUTE), shown.session.lab.id
        )
        await sessions.ask(other, Delete())
    assert ended(tmp_path, "seed") == (1, 0)
    await seed(tmp_path, [Waiting(user_name("overdue", each), NOW, 1) for each in range(3)])
    assert ended(tmp_path, "overdue") == (3, 0)


async def test_a_seed_larger_than_a_commit(tmp_path: Path) -> None:
    """Nothing is lost between two batches."""
    await seed(tmp_path, (Waiting(user_name("seed", each), NOW, DURATION_MS) for each in range(BATCH + 1)))
    assert ended(tmp_path, "seed") == (BATCH + 1, 0)


async def test_a_directory_in_use_is_not_seeded(tmp_path: Path) -> None:
    """The service would not know of what it didn't write."""
    directory = DataDirectory(tmp_path)
    directory.claim()
    try:
        with pytest.raises(DirectoryInUseError):
            await seed(tmp_path, [])
    finally:
        directory.release()


def test_users_are_spread_and_each_has_an_id_of_its_own() -> None:
    """The same number is the same user; the order of numbers isn't that of ids."""
    users = [user_name("seed", each) for each in range(1_000)]
    assert users == [user_name("seed", each) for each in range(1_000)]
    assert len(set(users)) == 1_000
    assert users != sorted(users)


def test_the_write_ahead_log_is_counted_by_commit_and_page(tmp_path: Path) -> None:
    """Transactions, not statements; and a log that was begun again is told from the one before by its salts."""
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        assert wal(tmp_path).commits == 0
        database.execute("CREATE TABLE things (thing TEXT)")
        first = wal(tmp_path)
        for _ in range(3):
            database.execute("BEGIN")
            database.executemany("INSERT INTO things VALUES (?)", [("x" * 10,)] * 5)
            database.execute("COMMIT")
        then = wal(tmp_path)
        assert (then.commits - first.commits, then.pages - first.pages, then.salts) == (3, 3, first.salts)
        assert then.written_bytes - first.written_bytes == 3 * (4096 + 24)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert wal(tmp_path) == (0, 0, 0, b"")
        database.execute("INSERT INTO things VALUES ('y')")
        assert wal(tmp_path).commits == 1
        assert wal(tmp_path).salts != first.salts


def test_there_is_no_log_where_there_is_no_database(tmp_path: Path) -> None:
    """Nothing was written, nothing is counted."""
    assert wal(tmp_path) == (0, 0, 0, b"")


async def test_pages_and_lines_of_history(tmp_path: Path) -> None:
    """Sizes in bytes; a line without its NULLs' names is a few hundred characters, and none is 0."""
    await seed(tmp_path, [Waiting(user_name("seed", each), NOW, DURATION_MS) for each in range(50)])
    assert history_line_bytes(tmp_path) == 0
    full = pages(tmp_path)
    assert full.file_bytes == (tmp_path / DATABASE).stat().st_size
    async with AsyncExitStack() as stack:
        sessions = await engine(stack, tmp_path, ManualClock(NOW))
        for each in range(50):
            await sessions.ask(user_name("seed", each), Delete())
        assert pages(tmp_path).wal_bytes > 0
    assert 200 < history_line_bytes(tmp_path) < 500
    assert ended(tmp_path, "seed") == (0, 0)
