"""How findings are shown, and what the commands cost those who don't use them."""

import json
import subprocess
import sys

from labsessions.doctor.findings import fault, ok
from labsessions.doctor.report import as_json, line

FOUND = fault("sessions", "al\x1b[31mice\nbob: no wake-up", "PUT")


def test_a_finding_is_one_printable_line() -> None:
    """Whatever a user id has in it: no line break and no control character of its own."""
    assert str(FOUND) == "al [31mice bob: no wake-up – PUT"
    assert line(ok("data", "fine")).endswith(" data      fine")


def test_the_document_says_whether_there_is_a_fault() -> None:
    """And has each finding with all its members."""
    assert json.loads(as_json([ok("data", "fine")])) == {
        "healthy": True,
        "findings": [{"check": "data", "level": "ok", "found": "fine", "todo": ""}],
    }
    assert json.loads(as_json([ok("data", "fine"), FOUND]))["healthy"] is False


def loaded_by(imports: str) -> str:
    """The modules of ours that these imports bring with them."""
    code = f"import sys, {imports}; print([m for m in sys.modules if m.startswith('labsessions.')])"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout  # noqa: S603


def test_serve_does_not_load_what_only_other_commands_need() -> None:
    """A quick start: neither the doctor nor backups."""
    said = loaded_by("labsessions.cli, labsessions.bootstrap")
    assert "labsessions.bootstrap" in said
    for module in ("labsessions.doctor", "labsessions.backup", "labsessions.progress"):
        assert module not in said


def test_the_other_commands_do_not_load_the_service() -> None:
    """Nor settings or mocks: `--help` and the short commands are there at once."""
    said = loaded_by("labsessions.cli")
    assert "labsessions.cli.serving" in said
    for module in ("labsessions.bootstrap", "labsessions.settings", "labsessions.mockbackend", "labsessions.demo"):
        assert module not in said
