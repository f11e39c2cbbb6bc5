"""Two reports, figure by figure: what has changed, and whether it is more than noise."""

from typing import Literal, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labsessions.bench.figures import Figure, Report
from labsessions.bench.report import shown

Verdict = Literal["", "better", "worse", "changed"]

STYLES: dict[Verdict, str] = {"": "", "better": "green", "worse": "bold red", "changed": "yellow"}


class Change(NamedTuple):
    """One figure then and now. `share` is by how much it has grown: 0.1 is 10 % more; None if it was 0 before."""

    scenario: str
    earlier: Figure
    now: Figure
    share: float | None
    verdict: Verdict


def changes(earlier: Report, now: Report, tolerance: float) -> list[Change]:
    """The figures that both reports have, in the order of the newer one; up to `tolerance` (a share) is noise."""
    before = {(result.name, figure.name): figure for result in earlier.results for figure in result.figures}
    return [
        _change(result.name, before[result.name, figure.name], figure, tolerance)
        for result in now.results
        for figure in result.figures
        if (result.name, figure.name) in before
    ]


def _change(scenario: str, earlier: Figure, now: Figure, tolerance: float) -> Change:
    share = (now.value - earlier.value) / abs(earlier.value) if earlier.value else None
    same = now.value == earlier.value if share is None else abs(share) <= tolerance
    verdict: Verdict
    if same:
        verdict = ""
    elif now.better is None:
        verdict = "changed"
    else:
        verdict = "better" if (now.value > earlier.value) == (now.better == "more") else "worse"
    return Change(scenario, earlier, now, share, verdict)


def different_terms(earlier: Report, now: Report) -> list[str]:
    """What makes the comparison doubtful: another machine, other versions, another size."""
    terms = {name: (earlier.machine.get(name), value) for name, value in now.machine.items() if name != "load_before"}
    terms["quick"] = (earlier.quick, now.quick)
    return [f"{name} was {then}, is {is_now}" for name, (then, is_now) in terms.items() if then != is_now]


def show_changes(earlier: Report, now: Report, tolerance: float, console: Console) -> None:
    """Print the comparison."""
    console.print(
        f"Compared with {earlier.date}, commit {earlier.commit or 'unknown'}; up to {tolerance:.0%} is noise."
    )
    for term in different_terms(earlier, now):
        console.print(f"Not the same: {term}", style="yellow")
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("Scenario", "Figure"):
        table.add_column(heading)
    for heading in ("Earlier", "Now", "Change"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for change in changes(earlier, now, tolerance):
        table.add_row(
            change.scenario,
            change.now.name,
            shown(change.earlier.value, change.earlier.unit),
            shown(change.now.value, change.now.unit),
            "" if change.share is None else f"{change.share:+.1%}",
            Text(change.verdict, STYLES[change.verdict]),
        )
    console.print(table)
