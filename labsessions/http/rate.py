"""A limit on the rate of requests that refuses instead of waiting: per caller, in bounded memory.

The generic cell rate algorithm: all that is kept of a caller is the instant at which its bucket would be full again.
"""

import time
from collections.abc import Callable, Hashable
from typing import Final

# Callers whose instant is kept. Of those beyond, the one that was silent for longest begins anew with a full bucket; so
# many would have to come within the time in which a bucket fills.
MAX_CALLERS: Final = 10_000
_NS: Final = 1_000_000_000


class RateLimit:
    """Lets `per_second` requests of each caller pass on average, and `burst` at once after a pause."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        now_ns: Callable[[], int] = time.monotonic_ns,
        max_callers: int = MAX_CALLERS,
    ) -> None:
        self._interval_ns = round(_NS / per_second)
        self._ahead_ns = self._interval_ns * (burst - 1)
        self._now_ns = now_ns
        self._max_callers = max_callers
        self._full_at_ns: dict[Hashable, int] = {}  # in the order of the last request

    def take(self, caller: Hashable) -> float:
        """0.0 if the request may pass; else the seconds until one may, and nothing was taken."""
        now_ns = self._now_ns()
        full_at_ns = max(self._full_at_ns.pop(caller, now_ns), now_ns)
        wait_ns = full_at_ns - self._ahead_ns - now_ns
        self._full_at_ns[caller] = full_at_ns if wait_ns > 0 else full_at_ns + self._interval_ns
        if len(self._full_at_ns) > self._max_callers:
            del self._full_at_ns[next(iter(self._full_at_ns))]
        return max(wait_ns, 0) / _NS
