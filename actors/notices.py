"""Wake-ups that start no work outside: nothing of it can be overloaded, so they need neither slot nor rate nor breaker.

Only so many at once, lest a million that are due together be in memory together.
"""

import asyncio
from typing import Final

from actors.storage import Lane

AT_ONCE: Final = 64


class Notices:
    """Stands in for `Admission`, and for the slot that it grants."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._turns = asyncio.Semaphore(at_once)

    async def acquire(self, _: Lane) -> "Notices":
        """Wait for a turn."""
        await self._turns.acquire()
        return self

    def release(self) -> None:
        """The turn is over. Once for each."""
        self._turns.release()
