"""The clock guard: tells steps of the wall clock from time that has passed, and holds wake-ups back after a large one.

The wall clock is compared with boot time, which counts a suspended machine as time that has passed. A step forward
beyond a limit would make everything due at once, perhaps by mistake: wake-ups wait until an operator has confirmed
the clock, it was set back, or it has lasted. A step back makes everything later and nothing twice, so it holds back
nothing. The last time seen is kept in a file: a start before it is a step back, too. A step forward across a restart
can't be told from having been switched off.

It gates the delivery of wake-ups and nothing else; deadlines are never moved.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path

from actors.clock import Clock

logger = logging.getLogger(__name__)

# An operator touches the first; the second is ours.
CONFIRMED = "clock-confirmed"
SEEN = "clock-seen"
# Deliveries look for themselves. This is for the log line to come soon, and for the confirmation to be seen soon.
CHECK_SECONDS = 1.0
# What a crash may lose of the last time seen: far less than a step that matters.
SAVE_SECONDS = 60.0
# A clock that is read back a moment after it was written may be this much behind without anybody having set it.
SLACK_MS = 1000


def boot_seconds() -> float:
    """Seconds that have passed, those of a suspended machine included – where the system can tell (Linux)."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """`step_seconds`: a larger step forward holds wake-ups back (0: none does), for `hold_seconds` at most.

    Ten minutes: no time service steps a running clock so far, and a lab that ends so much early is a nuisance, no
    loss. A quarter of an hour: time for somebody who is called, and short against what VMs cost that run on.
    """

    step_seconds: float = 600.0
    hold_seconds: float = 900.0


class ClockGuard:
    """Asked before each delivery. `folder` holds its two files; `passed` are seconds since whenever."""

    def __init__(
        self, clock: Clock, folder: Path, limits: GuardLimits, passed: Callable[[], float] = boot_seconds
    ) -> None:
        self._clock = clock
        self._folder = folder
        self._limits = limits
        self._passed = passed
        self._wall_ms, self._at = clock.now_ms(), passed()
        self._held_since: float | None = None
        self._ahead_ms = 0.0
        self.steps = 0
        """How often the clock was seen to be set, forward or back, by more than `SLACK_MS`."""
        self.last_step_ms = 0.0
        """By how much it was set last; less than 0: back."""
        self._open = asyncio.Event()
        self._open.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str | None:
        """Why wake-ups are held back, and what to do; None if they aren't."""
        if self._held_since is None:
            return None
        return (
            f"the clock was set forward by {self._ahead_ms / 1000:.0f} s: wake-ups wait. If the clock is right, "
            f"touch {self._folder / CONFIRMED}; else set it. They go on by themselves after "
            f"{self._limits.hold_seconds:.0f} s"
        )

    def is_open(self) -> bool:
        """Look at the clocks: whether a wake-up may be delivered now."""
        wall_ms, at = self._clock.now_ms(), self._passed()
        stepped_ms = (wall_ms - self._wall_ms) - (at - self._at) * 1000
        self._wall_ms, self._at = wall_ms, at
        largest_ms = self._limits.step_seconds * 1000
        if abs(stepped_ms) > SLACK_MS:
            self.steps += 1
            self.last_step_ms = stepped_ms
        if self._held_since is not None:
            self._ahead_ms += stepped_ms
            if self._ahead_ms <= largest_ms:
                self._release("it was set back")
            elif at - self._held_since >= self._limits.hold_seconds:
                self._release("it has lasted")
        elif 0 < largest_ms < stepped_ms:
            self._held_since, self._ahead_ms = at, stepped_ms
            self._open.clear()
            with contextlib.suppress(OSError):  # an old confirmation is about another step
                (self._folder / CONFIRMED).unlink(missing_ok=True)
            logger.error("%s", self.problem)
        elif stepped_ms < -SLACK_MS:
            logger.warning("the clock was set back by %.0f s: what is due comes so much later", -stepped_ms / 1000)
        return self._held_since is None

    async def opened(self) -> None:
        """Return as soon as wake-ups may be delivered."""
        self.is_open()
        await self._open.wait()

    def start(self) -> None:
        """Begin to watch, after a look at the time that an earlier process has seen."""
        seen_ms = self._read()
        behind_ms = 0 if seen_ms is None else seen_ms - self._clock.now_ms()
        if behind_ms > SLACK_MS:
            logger.warning(
                "the clock is %.0f s behind what was seen before the restart: what is due comes so much later",
                behind_ms / 1000,
            )
        self._task = asyncio.get_running_loop().create_task(self._watch(), context=Context())

    async def stop(self) -> None:
        """Watch no more, and keep the time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._save()

    async def _watch(self) -> None:
        saved_at = float("-inf")
        while True:
            self.is_open()
            if self._held_since is not None and self._confirmed():
                self._release("it is confirmed")
            if self._at - saved_at >= SAVE_SECONDS:
                saved_at = self._at
                await asyncio.to_thread(self._save)
            await asyncio.sleep(CHECK_SECONDS)

    def _release(self, why: str) -> None:
        self._held_since = None
        self._open.set()
        logger.warning("wake-ups go on after a step of the clock: %s", why)

    def _confirmed(self) -> bool:
        """Whether an operator has touched the file; it is used up."""
        try:
            (self._folder / CONFIRMED).unlink()
        except OSError:
            return False
        return True

    def _read(self) -> int | None:
        try:
            return int((self._folder / SEEN).read_text("ascii"))
        except (OSError, ValueError):  # none yet, or cut off by a crash
            return None

    def _save(self) -> None:
        draft = self._folder / f".{SEEN}.tmp"
        try:
            with draft.open("w", encoding="ascii") as file:
                file.write(str(self._clock.now_ms()))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._folder / SEEN)
        except OSError as error:  # a full disk is the store's to report
            logger.debug("the time seen last could not be kept: %s", error)
