"""The machine's clock, by which deadlines are measured: does it run, is it set, was it ever later than it is?"""

import ctypes
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from labsessions.core.projection import iso
from labsessions.doctor.findings import Finding, ok, warning

CHECK: Final = "clock"
# How long the two clocks are watched: long enough for a step or a wild rate to show, short enough to wait for.
WATCH_SECONDS: Final = 0.25
# A clock that is being steered runs wrong by at most 500 ppm, or a tenth of a millisecond in that time.
DRIFT_MS: Final = 20
# What the service may store between our reading of the data and of the clock.
AHEAD_MS: Final = 1_000
# adjtimex's answer for a clock that nothing keeps right.
_TIME_ERROR: Final = 5


def _synchronised() -> bool | None:
    """What the kernel says (adjtimex, which only asks here); None where there is no such kernel or it won't tell."""
    try:
        # Zeroes mean: change nothing. The kernel's struct is 208 bytes on 64 bits, and it writes to it.
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError, TypeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


@dataclass(frozen=True, slots=True)
class Clocks:
    """The machine's, or a test's."""

    wall_ms: Callable[[], float] = lambda: time.time_ns() / 1e6
    monotonic_ms: Callable[[], float] = lambda: time.monotonic_ns() / 1e6
    sleep: Callable[[float], None] = time.sleep
    synchronised: Callable[[], bool | None] = _synchronised


def check(newest_ms: int | None, clocks: Clocks | None = None) -> Iterator[Finding]:
    """`newest_ms` is the latest instant that the service has stored, None if there is none."""
    clocks = clocks or Clocks()
    yield _stored(newest_ms, int(clocks.wall_ms()))
    yield _rate(clocks)
    match clocks.synchronised():
        case True:
            yield ok(CHECK, "it is kept right (NTP or the like)")
        case False:
            todo = "let chrony or systemd-timesyncd keep it; in a virtual machine the host may do it unseen"
            yield warning(CHECK, "the kernel knows of nothing that keeps it right", todo)
        case None:
            yield ok(CHECK, "whether something keeps it right cannot be told on this machine")


def _stored(newest_ms: int | None, now_ms: int) -> Finding:
    if newest_ms is None:
        return ok(CHECK, f"it is {iso(now_ms)}; nothing is stored to compare it with")
    if newest_ms > now_ms + AHEAD_MS:
        found = f"it is {iso(now_ms)}, and the service has already stored {iso(newest_ms)}"
        # No fault: a clock that was ahead for once leaves lines of history, and they are later than now for a while.
        return warning(CHECK, found, "if it is wrong, set it; if it is right, it was ahead before: see `sessions`")
    return ok(CHECK, f"it is {iso(now_ms)}, not before what is stored")


def _rate(clocks: Clocks) -> Finding:
    wall, monotonic = clocks.wall_ms(), clocks.monotonic_ms()
    clocks.sleep(WATCH_SECONDS)
    drift = (clocks.wall_ms() - wall) - (clocks.monotonic_ms() - monotonic)
    if abs(drift) > DRIFT_MS:
        found = f"it moved {drift:+.0f} ms against the monotonic clock within {WATCH_SECONDS} s"
        return warning(CHECK, found, "something is setting it: look again; if it goes on, find out what does")
    return ok(CHECK, "it runs evenly with the monotonic clock")
