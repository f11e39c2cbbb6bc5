"""Deletes the oldest rows of `session_events` in the background, so that the file's size levels off.

Always the oldest without a gap, so that whoever reads on from a number can tell whether something is missing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from actors.storage import Prune
from labsessions.core.projection import iso
from labsessions.engines.tables import EVENTS
from labsessions.repository import Query

# Rows of one transaction: about a millisecond of the writer's time, which others wait for.
BATCH: Final = 500
# Between two batches while there is more to delete. Under load 50 rows a second go: more than 4 million a day, which is
# what a million sessions leave behind.
PAUSE_SECONDS: Final = 0.5
PAUSE_UNDER_LOAD_SECONDS: Final = 10.0
# Until it is looked again, when nothing is left to delete.
IDLE_SECONDS: Final = 60.0
MS_PER_DAY: Final = 86_400_000

# The last of the oldest rows, up to the first one that is to be kept. Those that a clock has dated further ahead than
# the retention count as old: they would keep everything behind them.
_LAST_OLD: Final = f"""
WITH oldest AS (SELECT seq, at FROM session_events ORDER BY seq LIMIT {BATCH})
SELECT max(seq) AS through FROM oldest
WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE at BETWEEN ? AND ?), 9e18)
"""  # noqa: S608 - a number of our own

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
    ) -> None:
        self._query = query
        self._commit = commit
        self._now_ms = now_ms
        self._busy = busy
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
                log.warning("old events could not be deleted", reason=str(error))
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
        kept = (iso(now_ms - self._keep_ms), iso(now_ms + self._keep_ms))
        (through,) = [row["through"] for row in await self._query(_LAST_OLD, kept)]
        if through is None:
            return False
        await self._commit(Prune(EVENTS, through))
        return True
