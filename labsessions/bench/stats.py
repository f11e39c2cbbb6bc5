"""Figures about many values. Nothing here measures."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` (0 to 1) of them don't exceed; 0 if there are none."""
    if not values:
        return 0.0
    rank = max(1, math.ceil(share * len(values)))
    return float(sorted(values)[rank - 1])


def growth(samples: Sequence[float], slack: float = 0) -> float:
    """By how much the last third of the samples is above the middle one, as a share: 0.05 is 5 % more.

    What levels off has done so by then; what grows steadily shows about a half of what it grew in all. Thirds are
    compared by their largest values, because what is bounded may well go up and down below its bound. A difference of
    at most `slack` is none, and so is that of fewer than three samples.
    """
    third = len(samples) // 3
    if not third:
        return 0.0
    middle, last = max(samples[third : 2 * third]), max(samples[-third:])
    if abs(last - middle) <= slack:
        return 0.0
    return (last - middle) / middle if middle else 1.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much y grows with each x, from the middle of the points to the last one; 0 where x stands still."""
    if not points:
        return 0.0
    (x0, y0), (x1, y1) = points[len(points) // 2], points[-1]
    return (y1 - y0) / (x1 - x0) if x1 != x0 else 0.0
