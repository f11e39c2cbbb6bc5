"""How late the event loop is: what keeps it busy for long keeps everybody waiting, and shows here first."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final

from actors.stats import SECONDS, Histogram

EVERY_SECONDS: Final = 0.5


class LoopLag:
    """A timer, over and over, and how much later than it was set for it rang, by the clock `seconds`."""

    def __init__(self, seconds: Callable[[], float] = perf_counter) -> None:
        self.histogram = Histogram(SECONDS)
        self._seconds = seconds

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            due = self._seconds() + EVERY_SECONDS
            await asyncio.sleep(EVERY_SECONDS)
            self.histogram.observe(max(0.0, self._seconds() - due))
