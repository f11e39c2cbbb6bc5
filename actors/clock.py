"""Wall time as a dependency, so that tests can drive it. Deadlines are wall time; durations are the loop's."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Make sure that it doesn't run any more; harmless if it has."""
        ...


class Clock(Protocol):
    """The wall clock. May step in both directions, as real ones do."""

    def now_ms(self) -> int:
        """Whole milliseconds since 1970 UTC, rounded down: `now_ms() >= t` means that t has really passed."""
        ...

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        """Run `callback` on the loop at about `when_ms`; it may be early or late: look at the clock again."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        """See `Clock`."""
        delay = max(0.0, when_ms / 1000 - time.time())
        return asyncio.get_running_loop().call_later(delay, callback)
