"""The deliveries of one process: what its dispatcher has read of the medium, and whom it wakes, against the clock.

Looked at where a wake-up leaves the dispatcher, because an actor that is woken early answers "not yet": nothing else
would show it.
"""

from collections.abc import Sequence
from typing import Final

from actors.clock_guard import CHECK_SECONDS, GuardLimits
from actors.ids import ActorId
from actors.storage import DueAlarm, Lane
from labsessions.simulation import invariants
from labsessions.simulation.books import Books
from labsessions.simulation.trace import BrokenError

# The guard may notice this much later what happens to the clock, and a little for the medium.
NOTICED_MS: Final = 2 * int(CHECK_SECONDS * 1000) + 500


class Deliveries:
    """Hears of windows, wake-ups and steps of the clock. With a `guard`, large steps must hold wake-ups back."""

    def __init__(self, books: Books, guard: GuardLimits | None) -> None:
        self._books = books
        self._largest_ms = guard.step_seconds * 1000 if guard else 0.0
        self._hold_ms = guard.hold_seconds * 1000 if guard else 0.0
        self._windows: dict[Lane, dict[ActorId, int]] = {lane: {} for lane in Lane}
        # The latest that the wall clock has shown since the window of the lane was read, as far as it was set since.
        self._shown_ms = dict.fromkeys(Lane, 0)
        self._stepped_ms = 0
        self._closed_ms: int | None = None
        self._ahead_ms = 0

    def read(self, lane: Lane, window: Sequence[DueAlarm]) -> None:
        """The dispatcher has a new window of a lane; it knows nothing else of it any more."""
        self._windows[lane] = {alarm.actor_id: alarm.due_ms for alarm in window}
        self._shown_ms[lane] = self._books.wall_ms()

    def woken(self, actor_id: ActorId) -> None:
        """A wake-up leaves the dispatcher. BrokenError if the alarm it was read for is not due, or it must wait."""
        books = self._books
        books.woken_ms.append(books.elapsed_ms())
        # Only one that moved to the other lane a moment ago is in both windows.
        early_ms = [
            due_ms - max(self._shown_ms[lane], books.wall_ms())
            for lane, window in self._windows.items()
            if (due_ms := window.get(actor_id)) is not None
        ]
        if not early_ms:
            raise BrokenError(2, f"{actor_id.name} is woken, and no alarm of it was read")
        invariants.not_woken_early(actor_id.name, min(early_ms))
        # One that was on its way may come in the very moment of the step.
        if self._closed_ms is not None and self._closed_ms + 1 < books.elapsed_ms() < self.held_until_ms:
            raise BrokenError(2, f"{actor_id.name} is woken, though the clock was set forward by {self._ahead_ms} ms")

    # --- what the guard must make of the clock ------------------------------------------------------------

    def clock_steps(self, ms: int) -> None:
        """The wall clock is about to be set. While it is guarded, only if it is `settled`."""
        now_ms = self._stepped_ms = self._books.elapsed_ms()
        for lane, shown_ms in self._shown_ms.items():
            self._shown_ms[lane] = max(shown_ms, self._books.wall_ms())
        if self._closed_ms is not None and now_ms < self.held_until_ms:
            self._ahead_ms += ms
            if self._ahead_ms <= self._largest_ms:
                self._closed_ms = None
        else:
            closes = 0 < self._largest_ms < ms
            self._closed_ms, self._ahead_ms = (now_ms, ms) if closes else (None, 0)
            if closes:
                self._books.counts["fault: clock step that the guard stops"] += 1

    def settled(self) -> bool:
        """Whether the guard has noticed all that has happened to the clock: how fast it does is not looked at here."""
        now_ms = self._books.elapsed_ms()
        opens_ms = self.held_until_ms
        return not (
            self._largest_ms and (now_ms < self._stepped_ms + NOTICED_MS or opens_ms <= now_ms < opens_ms + NOTICED_MS)
        )

    @property
    def held_until_ms(self) -> float:
        """When wake-ups go on after the last large step, if nothing else happens; 0 if there was none."""
        return 0 if self._closed_ms is None else self._closed_ms + self._hold_ms
