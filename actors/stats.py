"""What is measured on the way: distributions in plain numbers, for whoever looks at them later.

An observation costs a search among a dozen bounds and two additions, so that it can be made where each microsecond
counts. Nothing here knows how the figures are shown.
"""

from bisect import bisect_left
from typing import Final

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds for what takes milliseconds if all is well."""


class Histogram:
    """How often a value was at most each of the `bounds`, which ascend, and above the one before.

    `counts` has one more, for what is above all of them; `total` is the sum of the values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, other: "Histogram") -> None:
        """Count what the other one, of the same bounds, has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class CommitStats:
    """What the writer has done: seconds of each transaction, operations in each, and how many have failed."""

    __slots__ = ("failures", "operations", "seconds")

    def __init__(self) -> None:
        self.seconds = Histogram(SECONDS)
        self.operations = Histogram((1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
        self.failures = 0
