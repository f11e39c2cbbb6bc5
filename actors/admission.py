"""Admission: who may start work now. A slot is taken before a wake-up is delivered and freed when its effect ends.

First attempts go before retries, and retries hold at most half of the slots, so that sessions in trouble never
keep others from their first attempt. Against work that hangs, a bulkhead: a holder that runs longer than
`slow_after_seconds` gives its slot back and goes on in one of `slow_slots` places beside them, while there are
such places. A rate limit (off by default) paces the starts. A circuit breaker holds back all but a probe while what
the work depends on is down.
"""

import asyncio
from collections import deque
from contextvars import Context
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from actors.breaker import Breaker, BreakerLimits
from actors.storage import Lane


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once. `rate_per_second` 0: no rate limit; `slow_slots` 0: no bulkhead."""

    slots: int = 64
    slow_after_seconds: float = 0.5
    slow_slots: int = 128
    rate_per_second: float = 0.0

    @property
    def retry_slots(self) -> int:
        """Half of the slots, but at least one: retries must go on also with a single slot."""
        return max(1, self.slots // 2)


class Slot:
    """The right to run one piece of work, until `release`."""

    __slots__ = ("_admission", "_held", "_slow_timer", "lane", "probe", "slow")

    def __init__(self, admission: "Admission", lane: Lane, slow_after_seconds: float, probe: int | None) -> None:
        self._admission = admission
        self._held = True
        self.lane = lane
        self.probe = probe
        self.slow = False
        self._slow_timer = asyncio.get_running_loop().call_later(slow_after_seconds, admission.move_aside, self)

    def release(self) -> None:
        """Give it back. Harmless if repeated."""
        if self._held:
            self._held = False
            self._slow_timer.cancel()
            self._admission.released(self)


class Admission:
    """Grants slots. `start` before use, `stop` at the end."""

    def __init__(self, limits: Limits, breaker: BreakerLimits | None = None) -> None:
        self._limits = limits
        self._limiter = _limiter(limits)
        self._held = dict.fromkeys(Lane, 0)
        self._slow = 0
        self._waiting: dict[Lane, deque[asyncio.Future[Slot]]] = {lane: deque() for lane in Lane}
        self._changed = asyncio.Event()
        self.breaker = Breaker(breaker or BreakerLimits(), self._changed.set, limits.slots)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to grant."""
        self._task = asyncio.get_running_loop().create_task(self._grant(), context=Context())

    def reconfigure(self, limits: Limits, breaker: BreakerLimits) -> None:
        """Grant by other limits from now on; who holds a slot keeps it."""
        paced_anew = limits.rate_per_second != self._limits.rate_per_second
        self._limits = limits
        self.breaker.reconfigure(breaker, limits.slots)
        if paced_anew:
            self._limiter = _limiter(limits)
            if self._task is not None:  # it may be waiting by the old rate, for long
                self._task.cancel()
                self.start()
        self._changed.set()

    async def stop(self) -> None:
        """Grant no more; whoever waits goes on waiting."""
        self.breaker.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def acquire(self, lane: Lane) -> Slot:
        """Wait for a slot: within a lane first come, first served."""
        turn: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        self._changed.set()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                turn.result().release()  # granted in the same moment in which the waiter went
            raise

    @property
    def in_use(self) -> int:
        """How many pieces of work run, in slots and beside them."""
        return self.slots_in_use + self._slow

    @property
    def slots(self) -> int:
        """How many there are."""
        return self._limits.slots

    @property
    def slots_in_use(self) -> int:
        """How many of the slots are taken; what was moved aside is beside them."""
        return sum(self._held.values())

    def move_aside(self, slot: Slot) -> None:
        """Called by a slot that is held for long: free it for others, if there is a place beside."""
        if self._slow < self._limits.slow_slots:
            slot.slow = True
            self._slow += 1
            self._held[slot.lane] -= 1
            self._changed.set()

    def released(self, slot: Slot) -> None:
        """Called by `Slot.release`."""
        if slot.slow:
            self._slow -= 1
        else:
            self._held[slot.lane] -= 1
        if slot.probe is not None:
            self.breaker.probe_over(slot.probe)
        self._changed.set()

    async def _grant(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._next_lane() is not None:
                if self._limiter is not None:
                    await self._limiter.acquire()
                lane = self._next_lane()  # again: somebody more urgent may have come while the limiter waited
                if lane is not None:
                    self._held[lane] += 1
                    slot = Slot(self, lane, self._limits.slow_after_seconds, self.breaker.granted())
                    self._waiting[lane].popleft().set_result(slot)

    def _next_lane(self) -> Lane | None:
        for waiting in self._waiting.values():
            while waiting and waiting[0].cancelled():
                waiting.popleft()
        if sum(self._held.values()) >= self._limits.slots or not self.breaker.admits(self.in_use):
            return None
        if self._waiting[Lane.FIRST]:
            return Lane.FIRST
        if self._waiting[Lane.RETRY] and self._held[Lane.RETRY] < self._limits.retry_slots:
            return Lane.RETRY
        return None


def _limiter(limits: Limits) -> AsyncLimiter | None:
    # One at a time, evenly: a bucket of a second's worth would let twice the rate through in its first second.
    return AsyncLimiter(1, 1 / limits.rate_per_second) if limits.rate_per_second else None
