"""What only the SQLite file has to promise: its settings, other programs' view of it, and files that are no good."""

import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from actor_kit import Add, World, cell_of, toy_id

from actors.clock import SystemClock
from actors.errors import StoreError
from actors.schema import Schema
from actors.sqlite import SqliteStore, open_store
from actors.storage import Alarm, Deferral, DueAlarm, Lane, Put, Remove, Table, Write

QUOTED = Table('a "table"', ('the "key"', "value"), key=('the "key"',))
SCHEMA = Schema("toys", ('CREATE TABLE "a ""table""" ("the ""key""" TEXT PRIMARY KEY, value INTEGER) STRICT',))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file goes."""
    return tmp_path / "toys.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """A new file, open."""
    opened = await open_store(path, (SCHEMA,))
    yield opened
    await opened.close()


def write(name: str, cell: bytes = b"cell") -> Write:
    """A write with an alarm and a row."""
    return Write(toy_id(name), cell, Alarm(10, Lane.RETRY), (Put(QUOTED, (name, 1)),))


def read(path: Path, sql: str) -> list[Any]:
    """What another program sees in the file."""
    with closing(sqlite3.connect(path)) as other:
        return other.execute(sql).fetchall()


async def test_the_file_survives_a_reopening(path: Path) -> None:
    """Cells, alarms, trouble and rows are there when the file is opened again."""
    alarm = DueAlarm(toy_id("a"), 10, Lane.RETRY, 0)
    first = await open_store(path, (SCHEMA,))
    await first.apply([write("a")])
    await first.apply([Deferral(alarm, 99, "trouble")])
    await first.close()
    second = await open_store(path, (SCHEMA,))

    assert await cell_of(second, toy_id("a")) == b"cell"
    assert await second.alarms(Lane.RETRY, 10) == [alarm._replace(due_ms=99, deferrals=1)]
    assert await second.deferred() == 1
    assert await second.query('SELECT value AS v FROM "a ""table""" WHERE "the ""key""" = ?', ("a",)) == [{"v": 1}]
    await second.close()


async def test_actors_live_on_it(path: Path) -> None:
    """The runtime on a real file: what was added before a restart is there after it."""
    for total in (1, 2):
        async with World(clock=SystemClock(), other_store=await open_store(path)) as world:
            assert await world.toys.ask("a", Add()) == total


async def test_the_settings_of_the_connections(store: SqliteStore) -> None:
    """WAL, a sync at each commit, space that can be given back, and a reader that can't write."""
    pragmas = {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2}
    for pragma, expected in pragmas.items():
        async with store._writer.execute(f"PRAGMA {pragma}") as cursor:
            assert [tuple(row) for row in await cursor.fetchall()] == [(expected,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store.query("DELETE FROM actor_cells")


async def test_others_can_read_the_open_file(store: SqliteStore, path: Path) -> None:
    """An operator's shell sees the last commit, why a delivery failed, and holds up no commit while it reads."""
    await store.apply([write("a")])
    await store.apply([Deferral(DueAlarm(toy_id("a"), 10, Lane.RETRY, 0), 99, "trouble")])
    assert read(path, "SELECT name, due_ms, lane, delivery_error FROM actor_cells") == [("a", 99, 1, "trouble")]

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM actor_cells").fetchall() == [(1,)]
        await store.apply([write("b")])
        assert other.execute("SELECT count(*) FROM actor_cells").fetchall() == [(1,)]
    assert read(path, "SELECT name FROM actor_cells ORDER BY name") == [("a",), ("b",)]


async def test_names_of_tables_and_columns_are_quoted(store: SqliteStore, path: Path) -> None:
    """A registered table may have any name."""
    await store.apply([write("a"), write("b")])
    await store.apply([Write(toy_id("a"), None, None, (Remove(QUOTED, ("a",)),))])

    assert read(path, 'SELECT * FROM "a ""table"""') == [("b", 1)]


async def test_a_batch_after_a_failed_one_is_not_affected(store: SqliteStore) -> None:
    """A statement that fails leaves no open transaction behind."""
    wrong = Write(toy_id("a"), b"cell", None, (Put(QUOTED, ("a", "no number")),))
    with pytest.raises(sqlite3.IntegrityError):
        await store.apply([wrong])
    assert not store._writer.in_transaction
    await store.apply([write("b")])

    assert await cell_of(store, toy_id("a")) is None
    assert await cell_of(store, toy_id("b")) == b"cell"


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    """StoreError names the path; the file is as it was."""
    path.write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(StoreError, match=r"toys\.db cannot be used as the database: file is not a database"):
        await open_store(path)
    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    """The store makes a file, no directories; no thread is left behind that would still talk to a closed loop."""
    threads = set(threading.enumerate())
    for _ in range(100):
        with pytest.raises(StoreError, match=r"none/toys\.db cannot be used as the database: unable to open"):
            await open_store(tmp_path / "none" / "toys.db")
        assert set(threading.enumerate()) <= threads
