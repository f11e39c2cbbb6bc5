"""The numbers that decisions depend on.

They come from the settings; what a stored alarm needs of them is frozen into the state when it is decided, so
that a changed setting cannot move an alarm that is already armed.
"""

from msgspec import Struct


class Policy(Struct, frozen=True, kw_only=True, gc=False):
    """Limits of a session and its cleanup, in milliseconds where the name says so.

    `max_total_minutes`: the longest that a session may last, extensions included; times its time factor.
    `retry_interval_ms`: from a failure to the next attempt. `attempt_limit_ms`: the longest that an attempt
    may run. `spread`: the largest share of the interval that is added per session, 0 to 0.1, so that sessions
    that failed together don't return together. `stuck_after`: the attempt whose failure labels it stuck.
    `keys_kept_ms`: how long the answer to a request with a key is remembered.
    `warn_before_ms`: how long before its end a session is warned of, the longest first.
    `owed_after_ms`: how long after a manual delete the service deletes the VMs itself; None: it doesn't at all.
    """

    max_total_minutes: float = 43_200
    retry_interval_ms: int = 300_000
    attempt_limit_ms: int = 60_000
    spread: float = 0.1
    stuck_after: int = 12
    owed_after_ms: int | None = None
    keys_kept_ms: int = 86_400_000  # a day: who tries again later than that has asked for something else
    warn_before_ms: tuple[int, ...] = ()

    def retry_after_ms(self, generation: str) -> int:
        """Interval plus this session's own, fixed part of the spread: never shorter than the interval."""
        return self.retry_interval_ms + int(generation.replace("-", ""), 16) % (self._widest_ms + 1)

    @property
    def backstop_ms(self) -> int:
        """From the start of an attempt to the next one if nothing is ever heard of it (a crash in mid-call)."""
        return self.attempt_limit_ms + self.retry_interval_ms

    @property
    def longest_wait_ms(self) -> int:
        """The longest that any attempt is put off."""
        return max(self.backstop_ms, self.retry_interval_ms + self._widest_ms, self.owed_after_ms or 0)

    @property
    def _widest_ms(self) -> int:
        return int(self.retry_interval_ms * self.spread)
