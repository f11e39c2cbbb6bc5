"""The fakes: time that is driven, and a durable medium in memory that fails when told.

Public, and used by the project's own tests; there are no others. Two ways to drive time: `run_virtual` runs
everything on a loop whose time jumps from timer to timer, so library timers obey it too – for memory stores,
as a thread (SQLite has one) knows nothing of it. `ManualClock` moves only the wall clock, for tests with real
files and sockets.
"""

import asyncio
import heapq
import math
import selectors
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

from actors.clock import Timer
from actors.ids import ActorId
from actors.storage import Column, Deferral, DueAlarm, Lane, Operation, Put, Write

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


class DiskError(OSError):
    """The medium has failed as told; nothing of the operation has happened."""


class ProcessDiedError(Exception):
    """The process that used this store is dead; the disk will hear nothing of it any more."""


class MemoryDisk:
    """What survives a process: cells with their alarms, and the rows of the registered tables by key."""

    def __init__(self) -> None:
        self.cells: dict[ActorId, bytes] = {}
        self.armed: dict[ActorId, DueAlarm] = {}
        self.tables: dict[str, dict[tuple[Column, ...], dict[str, Column]]] = {}

    def rows(self, table: str) -> list[dict[str, Column]]:
        """The rows of a table, in order of their first insertion."""
        return list(self.tables.get(table, {}).values())


class MemoryStore:
    """A `Store` on a `MemoryDisk`, with crash points. One store is one process; after its death make another.

    `fail(n)`: the next n commits fail. `hold`, `release`: commits wait in between. `die_before(n)`,
    `die_after(n)`: the process dies at the nth commit from now, which is then lost, or durable but unanswered.
    """

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.dead = False
        self.commits = 0
        self.loads = 0
        self.unreadable: set[ActorId] = set()
        self._failures = 0
        self._countdown: int | None = None
        self._durable_death = False
        self._gate = asyncio.Event()
        self._gate.set()

    def fail(self, commits: int) -> None:
        """Let the next commits fail, with nothing applied."""
        self._failures = commits

    def hold(self) -> None:
        """Keep commits waiting."""
        self._gate.clear()

    def release(self) -> None:
        """Let them through."""
        self._gate.set()

    def die_before(self, commits: int) -> None:
        """Die instead of the nth commit from now."""
        self._countdown, self._durable_death = commits, False

    def die_after(self, commits: int) -> None:
        """Die when the nth commit from now is durable, before anybody hears of it."""
        self._countdown, self._durable_death = commits, True

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """See `Store`."""
        await self._alive()
        self.loads += 1
        for actor_id in actor_ids:
            if actor_id in self.unreadable:
                raise DiskError(f"the cell of {actor_id} cannot be read")
        return [self.disk.cells.get(actor_id) for actor_id in actor_ids]

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        await self._alive()
        await self._gate.wait()
        await self._alive()
        if self._failures:
            self._failures -= 1
            raise DiskError("the commit has failed")
        dies = self._dies()
        if not dies or self._durable_death:
            for operation in operations:
                self._apply(operation)
            self.commits += 1
        if dies:
            self.dead = True
            raise ProcessDiedError

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        await self._alive()
        in_lane = (alarm for alarm in self.disk.armed.values() if alarm.lane == lane)
        return heapq.nsmallest(limit, in_lane, key=lambda alarm: alarm.due_ms)

    async def deferred(self) -> int:
        """See `Store`."""
        await self._alive()
        return sum(alarm.deferrals > 0 for alarm in self.disk.armed.values())

    async def close(self) -> None:
        """See `Store`."""

    async def _alive(self) -> None:
        await asyncio.sleep(0)  # a real medium answers later, never at once
        if self.dead:
            raise ProcessDiedError

    def _dies(self) -> bool:
        if self._countdown is None:
            return False
        self._countdown -= 1
        return self._countdown <= 0

    def _apply(self, operation: Operation) -> None:
        disk = self.disk
        if isinstance(operation, Deferral):
            alarm = operation.alarm
            if disk.armed.get(alarm.actor_id) == alarm:
                disk.armed[alarm.actor_id] = alarm._replace(due_ms=operation.until_ms, deferrals=alarm.deferrals + 1)
            return
        self._apply_write(operation)

    def _apply_write(self, write: Write) -> None:
        disk, actor_id = self.disk, write.actor_id
        disk.cells.pop(actor_id, None)
        disk.armed.pop(actor_id, None)
        if write.cell is not None:
            disk.cells[actor_id] = write.cell
            if write.alarm is not None:
                disk.armed[actor_id] = DueAlarm(actor_id, write.alarm.due_ms, write.alarm.lane, deferrals=0)
        for row in write.rows:
            table = disk.tables.setdefault(row.table.name, {})
            if isinstance(row, Put):
                values = dict(zip(row.table.columns, row.values, strict=True))
                table[tuple(values[column] for column in row.table.key)] = values
            else:
                table.pop(row.key, None)
