"""Deletes the oldest events and the oldest history in the background, so that the file's size levels off.

Always the oldest without a gap, so that whoever reads events on from a number can tell whether one is missing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

from actors.storage import Prune, Table
from labsessions.core.projection import iso
from labsessions.engines.tables import EVENTS, HISTORY
from labsessions.repository import Query

# Between two batches while there is more to delete. Under load 50 events a second go: more than 4 million a day, which
# is what a million sessions leave behind; and 20 lines of the history, nearly two million a day.
PAUSE_SECONDS: Final = 0.5
PAUSE_UNDER_LOAD_SECONDS: Final = 10.0
# Until it is looked again, when nothing is left to delete.
IDLE_SECONDS: Final = 60.0
MS_PER_DAY: Final = 86_400_000


class Kept(NamedTuple):
    """Rows that are kept for a while: `table` by their number, `at` is when; deleted in batches of so many."""

    table: Table
    at: str
    batch: int

    def last_old(self) -> str:
        """SQL for the last of the oldest rows, up to the first one that is to be kept.

        Those that a clock has dated further ahead than the retention count as old: they would keep everything behind
        them.
        """
        (number,) = self.table.key
        return f"""
            WITH oldest AS (
                SELECT {number} AS number, {self.at} AS at FROM {self.table.name} ORDER BY {number} LIMIT {self.batch}
            )
            SELECT max(number) AS through FROM oldest
            WHERE number < coalesce((SELECT min(number) FROM oldest WHERE at BETWEEN ? AND ?), 9e18)
        """  # noqa: S608 - names and a number of our own


# Each batch takes about a millisecond of the writer's time, which others wait for. A line of the history has its place
# in an index by user, all over the file.
OLD_EVENTS: Final = Kept(EVENTS, "at", batch=500)
OLD_HISTORY: Final = Kept(HISTORY, "ended_at", batch=200)

log = structlog.get_logger(__name__)


class Retention:
    """`run` it as long as the service lives. `busy` tells whether others need the store more."""

    def __init__(
        self,
        query: Query,
        commit: Callable[[Prune], Awaitable[None]],
        now_ms: Callable[[], int],
        busy: Callable[[], bool],
        days: float,
        kept: Kept = OLD_EVENTS,
    ) -> None:
        self._query = query
        self._commit = commit
        self._now_ms = now_ms
        self._busy = busy
        self._kept = kept
        self._last_old = kept.last_old()
        self.reconfigure(days)

    def reconfigure(self, days: float) -> None:
        """Keep rows for so long from the next batch on; 0: for ever."""
        self._keep_ms = round(days * MS_PER_DAY)

    async def run(self) -> None:
        """Go on until cancelled. A store in trouble is tried again later."""
        while True:
            try:
                more = await self.prune()
            except Exception as error:  # noqa: BLE001 - whatever it is, it passes, and nobody depends on this
                log.warning("old rows could not be deleted", table=self._kept.table.name, reason=str(error))
                more = False
            if not more:
                await asyncio.sleep(IDLE_SECONDS)
            else:
                await asyncio.sleep(PAUSE_UNDER_LOAD_SECONDS if self._busy() else PAUSE_SECONDS)

    async def prune(self) -> bool:
        """Delete a batch of rows that are older than the retention; whether there were any."""
        if not self._keep_ms:
            return False
        now_ms = self._now_ms()
        during = (iso(now_ms - self._keep_ms), iso(now_ms + self._keep_ms))
        (through,) = [row["through"] for row in await self._query(self._last_old, during)]
        if through is None:
            return False
        await self._commit(Prune(self._kept.table, through))
        return True
