"""The store in one SQLite file: WAL, `synchronous=FULL`, one writing and one reading connection.

What `apply` has returned from survives a power cut. Operators may read the file with `sqlite3` at any time:
readers don't stop the writer.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import aiosqlite

from actors.errors import StoreError
from actors.ids import ActorId
from actors.schema import Schema, runtime_schema, upgrade
from actors.storage import Column, Deferral, DueAlarm, Lane, Operation, Put, Remove, Table, Write

# How long a write waits for another program that holds the file (an operator's shell with an open transaction).
BUSY_SECONDS = 5.0

_SAVE = """
INSERT INTO actor_cells (namespace, name, cell, due_ms, lane) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (namespace, name) DO UPDATE SET
    cell = excluded.cell, due_ms = excluded.due_ms, lane = excluded.lane, deferrals = 0, delivery_error = NULL
"""
_ERASE = "DELETE FROM actor_cells WHERE namespace = ? AND name = ?"
_DEFER = """
UPDATE actor_cells SET due_ms = ?, deferrals = deferrals + 1, delivery_error = ?
WHERE namespace = ? AND name = ? AND due_ms = ? AND lane = ? AND deferrals = ?
"""
_LOAD = "SELECT cell FROM actor_cells WHERE namespace = ? AND name = ?"
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

    async def load(self, actor_id: ActorId) -> bytes | None:
        """See `Store`."""
        rows = await self._reader.execute_fetchall(_LOAD, actor_id)
        for (cell,) in rows:
            return bytes(cell)
        return None

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`. One `executemany` for each kind of statement, since each call is a hop to SQLite's thread."""
        await self._writer.execute("BEGIN IMMEDIATE")
        try:
            for statement, parameters in _plan(operations).items():
                await self._writer.executemany(statement, parameters)
            await self._writer.commit()
        except BaseException:
            await self._writer.rollback()
            raise

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
        # Transactions are ours to begin: isolation_level None switches Python's own handling off.
        writer = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
        connections.append(writer)
        reader = await aiosqlite.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
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


def _plan(operations: Sequence[Operation]) -> dict[str, list[Sequence[Column]]]:
    """The statements of a batch and their parameters, in order of first use.

    Grouping changes no result: an actor has one write at a time, and a deferral yields to a write in any order.
    """
    plan: dict[str, list[Sequence[Column]]] = defaultdict(list)
    for operation in operations:
        match operation:
            case Deferral(alarm=(actor_id, due_ms, lane, deferrals)):
                plan[_DEFER].append((operation.until_ms, operation.error, *actor_id, due_ms, int(lane), deferrals))
            case Write(actor_id=actor_id, cell=None):
                plan[_ERASE].append(actor_id)
            case Write(actor_id=actor_id, cell=cell, alarm=alarm):
                due = (None, int(Lane.FIRST)) if alarm is None else (alarm.due_ms, int(alarm.lane))
                plan[_SAVE].append((*actor_id, cell, *due))
        if isinstance(operation, Write):
            for row in operation.rows:
                match row:
                    case Put(table=table, values=values):
                        plan[_put_statement(table)].append(values)
                    case Remove(table=table, key=key):
                        plan[_remove_statement(table)].append(key)
    return plan


@cache
def _put_statement(table: Table) -> str:
    columns = ", ".join(_quoted(column) for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT OR REPLACE INTO {_quoted(table.name)} ({columns}) VALUES ({marks})"  # noqa: S608 - registered names


@cache
def _remove_statement(table: Table) -> str:
    condition = " AND ".join(f"{_quoted(column)} = ?" for column in table.key)
    return f"DELETE FROM {_quoted(table.name)} WHERE {condition}"  # noqa: S608 - registered names, values are bound


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
