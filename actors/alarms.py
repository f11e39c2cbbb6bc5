"""Alarms: due rows of the store become wake-ups, at least once, never early.

One loop per lane reads the index in order, a bounded window at a time; the process never holds all alarms. It
sleeps to the earliest due time; an earlier alarm wakes it. The alarm of a row stays armed until the actor has
written another one, so a crash at any point loses nothing. A wake-up that cannot be delivered (a cell that
won't load) backs off in its own row, is reported, and holds up nobody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from actors.admission import Admission, Slot
from actors.clock import Clock
from actors.clock_guard import ClockGuard
from actors.effects import Effects
from actors.errors import CommitError
from actors.ids import ActorId
from actors.notices import Notices
from actors.storage import Alarm, Deferral, DueAlarm, Lane, Operation, Store

logger = logging.getLogger(__name__)

# Rows read at once while everything in the window is due: a few times the usual number of slots.
WINDOW = 256
# Rows read at once otherwise, to learn when the next one is due: most looks find one due row or none.
GLANCE = 8
# The safety net under the timers: steps of the wall clock and suspended machines are noticed after this.
RECHECK_SECONDS = 30.0
# After a failure of the store itself (full disk, locked file) the next try is made after this.
STORE_RETRY_SECONDS = 1.0
# The longest back-off of a wake-up that cannot be delivered, unless chosen. Not only damaged cells back off, which wait
# for an operator: so does a write that fails again and again, and what is due shall not be late for long after it.
LONGEST_BACKOFF_SECONDS = 300.0
FIRST_BACKOFF_MS = 1000
# An instant after all others, for a loop that sleeps until it is told of an alarm.
NEVER_MS = 2**63


class Alarms:
    """The dispatcher. `wake` delivers a wake-up and returns when it was handled, `commit` stores a deferral.

    With a `guard` nothing is delivered while the clock isn't trusted. Notices need no admission.
    `longest_backoff_seconds` counts as a second, the first back-off, if it is less.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        admission: Admission,
        effects: Effects,
        wake: Callable[[ActorId], Awaitable[object]],
        commit: Callable[[Operation], Awaitable[None]],
        guard: ClockGuard | None = None,
        longest_backoff_seconds: float = LONGEST_BACKOFF_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._admission = admission
        self._effects = effects
        self._wake = wake
        self._commit = commit
        self._guard = guard
        self._longest_backoff_ms = max(FIRST_BACKOFF_MS, int(longest_backoff_seconds * 1000))
        self._notices = Notices()
        self._lanes = {lane: _Lane() for lane in Lane}
        self._loops: list[asyncio.Task[None]] = []
        self._deliveries: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to deliver; overdue alarms go at once, oldest first."""
        loop = asyncio.get_running_loop()
        self._loops = [loop.create_task(self._serve(lane), context=Context()) for lane in Lane]

    async def stop(self) -> None:
        """Deliver no more, and return when the deliveries under way are handled."""
        for task in self._loops:
            task.cancel()
        if waiting := [*self._loops, *self._deliveries]:
            await asyncio.wait(waiting)

    def armed(self, actor_id: ActorId, alarm: Alarm) -> None:
        """An alarm has been stored: wake the loop if it is earlier than what the loop sleeps for."""
        lane = self._lanes[alarm.lane]
        if actor_id in lane.delivering:  # the loop passes over it until then
            lane.delivering[actor_id] = min(lane.delivering[actor_id], alarm.due_ms)
        else:
            lane.announce(alarm.due_ms)

    @property
    def delivering(self) -> int:
        """How many wake-ups are under way."""
        return len(self._deliveries)

    def stalled_seconds(self) -> float:
        """How long ago the dispatcher was in order; infinite if a loop has ended, which is a bug.

        It isn't while the store owes a loop an answer, or refuses it, and when a loop has slept past the instant at
        which it wanted to look again. To wait for a slot, or for the clock to be trusted, is in order.
        """
        if any(task.done() for task in self._loops):
            return float("inf")
        now, now_ms = asyncio.get_running_loop().time(), self._clock.now_ms()
        return max(lane.stalled_seconds(now, now_ms) for lane in self._lanes.values())

    async def _serve(self, which: Lane) -> None:
        lane = self._lanes[which]
        failures = 0
        while True:
            if self._guard is not None:
                await self._guard.opened()
            try:
                next_ms = await self._serve_window(which, lane)
            except Exception as error:  # noqa: BLE001 - the store's fault; the loop itself must never end
                failures += 1
                _log_failure(failures, error)
                await asyncio.sleep(STORE_RETRY_SECONDS)
            else:
                failures = 0
                if next_ms is not None:
                    await self._sleep(lane, next_ms)

    async def _serve_window(self, which: Lane, lane: "_Lane") -> int | None:
        """Deliver what is due; None: there may be more. Otherwise when the next alarm is due."""
        lane.begin_turn()
        window = await self._store.alarms(which, lane.window + len(lane.delivering))
        lane.reading_since = None
        delivered = False
        for alarm in window:
            if alarm.actor_id in lane.delivering or alarm.actor_id in lane.handled:
                continue
            if self._clock.now_ms() < alarm.due_ms:
                lane.window = GLANCE
                return alarm.due_ms
            slot = await (self._notices if which is Lane.NOTICE else self._admission).acquire(which)
            if self._guard is not None and not self._guard.is_open():
                slot.release()
                return None
            self._deliver_soon(lane, alarm, slot)
            delivered = True
        lane.window = WINDOW if delivered else GLANCE
        return None if delivered else NEVER_MS

    async def _sleep(self, lane: "_Lane", until_ms: int) -> None:
        lane.sleeps_until_ms = until_ms
        now_ms = self._clock.now_ms()
        until_ms = min(until_ms, now_ms + int(RECHECK_SECONDS * 1000))
        timer = self._clock.call_at(until_ms, lane.changed.set)
        lane.wakes_at = (asyncio.get_running_loop().time() + (until_ms - now_ms) / 1000, until_ms)
        try:
            await lane.changed.wait()
        finally:
            lane.wakes_at = None
            timer.cancel()

    def _deliver_soon(self, lane: "_Lane", alarm: DueAlarm, slot: Slot | Notices) -> None:
        lane.delivering[alarm.actor_id] = NEVER_MS
        task = asyncio.get_running_loop().create_task(self._deliver(lane, alarm, slot), context=Context())
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, lane: "_Lane", alarm: DueAlarm, slot: Slot | Notices) -> None:
        try:
            await self._wake(alarm.actor_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the row must not stay due, or it is tried without end
            await self._defer(alarm, error)
        finally:
            lane.handled.add(alarm.actor_id)
            lane.announce(lane.delivering.pop(alarm.actor_id))
            effect = self._effects.running(alarm.actor_id)
            if effect is None or alarm.lane is Lane.NOTICE:
                slot.release()
            else:
                effect.add_done_callback(lambda _: slot.release())

    async def _defer(self, alarm: DueAlarm, error: Exception) -> None:
        backoff_ms = min(FIRST_BACKOFF_MS * 2 ** min(alarm.deferrals, 20), self._longest_backoff_ms)
        # Not to before its own time either, should the clock have been set back since it was due.
        until_ms = max(self._clock.now_ms() + backoff_ms, alarm.due_ms)
        logger.error(
            "the wake-up of %s could not be delivered (%d times in a row), next try in %d s: %s",
            alarm.actor_id,
            alarm.deferrals + 1,
            backoff_ms // 1000,
            error,
        )
        try:
            await self._commit(Deferral(alarm, until_ms, str(error)))
        except CommitError as failure:  # keep the slot for a while, which slows everything down
            logger.error("that could not be stored either: %s", failure)  # noqa: TRY400 - the cause is in the text
            await asyncio.sleep(STORE_RETRY_SECONDS)
            until_ms = alarm.due_ms
        self.armed(alarm.actor_id, Alarm(until_ms, alarm.lane))


def _log_failure(times: int, error: Exception) -> None:
    """The first time with its traceback, then the 2nd, 4th, 8th … time: hours of trouble must not flood the log."""
    if times & (times - 1) == 0:
        logger.error(
            "the alarms cannot be read (%d times in a row); next try in %.0f s: %s",
            times,
            STORE_RETRY_SECONDS,
            error,
            exc_info=error if times == 1 else None,
        )


class _Lane:
    """What one loop knows. An actor is in `delivering` while it is being woken, then in `handled` for the turn.

    `delivering` also has when the earliest alarm is due that the actor has armed meanwhile. `handled` because the
    window may have been read before the actor's commit: its row looks due, but is not.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.window = GLANCE
        self.sleeps_until_ms = NEVER_MS
        self.reading_since: float | None = None
        # When a sleep is to end, by the loop's clock and by the wall clock.
        self.wakes_at: tuple[float, int] | None = None
        self.delivering: dict[ActorId, int] = {}
        self.handled: set[ActorId] = set()

    def begin_turn(self) -> None:
        # Before the read, so that an alarm stored during it is noticed.
        self.changed.clear()
        self.sleeps_until_ms = NEVER_MS
        self.handled.clear()
        if self.reading_since is None:  # or the last answer was a refusal
            self.reading_since = asyncio.get_running_loop().time()

    def stalled_seconds(self, now: float, now_ms: int) -> float:
        """How long ago this loop was in order."""
        if self.reading_since is not None:
            return now - self.reading_since
        if self.wakes_at is None:
            return 0.0
        # By both clocks: the wall clock may have been set since, and one that is driven may stand still.
        wakes_at, wakes_at_ms = self.wakes_at
        return max(0.0, min(now - wakes_at, (now_ms - wakes_at_ms) / 1000))

    def announce(self, due_ms: int) -> None:
        """There is an alarm that the loop may not know of."""
        if due_ms < self.sleeps_until_ms:
            self.changed.set()
