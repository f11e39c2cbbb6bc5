"""A reading connection for questions that may be dear: one at a time, bounded in time and in how many wait.

It has a thread of its own, so that it keeps neither the writer nor the actors' reads waiting. The bound in time is
also for the store: as long as somebody reads, SQLite's log isn't begun anew, and grows.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiosqlite

from actors.errors import QuestionRefusedError
from actors.storage import Column

# A question that has been told to stop does so within a few thousand steps of SQLite; told before its thread has
# begun with it, it hasn't heard.
_AGAIN_SECONDS = 0.05


class Observer:
    """Made by `open_observer`. A question may take `seconds`; `waiting` more may wait for their turn."""

    def __init__(self, connection: aiosqlite.Connection, *, seconds: float, waiting: int) -> None:
        self._connection = connection
        self._seconds = seconds
        self._most = waiting + 1
        self._asked = 0
        self._turn = asyncio.Lock()

    async def query(self, sql: str, parameters: Sequence[Column] = ()) -> list[dict[str, Column]]:
        """Rows by column name, as of the last commit.

        Raises QuestionRefusedError if too many wait, or if it takes too long; what SQLite raises for anything else.
        """
        if self._asked >= self._most:
            raise QuestionRefusedError("too many questions are waiting for their answers: ask again in a moment")
        self._asked += 1
        try:
            async with self._turn:
                return await self._answer(sql, parameters)
        finally:
            self._asked -= 1

    async def _answer(self, sql: str, parameters: Sequence[Column]) -> list[dict[str, Column]]:
        rows = asyncio.ensure_future(self._rows(sql, parameters))
        try:
            await asyncio.wait({rows}, timeout=self._seconds)
        finally:  # it took too long, or nobody waits for it any more: the next one's turn is not before it has ended
            while not rows.done():
                await self._connection.interrupt()
                await asyncio.wait({rows}, timeout=_AGAIN_SECONDS)
        try:
            return rows.result()
        except sqlite3.OperationalError as error:
            if str(error) != "interrupted":
                raise
            raise QuestionRefusedError(
                f"that takes longer than {self._seconds:g} s to find out: ask for less"
            ) from error

    async def _rows(self, sql: str, parameters: Sequence[Column]) -> list[dict[str, Column]]:
        async with self._connection.execute(sql, parameters) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


@asynccontextmanager
async def open_observer(path: Path, *, seconds: float, waiting: int) -> AsyncIterator[Observer]:
    """An observer of this database, which exists, as long as the block lasts."""
    address = f"file:{quote(str(path))}?mode=ro"
    sqlite3.connect(address, uri=True).close()  # first without aiosqlite, as in `open_store`
    async with aiosqlite.connect(address, uri=True, isolation_level=None) as connection:
        yield Observer(connection, seconds=seconds, waiting=waiting)
