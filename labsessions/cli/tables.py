"""How answers look to people: tables, spans of time, and nothing in a terminal but printable characters."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labsessions.cli.operating import plain

# Where nobody looks at it, a line is as long as it is: programs cut it themselves.
_ENDLESS: Final = 100_000
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def instant(text: str | None) -> str:
    """An instant of the API to the second, as the database shell has always shown it (UTC)."""
    return "" if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def span(seconds: float | None) -> str:
    """A span of time by its two largest units: 1d 2h, 3h 4m, 5m 6s, 7s; with a minus if it is over."""
    if seconds is None:
        return ""
    sign, left = ("-", -seconds) if seconds <= -1 else ("", max(0, seconds))
    whole = int(left)
    for unit, smaller, size, part in (("d", "h", _DAY, _HOUR), ("h", "m", _HOUR, _MINUTE), ("m", "s", _MINUTE, 1)):
        if whole >= size:
            return f"{sign}{whole // size}{unit} {whole % size // part}{smaller}"
    return f"{sign}{whole}s"


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Iterable[str] = ()) -> None:
    """Print a table; `numbers` are the columns that are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    right = set(numbers)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(value)) for value in row))
    _print(table)


def show_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values, one on each line."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(Text(name), Text(plain(value)))
    _print(table)


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """The rows as RFC 4180 has them: lines end with CRLF, quotes where they are needed; None is empty."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def note(text: str) -> None:
    """A remark beside the output, on stderr."""
    typer.echo(text, err=True)


def _print(table: Table) -> None:
    """As wide as the terminal; without one each row is a line, without blanks at its end."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_ENDLESS, no_color=True)
    with console.capture() as shown:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in shown.get().splitlines()))
