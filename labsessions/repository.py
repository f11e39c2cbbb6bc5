"""Queries over `labs_sessions` and `owed_vms`: what is read past the actors, as of the last commit."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

Query = Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]

COUNTS: Final = """
SELECT (SELECT count(*) FROM labs_sessions WHERE status = 'stuck') AS stuck,
       (SELECT count(*) FROM owed_vms WHERE status = 'stuck') AS owed_stuck
"""


class Counts(NamedTuple):
    """`stuck`: sessions labelled so. `owed_stuck`: VMs of deleted sessions whose obligation is labelled so."""

    stuck: int
    owed_stuck: int


class Repository:
    """Reads through `query`, which answers with rows by column name."""

    def __init__(self, query: Query) -> None:
        self._query = query

    async def counts(self) -> Counts:
        """What an operator should look at; read from indexes, so it is cheap at any size."""
        (row,) = await self._query(COUNTS, ())
        return Counts(**row)
