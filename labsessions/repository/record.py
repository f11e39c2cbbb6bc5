"""What health and one user's clients read past the actors. `ports.Record` is implemented here."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from labsessions.core.projection import iso
from labsessions.core.reanchor import AHEAD_MS
from labsessions.feed import Feed
from labsessions.ports import Span, StoredEvent
from labsessions.repository.query import Query

# The second condition of the stuck ones is that of the index.
COUNTS: Final = """
SELECT (SELECT count(*) FROM labs_sessions WHERE status = 'stuck' AND status <> 'active') AS stuck,
       (SELECT count(*) FROM owed_vms WHERE status = 'stuck') AS owed_stuck,
       (SELECT count(*) FROM labs_sessions WHERE status = 'active' AND created_at > ?) AS from_future
"""
SPAN: Final = """
SELECT coalesce((SELECT min(seq) FROM session_events) - 1, newest) AS pruned, newest
FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'session_events'), 0) AS newest)
"""
# Read in pages, so that a long absence costs no memory.
PAGE: Final = 100
EVENTS: Final = f"""
SELECT seq, type, at, session_id, data FROM session_events WHERE user_id = ? AND seq > ? ORDER BY seq LIMIT {PAGE}
"""  # noqa: S608 - a number of our own
LAST_ENDED: Final = """
SELECT id, labId, created_at, expires_at, ended_at, end_reason AS reason, attempts,
       lateness_ms / 1000.0 AS lateness_seconds
FROM session_history WHERE user_id = ? ORDER BY ended_at DESC, seq DESC LIMIT 1
"""


class Counts(NamedTuple):
    """`stuck`: sessions labelled so. `owed_stuck`: VMs of deleted sessions whose obligation is labelled so.

    `from_future`: sessions that were created later than now, as the clock was ahead and has been set back since.
    """

    stuck: int
    owed_stuck: int
    from_future: int


class Repository:
    """Reads through `query`, which answers with rows by column name. `now_ms` is the clock that deadlines go by.

    `ports.Record` as well; `feed` is where news are announced.
    """

    def __init__(self, query: Query, now_ms: Callable[[], int], feed: Feed | None = None) -> None:
        self._query = query
        self._now_ms = now_ms
        self.watch = (Feed() if feed is None else feed).watch

    async def counts(self) -> Counts:
        """What an operator should look at; read from indexes, so it is cheap at any size."""
        (row,) = await self._query(COUNTS, (iso(self._now_ms() + AHEAD_MS),))
        return Counts(**row)

    async def span(self) -> Span:
        """See `ports.Record`."""
        (row,) = await self._query(SPAN, ())
        return Span(**row)

    async def events_after(self, user_id: str, seq: int) -> list[StoredEvent]:
        """See `ports.Record`."""
        return [_event(**row) for row in await self._query(EVENTS, (user_id, seq))]

    async def last_ended(self, user_id: str) -> dict[str, Any] | None:
        """See `ports.Record`."""
        return next(iter(await self._query(LAST_ENDED, (user_id,))), None)


def _event(seq: int, type: str, at: str, session_id: str, data: str) -> StoredEvent:  # noqa: A002 - the column's name
    return StoredEvent(seq, type, {"type": type, "at": at, "session_id": session_id, **msgspec.json.decode(data)})
