"""What the doctor has found: one line each, with what to do about it."""

from typing import Literal, NamedTuple

from labsessions.backend.reasons import one_line

Level = Literal["ok", "warning", "fault"]


class Finding(NamedTuple):
    """`check` is what was looked at. A fault keeps the service from doing its work, or will; a warning may."""

    check: str
    level: Level
    found: str
    todo: str = ""

    def __str__(self) -> str:
        """One printable line, whatever is quoted in it."""
        return one_line(f"{self.found}{f' – {self.todo}' if self.todo else ''}")


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, todo: str) -> Finding:
    """Somebody should look at it."""
    return Finding(check, "warning", found, todo)


def fault(check: str, found: str, todo: str) -> Finding:
    """Somebody must do something."""
    return Finding(check, "fault", found, todo)
