"""Statistics, report and comparison: what is said of figures that are known."""

import io

import pytest
from bench_kit import report, result
from rich.console import Console

from labsessions.bench.compare import changes, different_terms, show_changes
from labsessions.bench.figures import Figure, Report, at_least, at_most, less, more, plain
from labsessions.bench.report import show, shown, target
from labsessions.bench.stats import growth, percentile, slope


def printed(report_: Report, earlier: Report | None = None) -> str:
    """The report as a person sees it, with the comparison if there is an earlier one."""
    console = Console(file=io.StringIO(), width=200)
    show(report_, console)
    if earlier is not None:
        show_changes(earlier, report_, 0.1, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("expected", "share"), [(1, 0), (1, 0.01), (50, 0.5), (51, 0.501), (99, 0.99), (100, 0.991), (100, 1)]
)
def test_a_percentile_is_one_of_the_values(expected: float, share: float) -> None:
    """The smallest that so many of a hundred do not exceed; the order doesn't matter."""
    assert percentile([*range(100, 0, -1)], share) == expected


def test_the_percentile_of_one_and_of_none() -> None:
    """One is all of them; none is 0."""
    assert (percentile([7], 0.01), percentile([7], 1), percentile([], 0.5)) == (7, 7, 0)


def test_growth_compares_the_last_third_with_the_middle_one() -> None:
    """What happens before counts for nothing; what goes up and down below its bound has not grown."""
    assert growth([1, 1, 1, 100, 100, 100, 105, 105, 105]) == 0.05
    assert growth([0, 0, 0, 4, 1, 4, 1, 4, 1]) == 0
    assert growth([9, 9, 9, 4, 4, 4, 2, 2, 2]) == -0.5
    assert (growth([]), growth([1, 2]), growth([0, 0, 0]), growth([0, 0, 1])) == (0, 0, 0, 1)


@pytest.mark.parametrize(("expected", "last"), [(0, 109), (0, 110), (0.11, 111), (0, 90), (-0.11, 89)])
def test_growth_within_the_slack_is_none(expected: float, last: float) -> None:
    """One before, equal, one after; in either direction."""
    assert growth([0, 100, last], slack=10) == pytest.approx(expected)


def test_a_slope_is_told_from_the_second_half() -> None:
    """At the beginning a file fills up with what is waiting."""
    assert slope([(0, 0), (10, 900), (20, 1000), (30, 1050)]) == 5
    assert (slope([]), slope([(1, 1)]), slope([(1, 1), (1, 9)])) == (0, 0, 0)


@pytest.mark.parametrize(("met", "value"), [(False, 0.499), (True, 0.5), (True, 0.501)])
def test_a_figure_that_is_to_reach_its_target(met: bool, value: float) -> None:  # noqa: FBT001
    """One before, equal, one after."""
    assert at_least("ratio", value, "×", 0.5).met is met


@pytest.mark.parametrize(("met", "value"), [(True, 39.9), (True, 40), (False, 40.1)])
def test_a_figure_that_is_to_stay_within_its_target(met: bool, value: float) -> None:  # noqa: FBT001
    """One before, equal, one after."""
    assert at_most("p99", value, "ms", 40).met is met


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("0 B", 0),
        ("0.512 B", 0.5123),
        ("7.13 B", 7.126),
        ("71.3 B", 71.26),
        ("713 B", 712.6),
        ("7,126 B", 7126.4),
        ("3 B", 3),
        ("-2.50 B", -2.5),
    ],
)
def test_values_have_about_three_digits(expected: str, value: float) -> None:
    """Small ones have decimals, whole ones none, large ones their thousands apart."""
    assert shown(value, "B") == expected


def test_targets_say_in_which_direction() -> None:
    """With the unit of their figure."""
    figures = [at_least("a", 1, "/s", 2000), at_most("b", 1, "ms", 40), more("c", 1)]
    assert [target(figure) for figure in figures] == ["≥ 2,000 /s", "≤ 40 ms", ""]


def test_the_report_shows_figures_targets_and_faults() -> None:
    """A missed target and a fault can't be overlooked; a quick run says that it is one."""
    text = printed(
        report(
            result(at_least("create: ratio", 0.25, "×", 0.5), at_most("create: p99", 12.3, "ms", 40)),
            result(plain("sessions", 7), name="waiting", faults=["2 labs are lost"]),
            quick=True,
        )
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["requests", "(0", "s)", "create:", "ratio", "0.250", "×", "≥", "0.500", "×", "no"] in lines
    assert ["create:", "p99", "12.3", "ms", "≤", "40", "ms", "yes"] in lines
    assert ["waiting:", "2", "labs", "are", "lost"] in lines
    assert "Quick run" in text
    assert "Quick run" not in printed(report())


@pytest.mark.parametrize(
    ("verdict", "then", "now"),
    [
        ("", more("f", 100), more("f", 90)),
        ("worse", more("f", 100), more("f", 89)),
        ("better", more("f", 100), more("f", 111)),
        ("", less("f", 100), less("f", 110)),
        ("worse", less("f", 100), less("f", 111)),
        ("better", less("f", 100), less("f", 89)),
        ("changed", plain("f", 100), plain("f", 111)),
        ("changed", plain("f", 100), plain("f", 89)),
        ("", less("f", 0), less("f", 0)),
        ("worse", less("f", 0), less("f", 1)),
        ("worse", more("f", -10), more("f", -12)),
        ("better", less("f", 10), at_most("f", 5, "", 7)),
    ],
)
def test_a_change_beyond_the_tolerance_is_told(verdict: str, then: Figure, now: Figure) -> None:
    """Ten per cent are noise, more is better or worse, by what the figure is about."""
    (change,) = changes(report(result(then)), report(result(now)), 0.1)
    assert change.verdict == verdict


def test_only_what_both_runs_have_is_compared() -> None:
    """By scenario and figure; the order is the newer run's."""
    then = report(result(more("a", 1), more("b", 1)), result(more("a", 4), name="herd"))
    now = report(result(more("a", 2), name="herd"), result(more("c", 1), more("b", 1)))
    assert [(change.scenario, change.now.name, change.share) for change in changes(then, now, 0.1)] == [
        ("herd", "a", -0.5),
        ("requests", "b", 0),
    ]


def test_a_comparison_of_unlike_runs_says_so() -> None:
    """Another machine, other versions, another size; how busy it was before is no term."""
    then = report(machine={"cpu": "old", "python": "3.11", "load_before": 1.0}, quick=True)
    now = report(machine={"cpu": "new", "python": "3.11", "uvloop": "1", "load_before": 2.0})
    assert different_terms(then, now) == ["cpu was old, is new", "uvloop was None, is 1", "quick was True, is False"]
    text = printed(report(result(more("a", 1))), then)
    assert "Not the same: cpu was old, is a CPU" in text
    shown_ = printed(report(result(more("a", 2, "/s"))), report(result(more("a", 1, "/s"))))
    assert ["requests", "a", "1", "/s", "2", "/s", "+100.0%", "better"] in [
        line.split() for line in shown_.splitlines()
    ]
