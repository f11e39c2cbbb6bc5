"""What a benchmark results in, as values: figures with targets, in scenarios, in a report, which is also the JSON."""

from typing import Literal

from msgspec import Struct, field

FORMAT = 1  # of the JSON; a figure that is renamed or means something else makes it 2

Better = Literal["more", "less"]


class Figure(Struct, frozen=True, omit_defaults=True):
    """One figure. `better` tells in which direction, if any; with a `target`, `met` tells whether it was reached."""

    name: str
    value: float
    unit: str = ""
    better: Better | None = None
    target: float | None = None
    met: bool | None = None


class Result(Struct, frozen=True, kw_only=True):
    """One scenario. `faults`: what was lost, wrong or doubled, in words; the only thing that fails a run."""

    name: str
    title: str
    seconds: float = 0.0
    figures: list[Figure]
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Report(Struct, frozen=True, kw_only=True):
    """One run of the benchmark. `date` is ISO 8601 in UTC; `commit` is None where no git tells it."""

    format: int = FORMAT
    date: str
    commit: str | None
    quick: bool
    machine: dict[str, str | int | float]
    results: list[Result]


def at_least(name: str, value: float, unit: str, target: float) -> Figure:
    """A figure that is to reach its target."""
    return Figure(name, value, unit, "more", target, value >= target)


def at_most(name: str, value: float, unit: str, target: float) -> Figure:
    """A figure that is to stay within its target."""
    return Figure(name, value, unit, "less", target, value <= target)


def more(name: str, value: float, unit: str = "") -> Figure:
    """A figure without a target; more is better."""
    return Figure(name, value, unit, "more")


def less(name: str, value: float, unit: str = "") -> Figure:
    """A figure without a target; less is better."""
    return Figure(name, value, unit, "less")


def plain(name: str, value: float, unit: str = "") -> Figure:
    """A figure that is neither good nor bad."""
    return Figure(name, value, unit)
