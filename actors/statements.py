"""The SQL of a batch: operations become few statements, each for many rows. It executes nothing.

Many rows in one statement, because SQLite's thread gives up Python's lock for each execution and has to wait for
it again: with `executemany` it did so for each row, and a batch took as long as the event loop pleased.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from actors.ids import ActorId
from actors.storage import Append, Column, Deferral, Lane, Operation, Prune, Put, Remove, Table, Write

# Rows of one statement: more save nothing, and SQLite allows 32,766 parameters and conditions 1,000 deep.
ROWS = 32

_CELL_KEY = ("namespace", "name")


class Statement(NamedTuple):
    """SQL with the values of its parameters."""

    sql: str
    parameters: Sequence[Column]


def plan(operations: Sequence[Operation]) -> Iterator[Statement]:
    """The statements that carry out a batch, in an order that doesn't matter.

    Grouping changes no result: an actor has one write at a time, and a deferral yields to a write in any order.
    """
    rows: dict[Callable[[int], str], list[Sequence[Column]]] = defaultdict(list)
    for operation in operations:
        match operation:
            case Deferral(alarm=(actor_id, due_ms, lane, deferrals), until_ms=until_ms, error=error):
                yield Statement(_DEFER, (until_ms, error, *actor_id, due_ms, int(lane), deferrals))
            case Prune(table=table, through=number):
                yield Statement(_prune(table), (number,))
            case Write(actor_id=actor_id, cell=None):
                rows[_erase].append(actor_id)
            case Write(actor_id=actor_id, cell=cell, alarm=alarm):
                due = (None, int(Lane.FIRST)) if alarm is None else (alarm.due_ms, int(alarm.lane))
                rows[_save].append((*actor_id, cell, *due))
        if isinstance(operation, Write):
            for row in operation.rows:
                table, values = row
                rows[_CHANGES[type(row)](table)].append(values)
    for sql, all_rows in rows.items():
        yield from _statements(sql, all_rows)


def load(actor_ids: Sequence[ActorId]) -> Iterator[Statement]:
    """The queries for (namespace, name, cell) of these actors."""
    return _statements(_load, actor_ids)


def _statements(sql: Callable[[int], str], rows: Sequence[Sequence[Column]]) -> Iterator[Statement]:
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        yield Statement(sql(len(some)), [value for row in some for value in row])


# --- SQL for n rows; the texts are kept, so that SQLite finds the prepared statement again -------------------

_DEFER = """
UPDATE actor_cells SET due_ms = ?, deferrals = deferrals + 1, delivery_error = ?
WHERE namespace = ? AND name = ? AND due_ms = ? AND lane = ? AND deferrals = ?
"""


@cache
def _save(n: int) -> str:
    return f"""
    INSERT INTO actor_cells (namespace, name, cell, due_ms, lane) VALUES {_marks(n, 5)}
    ON CONFLICT (namespace, name) DO UPDATE SET
        cell = excluded.cell, due_ms = excluded.due_ms, lane = excluded.lane, deferrals = 0, delivery_error = NULL
    """  # noqa: S608 - the values are bound


@cache
def _erase(n: int) -> str:
    return f"DELETE FROM actor_cells WHERE {_any_of(n, _CELL_KEY)}"  # noqa: S608 - the values are bound


@cache
def _load(n: int) -> str:
    return f"SELECT namespace, name, cell FROM actor_cells WHERE {_any_of(n, _CELL_KEY)}"  # noqa: S608 - likewise


@cache
def _put(table: Table) -> Callable[[int], str]:
    return _insert("INSERT OR REPLACE", table)


@cache
def _append(table: Table) -> Callable[[int], str]:
    return _insert("INSERT", table)


def _insert(verb: str, table: Table) -> Callable[[int], str]:
    @cache
    def sql(n: int) -> str:
        columns = ", ".join(_quoted(column) for column in table.columns)
        return f"{verb} INTO {_quoted(table.name)} ({columns}) VALUES {_marks(n, len(table.columns))}"

    return sql


@cache
def _prune(table: Table) -> str:
    (number,) = table.key
    return f"DELETE FROM {_quoted(table.name)} WHERE {_quoted(number)} <= ?"  # noqa: S608 - registered names


@cache
def _remove(table: Table) -> Callable[[int], str]:
    @cache
    def sql(n: int) -> str:
        return f"DELETE FROM {_quoted(table.name)} WHERE {_any_of(n, table.key)}"  # noqa: S608 - registered names

    return sql


# How each kind of change to a product's table is written; its values, or the key, are what its marks stand for.
_CHANGES: Final = {Put: _put, Append: _append, Remove: _remove}


def _marks(rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)


def _any_of(n: int, key: tuple[str, ...]) -> str:
    condition = " AND ".join(f"{_quoted(column)} = ?" for column in key)
    return " OR ".join([f"({condition})"] * n)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
