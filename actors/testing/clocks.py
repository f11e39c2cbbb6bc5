"""Time that is driven, in two ways.

`run_virtual` runs everything on a loop whose time jumps from timer to timer, so library timers obey it too – for
memory stores, as a thread (SQLite has one) knows nothing of it. `ManualClock` moves only the wall clock, for tests with
real files and sockets.
"""

import asyncio
import heapq
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

from actors.clock import Timer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Where driven time begins: 2026-01-01T00:00:00Z.
EPOCH_MS = 1_767_225_600_000


class ManualClock:
    """A wall clock that moves only by `advance` and `step`."""

    def __init__(self, now_ms: int = EPOCH_MS) -> None:
        self._now_ms = now_ms
        self._timers: list[tuple[int, int, _ManualTimer]] = []
        self._made = 0

    def now_ms(self) -> int:
        """See `Clock`."""
        return self._now_ms

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        """See `Clock`. Called by `advance`; at the next turn of the loop if the instant has passed."""
        timer = _ManualTimer(callback)
        if when_ms <= self._now_ms:
            asyncio.get_running_loop().call_soon(timer.fire)
        else:
            self._made += 1
            heapq.heappush(self._timers, (when_ms, self._made, timer))
        return timer

    def advance(self, ms: int) -> None:
        """Let `ms` pass: timers fire in order, each at its own time."""
        until_ms = self._now_ms + ms
        while self._timers and self._timers[0][0] <= until_ms:
            when_ms, _, timer = heapq.heappop(self._timers)
            self._now_ms = max(self._now_ms, when_ms)
            timer.fire()
        self._now_ms = until_ms

    def step(self, ms: int) -> None:
        """Set the clock forward or back without any timer noticing, as an administrator does."""
        self._now_ms += ms


class _ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


# Turns of a virtual loop within a millisecond: many times what ten thousand alarms at one instant need.
MOST_TURNS = 100_000


class DeadlockError(RuntimeError):
    """Where a real loop would hang: what is awaited will never happen, or all turn in a circle and no time passes."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: the time that the loop would have slept is added to `time`.

    Each turn takes the least time that there is, as time passes on a real loop: a library that waits for a rounding
    error to pass (aiolimiter does) would turn for ever otherwise.
    """

    time = 0.0
    _turns = 0
    _counted_from = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise DeadlockError("nothing is ready and no timer is set")
            self.time = math.nextafter(self.time + max(0.0, timeout), math.inf)
        self._count()
        return ready

    def _count(self) -> None:
        self._turns += 1
        if self.time >= self._counted_from + 0.001:
            self._turns, self._counted_from = 0, self.time
        elif self._turns >= MOST_TURNS:
            self._turns = 0  # whatever turns is cancelled now, for which the loop has to turn, too
            raise DeadlockError(f"{MOST_TURNS} turns, and no time has passed")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing is left to do."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.time

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002 - there is none
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """At once and without a thread, as that would take no virtual time either."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it is to have it
            done.set_exception(error)
        return done


class VirtualClock:
    """The wall clock of a `VirtualLoop`; `step` moves it against the loop's time."""

    def __init__(self, now_ms: int = EPOCH_MS) -> None:
        self._offset_ms = now_ms

    def now_ms(self) -> int:
        """See `Clock`."""
        # The small part lifts sums of floats that fall short of a whole millisecond.
        return self._offset_ms + int(asyncio.get_running_loop().time() * 1000 + 1e-3)

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        """See `Clock`."""
        return asyncio.get_running_loop().call_later(max(0, when_ms - self.now_ms()) / 1000, callback)

    def step(self, ms: int) -> None:
        """Set the wall clock forward or back."""
        self._offset_ms += ms


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` under virtual time: sleeping costs nothing. DeadlockError where a real loop would hang."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
