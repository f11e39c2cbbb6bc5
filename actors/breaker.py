"""A circuit breaker: an outage of what all effects depend on costs a probe now and then, not an attempt of everybody.

Who runs an effect tells what it has learnt of the medium behind it: `answered`, or `failed`. After so many failures
in a row it opens: admission grants nothing but one probe at a time, with pauses that grow up to a bound. An answer
closes it; then the slots grow back, one more with each answer, so that the backlog doesn't hit what has just risen.
What is held back is only late: it stays due, nothing is written for it, and no attempt is counted.

It decides nothing about a single actor, and it forgets all at a restart.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """`failures` in a row open it (0: never); the pause before a probe doubles from the first to the longest.

    Five: quick retries have bridged every hiccup before a failure is told, and chance hits five in a row rarely. Five
    seconds: a restart of the medium is over by then. A minute: nobody waits longer after the end of an outage, and an
    hour of it costs some sixty probes.
    """

    failures: int = 5
    pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0


class BreakerState(Enum):
    """`HALF_OPEN`: a probe is under way. `RECOVERING`: closed, but not all slots have grown back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    RECOVERING = "recovering"


class Breaker:
    """Asked by admission before it grants, told by who runs effects. `changed`: it may grant again, have a look.

    `slots`: so many run at once when nothing is held back.
    """

    def __init__(self, limits: BreakerLimits, changed: Callable[[], None], slots: int) -> None:
        self.state = BreakerState.CLOSED
        self._limits = limits
        self._changed = changed
        self._slots = slots
        self._failures = 0
        self._allowance = 0
        self._pause_seconds = 0.0
        self._probe_due = False
        self._opened_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # Counts what makes earlier beginnings worthless as evidence: answers, openings, probes.
        self._era = 0

    @property
    def heard(self) -> bool:
        """Whether anything has been learnt of the medium since the start: an answer, or an outage."""
        return self._era > 0

    @property
    def open_seconds(self) -> float:
        """For how long it has been open; 0 if it isn't."""
        if self.state in (BreakerState.OPEN, BreakerState.HALF_OPEN):
            return asyncio.get_running_loop().time() - self._opened_at
        return 0.0

    def reconfigure(self, limits: BreakerLimits, slots: int) -> None:
        """Go by other limits from now on. One that is switched off closes; a pause is cut to the longest."""
        self._limits, self._slots = limits, slots
        if not limits.failures and self.state is not BreakerState.CLOSED:
            self.stop()
            self.state = BreakerState.CLOSED
            self._changed()
        elif self._pause_seconds > limits.longest_pause_seconds:
            self._pause_seconds = limits.longest_pause_seconds
            if self.state is BreakerState.OPEN and not self._probe_due:
                self.stop()
                self._wait()

    # --- for who runs effects -----------------------------------------------------------------------------

    def begins(self) -> int:
        """An effect begins; what this returns goes to `failed` if it comes to that."""
        return self._era

    def answered(self) -> None:
        """The medium is there, whatever it said."""
        self._era += 1
        self._failures = 0
        match self.state:
            case BreakerState.CLOSED:
                pass
            case BreakerState.OPEN | BreakerState.HALF_OPEN:
                logger.warning("the circuit breaker has closed, it was open for %.0f s", self.open_seconds)
                self.stop()
                self.state = BreakerState.RECOVERING
                self._allowance = 1
                self._changed()
            case BreakerState.RECOVERING:
                self._allowance += 1
                if self._allowance >= self._slots:
                    self.state = BreakerState.CLOSED
                self._changed()
            case _:  # pragma: no cover
                assert_never(self.state)

    def failed(self, begun: int) -> None:
        """The medium has failed an effect that began with `begun`.

        It counts only if the medium has answered nobody since: else it isn't down as a whole.
        """
        if begun != self._era or not self._limits.failures:
            return
        if self.state is BreakerState.HALF_OPEN:
            self._pause_seconds = min(2 * self._pause_seconds, self._limits.longest_pause_seconds)
            logger.debug("the probe has failed, the next one in %.1f s", self._pause_seconds)
            self._wait()
        elif self.state is not BreakerState.OPEN:
            self._failures += 1
            if self._failures >= self._limits.failures:
                self._open()

    # --- for admission ------------------------------------------------------------------------------------

    def admits(self, running: int) -> bool:
        """Whether one more may start beside those that run."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return self._probe_due
            case BreakerState.HALF_OPEN:
                return False
            case BreakerState.RECOVERING:
                return running < self._allowance
            case _:  # pragma: no cover
                assert_never(self.state)

    def granted(self) -> int | None:
        """One more starts: what to tell `probe_over` at its end if it is the probe, else None."""
        if self.state is not BreakerState.OPEN:
            return None
        self.state = BreakerState.HALF_OPEN
        self._era += 1
        return self._era

    def probe_over(self, probe: int) -> None:
        """The probe has ended. If it has told nothing of the medium (its actor had nothing to do), the next may go."""
        if self.state is BreakerState.HALF_OPEN and probe == self._era:
            self.state = BreakerState.OPEN
            self._changed()

    def stop(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def _open(self) -> None:
        self._opened_at = asyncio.get_running_loop().time()
        self._failures = 0
        self._era += 1  # what is still under way will fail too, and says nothing new
        self._pause_seconds = self._limits.pause_seconds
        logger.error(
            "the circuit breaker has opened: %d in a row had no usable answer; wake-ups wait, first probe in %.1f s",
            self._limits.failures,
            self._pause_seconds,
        )
        self._wait()

    def _wait(self) -> None:
        self.state = BreakerState.OPEN
        self._probe_due = False
        self._timer = asyncio.get_running_loop().call_later(self._pause_seconds, self._probe_is_due)

    def _probe_is_due(self) -> None:
        self._probe_due = True
        self._changed()
