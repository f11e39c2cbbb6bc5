"""What the demo's viewer sees: lines in the order of time and cause, readable at 80 columns and in a pipe."""

import io
import json

from rich.console import Console

from labsessions import log_lines
from labsessions.core.projection import iso
from labsessions.demo.scenarios import SCENARIOS
from labsessions.demo.screen import Screen, now_ms
from labsessions.demo.verdict import Verdict
from labsessions.mockbackend import Call

NARROW = 80
LATER_MS = now_ms() + 60_000  # a fixed instant of this run
START_MS = LATER_MS - 1_490


def screen(*, terminal: bool = False) -> tuple[Screen, io.StringIO]:
    """A screen of 80 columns and what it has shown."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=NARROW, color_system=None, markup=False)
    return Screen(console, SCENARIOS, START_MS), output


def log_line(at_ms: int, event: str, level: str = "info", **fields: object) -> str:
    """A line as the service writes it."""
    return json.dumps({"timestamp": iso(at_ms), "level": level, "event": event, **fields})


def a_call(at_ms: int, *, expose: bool = False, vm: str = "bob-vm", user: str | None = None) -> Call:
    """A call that has been answered."""
    return Call(
        seq=1,
        at_ms=at_ms,
        route="expose" if expose else "delete",
        method="POST",
        authorized=True,
        content_type="application/json",
        lab_request_id=vm,
        user_id=user,
        status=202,
    )


def test_lines_stand_in_the_order_of_time_and_within_a_millisecond_of_cause() -> None:
    """Whoever was heard first: a call before its answer's log line, and after the line that announces it."""
    shown, output = screen()
    shown.service(log_line(LATER_MS, log_lines.VM_DELETED, user="bob", lab="bob-vm", role="master"))
    shown.backend(a_call(LATER_MS))
    shown.backend(a_call(LATER_MS - 1, expose=True))
    shown.service(log_line(LATER_MS, log_lines.CALLING, user="bob", lab="bob-vm"))
    shown.client(LATER_MS - 2, "bob", "POST → 201")
    shown.show()
    texts = [line[21:] for line in output.getvalue().splitlines()]
    assert texts == [
        "POST → 201",
        "DELETE expose bob-vm → 202",
        log_lines.CALLING,
        "POST labs/delete bob-vm → 202",
        f"{log_lines.VM_DELETED} lab=bob-vm",
    ]


def test_lines_wait_until_all_that_came_before_is_known() -> None:
    """Only what happened until then is shown, and once."""
    shown, output = screen()
    for at_ms in (LATER_MS + 1, LATER_MS, LATER_MS - 1):
        shown.client(at_ms, "bob", f"at {at_ms - LATER_MS}")
    shown.show(LATER_MS)
    assert [line.split("at ")[1] for line in output.getvalue().splitlines()] == ["-1", "0"]
    shown.show()
    shown.show()
    assert [line.split("at ")[1] for line in output.getvalue().splitlines()] == ["-1", "0", "1"]


def test_a_log_line_shows_user_event_and_fields_with_instants_as_seconds() -> None:
    """What other columns tell isn't repeated."""
    shown, output = screen()
    when = iso(LATER_MS + 1000)
    shown.service(log_line(LATER_MS, log_lines.RETRY, user="bob", lab="bob-vm", request_id="r", attempt=2, when=when))
    shown.show()
    assert output.getvalue().split() == ["1.49", "service", "bob", *log_lines.RETRY.split(), "attempt=2", "when=2.49"]


def test_what_is_no_log_line_is_shown_as_it_is() -> None:
    """A traceback, a JSON text that is no object, a line without its time."""
    shown, output = screen()
    strange = ["Traceback (most recent call last):", "[1]", "{}", log_line(LATER_MS, "x").replace("Z", "Q")]
    for raw in strange:
        shown.service(raw)
    shown.show()
    assert [line[21:] for line in output.getvalue().splitlines()] == strange


def test_a_terminal_wraps_inside_the_last_column_and_a_pipe_not_at_all() -> None:
    """80 columns are enough for people; grep finds whole lines."""
    text = "word " * 30
    shown, output = screen(terminal=True)
    shown.client(LATER_MS, "bob", text)
    shown.show()
    first, *others = output.getvalue().splitlines()
    assert "client  bob   word" in first
    assert all(line.startswith(" " * 21 + "word") for line in others)
    assert max(len(line) for line in (first, *others)) <= NARROW
    piped, output = screen()
    piped.client(LATER_MS, "bob", text)
    piped.show()
    assert len(output.getvalue().splitlines()) == 1


def test_a_call_without_a_known_vm_is_shown_for_the_user_it_names() -> None:
    """The mock may be asked for anything."""
    shown, output = screen()
    shown.backend(a_call(LATER_MS, vm="nobodys", user="zoe"))
    shown.show()
    assert "backend zoe   POST labs/delete nobodys → 202" in output.getvalue()


def test_the_table_names_each_difference() -> None:
    """Expectation, outcome and sign, within 80 columns."""
    shown, output = screen()
    alice, bob = SCENARIOS[:2]
    shown.table([(alice, Verdict("fine", ())), (bob, Verdict("not so fine", ("bob-vm is leaked",)))])
    table = output.getvalue()
    assert table.count("✅") == 1
    assert table.count("❌") == 1
    assert "bob-vm is leaked" in table
    assert max(len(line) for line in table.splitlines()) <= NARROW
