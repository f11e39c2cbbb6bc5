"""The store in one SQLite file: WAL, `synchronous=FULL`, one writing and one reading connection.

What `apply` has returned from survives a power cut. Operators may read the file with `sqlite3` at any time:
readers don't stop the writer.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import aiosqlite

from actors import statements
from actors.errors import StoreError, StoreUnavailableError
from actors.ids import ActorId
from actors.schema import Schema, runtime_schema, upgrade
from actors.statements import Statement
from actors.storage import Column, DueAlarm, Lane, Operation

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

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection) -> None:
        self._writer = writer
        self._reader = reader

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """See `Store`."""
        found = await self._all(self._reader, statements.load(actor_ids))
        cells = {ActorId(namespace, name): bytes(cell) for namespace, name, cell in chain.from_iterable(found)}
        return [cells.get(actor_id) for actor_id in actor_ids]

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        try:
            # Python begins the transaction with the first statement. Only the commit must wait for the others: each
            # wait is a hop to SQLite's thread and back.
            await self._all(self._writer, statements.plan(operations))
            await self._writer.commit()
        except BaseException as error:
            await self._writer.rollback()
            if isinstance(error, sqlite3.OperationalError):  # SQLite's word for what has nothing to do with the values
                raise StoreUnavailableError(str(error)) from error
            raise

    @staticmethod
    async def _all(connection: aiosqlite.Connection, of: Iterable[Statement]) -> list[Iterable[sqlite3.Row]]:
        """The rows of each statement; all have been executed when it returns or raises the first error."""
        executions = [connection.execute_fetchall(*statement) for statement in of]
        results = await asyncio.gather(*executions, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        rows = await self._reader.execute_fetchall(_ALARMS, (int(lane), limit))
        return [DueAlarm(ActorId(namespace, name), due_ms, lane, n) for namespace, name, due_ms, n in rows]

    async def deferred(self) -> int:
        """See `Store`."""
        rows = await self._reader.execute_fetchall(_DEFERRED)
        return sum(int(count) for (count,) in rows)

    async def query(self, sql: str, parameters: Sequence[Column] = ()) -> list[dict[str, Column]]:
        """Rows of a product's own question, by column name, as of the last commit."""
        async with self._reader.execute(sql, parameters) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]

    async def close(self) -> None:
        """See `Store`."""
        await self._reader.close()
        await self._writer.close()


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
        # Has an effect only on a new file: freed pages can be given back without rewriting everything. An existing
        # one would be written to nevertheless, before it is known whether we may.
        if await writer.execute_fetchall("SELECT 1 FROM pragma_page_count WHERE page_count = 0"):
            await writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
        await writer.execute("PRAGMA journal_mode = WAL")
        await writer.execute("PRAGMA synchronous = FULL")
        await upgrade(writer, (runtime_schema(), *schemas), str(path))
        await reader.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        await _close(connections)
        raise StoreError(f"{path} cannot be used as the database: {error}") from error
    except BaseException:
        await _close(connections)
        raise
    return SqliteStore(writer, reader)


async def _close(connections: list[aiosqlite.Connection]) -> None:
    for connection in connections:
        await connection.close()
