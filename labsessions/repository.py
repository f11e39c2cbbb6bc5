"""Queries over `labs_sessions` and `session_history`: what is read past the actors, as of the last commit."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Query = Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]

_STUCK = "SELECT count(*) AS n FROM labs_sessions WHERE status = 'stuck'"


class Repository:
    """Reads through `query`, which answers with rows by column name."""

    def __init__(self, query: Query) -> None:
        self._query = query

    async def stuck(self) -> int:
        """How many sessions are labelled stuck."""
        (row,) = await self._query(_STUCK, ())
        return int(row["n"])
