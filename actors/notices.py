"""Wake-ups that start no work that could be overloaded: they need neither slot nor rate nor breaker, and learn of none.

Either no work at all, or work with a bound of its own, which no other work shall wait for. Only so many at once, lest a
million that are due together be in memory together; the turn is over when the wake-up was handled.
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
