"""What has happened since the start, in plain numbers: requests, calls to the backend, facts about sessions.

Its three methods are on the way of everything; each costs about a microsecond. What they count is made into metrics by
`collector`, when somebody asks.
"""

from collections import defaultdict
from http import HTTPStatus
from typing import Final

from actors.stats import SECONDS, Histogram
from labsessions.core.messages import (
    AttemptFailed,
    AttemptStarted,
    Created,
    Ended,
    Event,
    Settled,
    Stuck,
)
from labsessions.core.record import END_REASONS

# Promptness is a matter of milliseconds; a backend that is down makes it one of hours.
_LATENESS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400)
# A call may take 15 s, unless it is set otherwise.
_CALLS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
# What a backend may answer, so that whoever answers nonsense doesn't fill the memory of others.
_STATUSES: Final = frozenset(str(status.value) for status in HTTPStatus)


class Tally:
    """The numbers, and the methods that count."""

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, str, int], Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self.calls: defaultdict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(_CALLS))
        self.lateness = Histogram(_LATENESS)
        self.created = 0
        self.ended: defaultdict[str, int] = defaultdict(int, dict.fromkeys(END_REASONS, 0))
        self.attempts_started = 0
        self.attempts = {"confirmed": 0, "failed": 0, "abandoned": 0}
        self.stuck = 0

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request has its answer. `path` is a route's, `method` one that it takes."""
        self.requests[method, path, status].observe(seconds)

    def called(self, path: str, code: str, seconds: float) -> None:
        """A call to the backend has ended. `code` is a status or a kind of error."""
        known = code in _STATUSES or not code.isdecimal()
        self.calls[path, code if known else "other"].observe(seconds)

    def happened(self, events: tuple[Event, ...]) -> None:
        """These facts are durable."""
        for event in events:
            match event:
                case Created():
                    self.created += 1
                case AttemptStarted():
                    self.attempts_started += 1
                case AttemptFailed():
                    self.attempts["failed"] += 1
                case Stuck():
                    self.stuck += 1
                case Settled():
                    self.attempts["confirmed"] += 1
                case Ended():
                    self._ended(event)
                case _:
                    pass

    def _ended(self, event: Ended) -> None:
        session = event.session
        self.ended[event.reason] += 1
        if not session.pending:  # all is confirmed, whoever has wanted it
            self.attempts["confirmed"] += 1
            self.lateness.observe((event.at_ms - session.expires_ms) / 1000)
        elif session.in_flight:
            self.attempts["abandoned"] += 1
