"""How the queries over the projections reach the store."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from actors.errors import QuestionRefusedError
from labsessions.ports import BusyError

Query = Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]
"""Rows by column name, as of the last commit."""


def refusable(query: Query) -> Query:
    """The same over a store that may refuse a question: BusyError then."""

    async def ask(sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        try:
            return await query(sql, values)
        except QuestionRefusedError as error:
            raise BusyError(str(error)) from error

    return ask
