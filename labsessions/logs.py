"""How log lines leave the process: JSON for machines, console for people, one write per line.

structlog's loggers and the standard library's (aiohttp, asyncio, `actors`) end in the same renderer and the same
stream. This module knows no event and no setting; and logging must never be what fails: a value that cannot be
shown, a full disk or a closed pipe costs a line, not the service.
"""

import io
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import add_log_level, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, Processor, WrappedLogger

from labsessions.core.projection import iso

REDACTED: Final = "[redacted]"

# What is shorter is found inside ordinary words: replacing it would mangle the lines that operators grep for, and
# hide nothing, as it can be guessed. No line of ours holds a secret in the first place; this is the net below.
SHORTEST_SECRET: Final = 8

# Ours among the standard library's loggers. Others say at `debug` what only their authors can use (aiosqlite: every
# statement with its values), so they start at `info`.
OURS: Final = ("actors",)


def configure(
    level: str,
    format: Literal["auto", "console", "json"],  # noqa: A002 - the setting's name
    stream: TextIO | None = None,
    *,
    secrets: Iterable[str] = (),
) -> None:
    """Send every log line of at least `level` to `stream` (None: stdout), without the `secrets` in it.

    `auto` is console on a terminal and JSON elsewhere. May be called again; the last call counts, also for
    loggers that were used before: they aren't cached. Making one costs 1 µs per line, rendering it ten.
    """
    stream = sys.stdout if stream is None else stream
    sink = _Sink(stream)
    terminal = stream is not None and not stream.closed and stream.isatty()
    redactor = _Redactor(secrets)
    render: list[Processor]
    if format == "console" or (format == "auto" and terminal):
        render = [_Console(redactor, colors=terminal)]
    else:
        render = [format_exc_info, _Json(redactor)]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[merge_contextvars, add_log_level, _timestamp, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_names: sink,
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging(sink, render, number)


class _Sink:
    """Writes whole lines. It is also the logger that structlog hands rendered lines to, whatever the level."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None where the process was started with a closed stdout
        # Re-entrant: a task that is garbage collected in the middle of a write logs from the same thread.
        self._lock = threading.RLock()
        if isinstance(stream, io.TextIOWrapper):
            # The contract's lines have ✅ in them, whatever the locale says.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")

    def write(self, line: str) -> None:
        """Write the line with one call and flush it; never raises."""
        if self._stream is None:
            return
        try:
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except BrokenPipeError:
            self._discard_from_now_on(self._stream)
        except (OSError, ValueError, RuntimeError):
            pass  # a full disk, a closed stream, a write inside a write: the next line may do better

    def _discard_from_now_on(self, stream: TextIO) -> None:
        """The reader is gone. Else the interpreter would try to flush at exit, fail, and exit with 120."""
        with suppress(OSError, ValueError):  # a stream without a descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)

    debug = info = warning = error = critical = write


class _Handler(logging.Handler):
    """The standard library's way to the sink."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink.write(self.format(record))
        except Exception:  # noqa: BLE001 - a wrong logging call of a library must not break what it logs about
            # Not `handleError`: it would show the arguments on stderr, and a secret may be among them.
            unfilled = logging.makeLogRecord(record.__dict__ | {"msg": _described(record.msg), "args": ()})
            self._sink.write(self.format(unfilled))


def _take_over_standard_logging(sink: _Sink, render: list[Processor], level: int) -> None:
    handler = _Handler(sink)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[ExtraAdder(), merge_contextvars, add_log_level, add_logger_name, _timestamp],
            processors=[ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    for other in [other for other in root.handlers if isinstance(other, _Handler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(max(level, logging.INFO))
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _timestamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = iso(time.time_ns() // 1_000_000)
    return event


class _Json:
    """One JSON object on one line: `timestamp`, `level` and `event` first, then the fields as they were bound."""

    def __init__(self, redactor: "_Redactor") -> None:
        self._redactor = redactor

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        head = {name: event.pop(name) for name in ("timestamp", "level", "event")}
        line = {**head, **event}
        try:
            encoded = msgspec.json.encode(line, enc_hook=_described)
        except (TypeError, ValueError, RecursionError):  # half a surrogate pair, a list in itself
            encoded = msgspec.json.encode({_encodable(key): _encodable(value) for key, value in line.items()})
        return self._redactor.in_json(encoded.decode())


class _Console:
    """Columns for people, in colors on a terminal; a traceback takes lines of its own."""

    def __init__(self, redactor: "_Redactor", *, colors: bool) -> None:
        self._redactor = redactor
        # Plain tracebacks: the pretty ones show local variables, and those hold tokens.
        self._columns = ConsoleRenderer(colors=colors, sort_keys=False, exception_formatter=plain_traceback)
        self._otherwise = _Json(redactor)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        try:
            line = self._columns(logger, method, dict(event))
        except Exception:  # noqa: BLE001 - whatever a foreign `__repr__` may raise
            return self._otherwise(logger, method, event)
        return self._redactor.in_text(line)


def _encodable(value: object) -> str:
    text = value if isinstance(value, str) else _described(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _described(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever a foreign `__repr__` may raise
        return f"<{type(value).__name__}>"


class _Redactor:
    """Takes the secrets out of rendered lines, so that nothing that is logged can be forgotten."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # As they are, as `repr` writes them, and both as JSON writes them; the longest first, as one may hold another.
        plain = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        shown = plain | {repr(secret)[1:-1] for secret in plain}
        forms = shown | {msgspec.json.encode(form).decode()[1:-1] for form in shown}
        self._forms = tuple(sorted(forms, key=len, reverse=True))
        self._pattern = re.compile("|".join(re.escape(form) for form in self._forms))

    def _touched(self, line: str) -> bool:
        # A plain search for each is five times faster than the pattern, and nearly no line holds any.
        return any(form in line for form in self._forms)

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
