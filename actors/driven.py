"""Driven time for a whole runtime: the clock moves when told, and each step waits for what follows from it."""

import asyncio

from actors.runtime import Runtime
from actors.testing import ManualClock

# Between two looks whether all has been done. Effects take real time: they call real sockets.
LOOK_SECONDS = 0.001


class DrivenTime:
    """Lets time pass for a runtime that was made with this clock."""

    def __init__(self, clock: ManualClock, runtime: Runtime) -> None:
        self._clock = clock
        self._runtime = runtime

    def now_ms(self) -> int:
        """See `Clock`."""
        return self._clock.now_ms()

    async def advance(self, ms: int) -> None:
        """Let `ms` pass. Each alarm rings at its own instant, and what it leads to is done before the next one.

        So an hour with failing effects has all the retries that an hour has. Effects that hang are waited for until
        they end by themselves.
        """
        until_ms = self._clock.now_ms() + ms
        await self.settled()
        while (due_ms := await self._runtime.next_alarm_ms()) is not None and due_ms <= until_ms:
            self._clock.advance(max(0, due_ms - self._clock.now_ms()))
            await self.settled()
        self._clock.advance(until_ms - self._clock.now_ms())
        await self.settled()

    async def settled(self) -> None:
        """Return when nothing is due, nothing runs, and no mail is left."""
        while self._runtime.is_busy() or await self._is_due():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(LOOK_SECONDS)

    async def _is_due(self) -> bool:
        due_ms = await self._runtime.next_alarm_ms()
        return due_ms is not None and due_ms <= self._clock.now_ms()
