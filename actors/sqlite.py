"""The store in one SQLite file: WAL, `synchronous=FULL`, one writing and two reading connections.

What `apply` has returned from survives a power cut. Operators may read the file with `sqlite3` at any time:
readers don't stop the writer.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from actors import statements
from actors.errors import StoreError, StoreUnavailableError
from actors.ids import ActorId
from actors.schema import Schema, runtime_schema, upgrade
from actors.statements import Statement
from actors.storage import Column, DueAlarm, Lane, Operation

Result = TypeVar("Result")

# How long a write waits for another program that holds the file (an operator's shell with an open transaction). A stop
# waits as long for the last write.
BUSY_SECONDS = 2.0

# Statements that SQLite keeps prepared: one for each number of rows and each kind (see `statements`).
PREPARED = 512

_ALARMS = """
SELECT namespace, name, due_ms, deferrals FROM actor_cells
WHERE lane = ? AND due_ms IS NOT NULL ORDER BY due_ms LIMIT ?
"""
_DEFERRED = "SELECT count(*) FROM actor_cells WHERE deferrals > 0"


class SqliteStore:
    """See `storage.Store`. Made by `open_store`."""

    def __init__(
        self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, observer: aiosqlite.Connection
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._observer = observer

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """See `Store`."""
        found = await _in_thread(self._reader, _query, list(statements.load(actor_ids)))
        cells = {ActorId(namespace, name): bytes(cell) for namespace, name, cell in found}
        return [cells.get(actor_id) for actor_id in actor_ids]

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        try:
            await _in_thread(self._writer, _transaction, list(statements.plan(operations)))
        except sqlite3.OperationalError as error:  # SQLite's word for what has nothing to do with the values
            raise StoreUnavailableError(str(error)) from error

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        rows = await self._reader.execute_fetchall(_ALARMS, (int(lane), limit))
        return [DueAlarm(ActorId(namespace, name), due_ms, lane, n) for namespace, name, due_ms, n in rows]

    async def deferred(self) -> int:
        """See `Store`."""
        rows = await self._reader.execute_fetchall(_DEFERRED)
        return sum(int(count) for (count,) in rows)

    async def query(self, sql: str, parameters: Sequence[Column] = ()) -> list[dict[str, Column]]:
        """Rows of a product's own question, by column name, as of the last commit.

        On a connection of its own: whoever asks much, or for much, keeps no actor waiting.
        """
        async with self._observer.execute(sql, parameters) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]

    async def close(self) -> None:
        """See `Store`."""
        await self._observer.close()
        await self._reader.close()
        await self._writer.close()


# --- in SQLite's thread ------------------------------------------------------------------------------------


async def _in_thread(
    connection: aiosqlite.Connection,
    work: Callable[[sqlite3.Connection, Sequence[Statement]], Result],
    of: Sequence[Statement],
) -> Result:
    """One trip to SQLite's thread and back for many statements.

    aiosqlite's own methods make a trip for each, and trips cost more than short statements do. There is no public
    way to run a function there; a test pins this one.
    """
    result: Result = await connection._execute(work, connection._conn, of)  # type: ignore[no-untyped-call]  # noqa: SLF001 - see above
    return result


def _transaction(connection: sqlite3.Connection, of: Sequence[Statement]) -> None:
    """All of them, durable, or none."""
    try:
        for statement in of:  # Python begins the transaction with the first one
            connection.execute(*statement)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _query(connection: sqlite3.Connection, of: Sequence[Statement]) -> list[Any]:
    """The rows of all of them."""
    return [row for statement in of for row in connection.execute(*statement)]


async def open_store(path: Path, schemas: tuple[Schema, ...] = ()) -> SqliteStore:
    """Open or create the file and bring its schema up to date.

    Raises SchemaTooNewError for a file of a newer release, StoreError if SQLite cannot use the file.
    """
    connections: list[aiosqlite.Connection] = []
    try:
        # First without aiosqlite, whose thread isn't waited for if the file can't be opened, and may outlive the loop.
        sqlite3.connect(path).close()
        # "IMMEDIATE": the transaction that Python begins takes the file's lock at once, or fails before it has written.
        writer = await aiosqlite.connect(
            path, isolation_level="IMMEDIATE", timeout=BUSY_SECONDS, cached_statements=PREPARED
        )
        connections.append(writer)
        reader = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_SECONDS, cached_statements=PREPARED)
        connections.append(reader)
        observer = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
        connections.append(observer)
        # Has an effect only on a new file: freed pages can be given back without rewriting everything. An existing
        # one would be written to nevertheless, before it is known whether we may.
        if await writer.execute_fetchall("SELECT 1 FROM pragma_page_count WHERE page_count = 0"):
            await writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
        await writer.execute("PRAGMA journal_mode = WAL")
        await writer.execute("PRAGMA synchronous = FULL")
        await upgrade(writer, (runtime_schema(), *schemas), str(path))
        for each in (reader, observer):
            await each.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        await _close(connections)
        raise StoreError(f"{path} cannot be used as the database: {error}") from error
    except BaseException:
        await _close(connections)
        raise
    return SqliteStore(writer, reader, observer)


async def _close(connections: list[aiosqlite.Connection]) -> None:
    for connection in connections:
        await connection.close()
