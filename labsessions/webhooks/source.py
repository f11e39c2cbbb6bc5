"""What endpoints are told of, as it is stored: the events and the dead letters. Reads only, as of the last commit."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from actors.storage import Put, Remove, Table
from labsessions.repository import Query
from labsessions.repository.record import SPAN

LETTER_COLUMNS: Final = (
    "endpoint",
    "seq",
    "webhook_id",
    "type",
    "at",
    "payload",
    "attempts",
    "given_up_at",
    "last_error",
)
LETTERS: Final = Table("webhook_dead_letters", LETTER_COLUMNS, key=("endpoint", "seq"))
# Rows of one reading: a few milliseconds of its connection, and of memory at most some 100 KiB.
PAGE: Final = 100

_EVENTS: Final = f"""
SELECT seq, at, user_id, generation, session_id, type, data FROM session_events WHERE seq > ? ORDER BY seq LIMIT {PAGE}
"""  # noqa: S608 - a number of our own
_LETTERS: Final = f"""
SELECT {", ".join(LETTER_COLUMNS)} FROM webhook_dead_letters WHERE endpoint = ? AND seq > ? ORDER BY seq LIMIT ?
"""  # noqa: S608 - names of our own
_COUNTS: Final = "SELECT endpoint, count(*) AS letters FROM webhook_dead_letters GROUP BY endpoint"


class Letter(NamedTuple):
    """A message that was given up after so many `attempts`, at the instant `given_up_at` (ISO 8601)."""

    endpoint: str
    seq: int
    webhook_id: str
    type: str
    at: str
    payload: str
    attempts: int
    given_up_at: str
    last_error: str

    def kept(self) -> Put:
        """The row that keeps it."""
        return Put(LETTERS, tuple(self))

    def gone(self) -> Remove:
        """It was accepted after all."""
        return Remove(LETTERS, (self.endpoint, self.seq))


class Extent(NamedTuple):
    """Which events are stored: all after the number `pruned`, up to `newest`."""

    pruned: int
    newest: int


class Source(Protocol):
    """What the couriers read. Each method may raise what the store raises."""

    async def extent(self) -> Extent:
        """Which events are stored."""
        ...

    async def events(self, after: int) -> Sequence[Mapping[str, Any]]:
        """Rows of `session_events` after this number, in order, at most `PAGE`."""
        ...

    async def letters(self, endpoint: str, after: int, limit: int = PAGE) -> Sequence[Letter]:
        """The endpoint's dead letters after this number, in order."""
        ...

    async def letter_counts(self) -> Mapping[str, int]:
        """How many dead letters each endpoint has that has any."""
        ...


class StoredSource:
    """`Source` of the database behind `query`."""

    def __init__(self, query: Query) -> None:
        self._query = query

    async def extent(self) -> Extent:
        """See `Source`."""
        (row,) = await self._query(SPAN, ())
        return Extent(**row)

    async def events(self, after: int) -> Sequence[Mapping[str, Any]]:
        """See `Source`."""
        return await self._query(_EVENTS, (after,))

    async def letters(self, endpoint: str, after: int, limit: int = PAGE) -> Sequence[Letter]:
        """See `Source`."""
        return [Letter(**row) for row in await self._query(_LETTERS, (endpoint, after, limit))]

    async def letter_counts(self) -> Mapping[str, int]:
        """See `Source`."""
        return {row["endpoint"]: row["letters"] for row in await self._query(_COUNTS, ())}
