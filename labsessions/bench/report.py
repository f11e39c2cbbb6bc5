"""A report for people: one table, scenario by scenario, and what it was measured on."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labsessions.bench.figures import Figure, Report, Result


def show(report: Report, console: Console) -> None:
    """Print the whole report."""
    machine = report.machine
    console.print(
        f"{report.date}, commit {report.commit or 'unknown'}: {machine.get('cpu')}, {machine.get('cores')} cores, "
        f"Python {machine.get('python')}, kernel {machine.get('kernel')}, {machine.get('file_system')}; "
        f"{machine.get('placement')}; load before: {machine.get('load_before')}"
    )
    if report.quick:
        console.print("Quick run with small numbers. The targets are those of the full run.", style="yellow")
    console.print(_table(report))
    for result in report.results:
        for note in result.notes:
            console.print(f"{result.name}: {note}", style="dim")
        for fault in result.faults:
            console.print(f"{result.name}: {fault}", style="bold red")


def _table(report: Report) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("Scenario", "Figure"):
        table.add_column(heading)
    table.add_column("Value", justify="right")
    table.add_column("Target", justify="right")
    table.add_column("Met")
    for result in report.results:
        for row in _rows(result):
            table.add_row(*row)
        table.add_section()
    return table


def _rows(result: Result) -> list[tuple[str | Text, ...]]:
    named = [f"{result.name} ({result.seconds:.0f} s)", *[""] * len(result.figures)]
    return [
        (name, figure.name, shown(figure.value, figure.unit), target(figure), _met(figure))
        for name, figure in zip(named, result.figures, strict=False)
    ]


def shown(value: float, unit: str) -> str:
    """A value with its unit, to about three digits: 0.512, 7.13, 71.3, 7,130."""
    size = abs(value)
    decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3  # noqa: PLR2004 - three digits
    return f"{value:,.{decimals}f} {unit}".strip()


def target(figure: Figure) -> str:
    """The target of a figure, empty if it has none."""
    if figure.target is None:
        return ""
    return f"{'≥' if figure.better == 'more' else '≤'} {shown(figure.target, figure.unit)}"


def _met(figure: Figure) -> Text:
    match figure.met:
        case None:
            return Text("")
        case True:
            return Text("yes", "green")
        case _:
            return Text("no", "bold red")
