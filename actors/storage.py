"""What durable storage is asked for: values and a protocol. `sqlite` and `testing` implement it.

Each actor has one cell (bytes, opaque here) and at most one alarm in the same row; the rows that it shows to
others (projections) are written in the same transaction. So they cannot disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from actors.ids import ActorId

Column = str | bytes | int | float | None


class Lane(IntEnum):
    """The class of an alarm: work that goes first when slots are short, work that waits, and what needs no slot."""

    FIRST = 0
    RETRY = 1
    NOTICE = 2


class Alarm(NamedTuple):
    """When the actor wants to be woken, in ms since 1970 UTC, and in which lane."""

    due_ms: int
    lane: Lane


class DueAlarm(NamedTuple):
    """An armed alarm as read from the index. `deferrals`: how often its delivery has failed in a row."""

    actor_id: ActorId
    due_ms: int
    lane: Lane
    deferrals: int


@dataclass(frozen=True, slots=True)
class Table:
    """A registered projection: a table of the product, its columns in order, and the ones that identify a row."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


class Put(NamedTuple):
    """Insert the row, or replace the one with the same key. Values in the order of the table's columns."""

    table: Table
    values: tuple[Column, ...]


class Append(NamedTuple):
    """Insert the row into a table that numbers its rows itself: the key is one INTEGER PRIMARY KEY AUTOINCREMENT.

    Values in the order of the table's columns, without the key. Numbers grow in the order of commits, and within one in
    that of the writes; none is given twice.
    """

    table: Table
    values: tuple[Column, ...]


class Remove(NamedTuple):
    """Delete the row with this key, if it is there."""

    table: Table
    key: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """All that one actor changes at once. `cell` None: nothing is left, its row and its alarm vanish."""

    actor_id: ActorId
    cell: bytes | None
    alarm: Alarm | None
    rows: Sequence[Put | Append | Remove] = ()


@dataclass(frozen=True, slots=True)
class Deferral:
    """Put off an alarm that could not be delivered, if it is still the one; the cell stays as it is."""

    alarm: DueAlarm
    until_ms: int
    error: str


class Prune(NamedTuple):
    """Delete the rows of a table of `Append` up to this number."""

    table: Table
    through: int


Operation = Write | Deferral | Prune


class Store(Protocol):
    """A durable medium. Any method may raise an exception of the medium; then nothing of the call has happened."""

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """The cell of each actor, in order; None where it has none."""
        ...

    async def apply(self, operations: Sequence[Operation]) -> None:
        """Make all of them durable in one transaction, or none of them."""
        ...

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """The earliest alarms of a lane, at most `limit`, earliest first, due or not."""
        ...

    async def deferred(self) -> int:
        """How many alarms could not be delivered when last tried."""
        ...

    async def close(self) -> None:
        """Let go of the medium. Harmless if repeated."""
        ...
