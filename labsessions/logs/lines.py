"""What a log line looks like, as JSON or for people, and that no secret is in it."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import EventDict, WrappedLogger

REDACTED: Final = "[redacted]"

# What is shorter is found inside ordinary words: replacing it would mangle the lines that operators grep for, and
# hide nothing, as it can be guessed. No line of ours holds a secret in the first place; this is the net below.
SHORTEST_SECRET: Final = 8

# A JWT begins with the JSON `{"`. Users' tokens are not known beforehand, but they look like nothing else.
JWT_BEGINS: Final = "eyJ"
_JWT: Final = r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"


class Json:
    """One JSON object on one line: `timestamp`, `level` and `event` first, then the fields as they were bound."""

    def __init__(self, redactor: "Redactor") -> None:
        self._redactor = redactor

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        """Render; structlog's protocol."""
        head = {name: event.pop(name) for name in ("timestamp", "level", "event")}
        line = {**head, **event}
        try:
            encoded = msgspec.json.encode(line, enc_hook=_plain)
        except (TypeError, ValueError, RecursionError):  # half a surrogate pair, a list in itself
            encoded = msgspec.json.encode({_encodable(key): _encodable(value) for key, value in line.items()})
        return self._redactor.in_json(encoded.decode())


class Console:
    """Columns for people, in colors on a terminal; a traceback takes lines of its own."""

    def __init__(self, redactor: "Redactor", *, colors: bool) -> None:
        self._redactor = redactor
        # Plain tracebacks: the pretty ones show local variables, and those hold tokens.
        self._columns = ConsoleRenderer(colors=colors, sort_keys=False, exception_formatter=plain_traceback)
        self._otherwise = Json(redactor)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Render; structlog's protocol."""
        try:
            line = self._columns(logger, method, dict(event))
        except Exception:  # noqa: BLE001 - whatever a foreign `__repr__` may raise
            return self._otherwise(logger, method, event)
        return self._redactor.in_text(line)


def _encodable(value: object) -> str:
    text = value if isinstance(value, str) else described(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> str:
    """For what JSON has no form for. Text of a type of its own is one: msgspec knows only `str` itself."""
    return str.__str__(value) if isinstance(value, str) else described(value)


def described(value: object) -> str:
    """The value as `repr` shows it, or its type where that fails."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever a foreign `__repr__` may raise
        return f"<{type(value).__name__}>"


class Redactor:
    """Takes secrets and JWTs out of rendered lines, so that nothing that is logged can be forgotten."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: set[str] = set()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take these out as well."""
        # As they are, as `repr` writes them, and both as JSON writes them; the longest first, as one may hold another.
        self._secrets |= {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        plain = self._secrets
        shown = plain | {repr(secret)[1:-1] for secret in plain}
        forms = shown | {msgspec.json.encode(form).decode()[1:-1] for form in shown}
        longest_first = sorted(forms, key=len, reverse=True)
        self._marks = (*longest_first, JWT_BEGINS)
        self._pattern = re.compile("|".join([*(re.escape(form) for form in longest_first), _JWT]))

    def _touched(self, line: str) -> bool:
        # A plain search for each is three times faster than the pattern, and nearly no line holds any.
        return any(mark in line for mark in self._marks)

    def in_text(self, line: str) -> str:
        """The line with every secret replaced."""
        return self._pattern.sub(REDACTED, line) if self._touched(line) else line

    def in_json(self, line: str) -> str:
        """Likewise, and still JSON: a secret of digits may stand inside a number.

        The names of the fields stay: they are the code's own words, and what machines look lines up by.
        """
        if not self._touched(line):
            return line
        fields: dict[str, Any] = msgspec.json.decode(line)
        return msgspec.json.encode({name: self._redacted(value) for name, value in fields.items()}).decode()

    def _redacted(self, value: Any) -> Any:
        match value:
            case dict():
                return {self._redacted(key): self._redacted(each) for key, each in value.items()}
            case list():
                return [self._redacted(each) for each in value]
            case str():
                return self.in_text(value)
            case _:
                text = msgspec.json.encode(value).decode()
                return value if self.in_text(text) == text else REDACTED
