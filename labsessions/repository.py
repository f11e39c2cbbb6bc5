"""Queries over `labs_sessions` and `owed_vms`: what is read past the actors, as of the last commit."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from labsessions.core.projection import iso
from labsessions.core.reanchor import AHEAD_MS

Query = Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]

COUNTS: Final = """
SELECT (SELECT count(*) FROM labs_sessions WHERE status = 'stuck') AS stuck,
       (SELECT count(*) FROM owed_vms WHERE status = 'stuck') AS owed_stuck,
       (SELECT count(*) FROM labs_sessions WHERE status = 'active' AND created_at > ?) AS from_future
"""


class Counts(NamedTuple):
    """`stuck`: sessions labelled so. `owed_stuck`: VMs of deleted sessions whose obligation is labelled so.

    `from_future`: sessions that were created later than now, as the clock was ahead and has been set back since.
    """

    stuck: int
    owed_stuck: int
    from_future: int


class Repository:
    """Reads through `query`, which answers with rows by column name. `now_ms` is the clock that deadlines go by."""

    def __init__(self, query: Query, now_ms: Callable[[], int]) -> None:
        self._query = query
        self._now_ms = now_ms

    async def counts(self) -> Counts:
        """What an operator should look at; read from indexes, so it is cheap at any size."""
        (row,) = await self._query(COUNTS, (iso(self._now_ms() + AHEAD_MS),))
        return Counts(**row)
