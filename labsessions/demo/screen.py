"""What the demo's viewer sees: one line for each thing that happens, in the order of time, and the table at the end.

It knows how things look and nothing of how they are done.
"""

import io
import math
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labsessions import log_lines
from labsessions.demo.scenarios import Scenario
from labsessions.demo.verdict import Verdict
from labsessions.mockbackend import Call

# The table's width where no terminal says one: a page of a CI log. Lines are not wrapped there, for grep's sake.
PIPED_COLUMNS: Final = 120

COLORS: Final = {"client": "cyan", "service": "green", "backend": "magenta"}
LEVELS: Final = {"warning": "yellow", "error": "red", "critical": "red"}
INSTANTS: Final = frozenset({"expires_at", "when"})
# Fields of a log line that the other columns or the client's line tell, or that are of no use to a viewer.
HIDDEN: Final = frozenset(
    {"timestamp", "level", "event", "user", "request_id", "role", "data_dir", "version", "method", "path"}
)
# What the service says before it calls the backend; all else that it says in the same millisecond comes after.
BEFORE_A_CALL: Final = frozenset({log_lines.ALARM, log_lines.WORKERS, log_lines.CALLING})


def now_ms() -> int:
    """The wall clock in milliseconds since 1970 UTC, as the service and the backend read it."""
    return time.time_ns() // 1_000_000


def instant_ms(text: str) -> int:
    """An instant of the API or a log line in milliseconds since 1970 UTC. Raises ValueError if it is none."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def open_console() -> Console:
    """Standard output, in colors on a terminal, plain elsewhere."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # There are ✅ and → in the lines, whatever the locale says.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)


class _Line(NamedTuple):
    """One thing that happened. `rank` puts cause before effect where the clock is too coarse to do it."""

    at_ms: int
    rank: int
    source: Literal["client", "service", "backend"]
    user: str
    text: Text


class Screen:
    """Collects what client, service and backend do, and prints it in order. Times are seconds since `start_ms`: now."""

    def __init__(self, console: Console, scenarios: Iterable[Scenario], start_ms: int | None = None) -> None:
        self._console = console
        self._start_ms = now_ms() if start_ms is None else start_ms
        self._owners = {vm: scenario.user for scenario in scenarios for vm in scenario.vms}
        self._waiting: list[_Line] = []

    def client(self, at_ms: int, user: str, text: str) -> None:
        """Something that a client did, with its answer."""
        self._waiting.append(_Line(at_ms, 0, "client", user, Text(text)))

    def backend(self, call: Call) -> None:
        """A call at the backend, with its answer."""
        what = "DELETE expose" if call.route == "expose" else "POST labs/delete"
        user = self._owners.get(call.lab_request_id or "", call.user_id or "")
        self._waiting.append(
            _Line(call.at_ms, 1, "backend", user, Text(f"{what} {call.lab_request_id} → {call.status}"))
        )

    def service(self, raw: str) -> None:
        """A line of the service's output: a JSON log line, or whatever else a process may say."""
        try:
            fields: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
            at_ms, event = instant_ms(fields["timestamp"]), fields["event"]
            text = Text.assemble((event, LEVELS.get(fields["level"], "")), (f" {self._fields(fields)}", "dim"))
        except (msgspec.DecodeError, KeyError, ValueError):
            self._waiting.append(_Line(now_ms(), 2, "service", "", Text(raw, "red")))
            return
        text.rstrip()
        rank = 0 if event in BEFORE_A_CALL else 2
        self._waiting.append(_Line(at_ms, rank, "service", str(fields.get("user", "")), text))

    def show(self, until_ms: float = math.inf) -> None:
        """Print what happened until then, in the order of time."""
        due = [line for line in self._waiting if line.at_ms <= until_ms]
        self._waiting = [line for line in self._waiting if line.at_ms > until_ms]
        for line in sorted(due, key=lambda line: (line.at_ms, line.rank)):
            self._print(line)

    def say(self, text: str, style: str = "") -> None:
        """A sentence of the demo itself."""
        self._console.print(Text(text, style))

    def table(self, results: Sequence[tuple[Scenario, Verdict]]) -> None:
        """Expectation against outcome."""
        table = Table(box=box.ROUNDED, show_lines=True)
        for title in ("scenario", "expected", "what happened"):
            table.add_column(title, overflow="fold")
        table.add_column("", width=2)
        for scenario, verdict in results:
            happened = Text(verdict.happened)
            for difference in verdict.differences:
                happened.append(f"\n{difference}", "bold red")
            name = Text.assemble((scenario.user, "bold"), f": {scenario.title}")
            table.add_row(name, scenario.expected, happened, "❌" if verdict.differences else "✅")
        self._console.print(table)

    def _print(self, line: _Line) -> None:
        """In columns; on a terminal what doesn't fit goes on below, in the last of them."""
        head = Text.assemble(
            (f"{self._seconds(line.at_ms):>6} ", "dim"),
            (f"{line.source:<7} ", COLORS[line.source]),
            (f"{line.user:<5} ", "bold"),
        )
        rows: Iterable[Text] = [line.text]
        if self._console.is_terminal:
            rows = line.text.wrap(self._console, self._console.width - len(head), overflow="fold")
        for row in rows:
            self._console.print(head + row, soft_wrap=True)
            head = Text(" " * len(head))

    def _fields(self, fields: dict[str, Any]) -> str:
        """What is bound to a log line, instants as seconds. The lab stands where one of its VMs is meant."""
        hidden = HIDDEN if "role" in fields else HIDDEN | {"lab"}
        return " ".join(f"{name}={self._value(name, each)}" for name, each in fields.items() if name not in hidden)

    def _value(self, name: str, value: Any) -> str:
        return self._seconds(instant_ms(value)) if name in INSTANTS else str(value)

    def _seconds(self, at_ms: int) -> str:
        return f"{(at_ms - self._start_ms) / 1000:.2f}"
