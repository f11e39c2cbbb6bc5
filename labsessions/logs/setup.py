"""Configures structlog and the standard library's logging, so that both end in the same stream."""

import logging
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TextIO

import structlog
from structlog import BoundLoggerBase
from structlog.contextvars import merge_contextvars
from structlog.processors import add_log_level, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, Processor, WrappedLogger

from labsessions.core.projection import iso
from labsessions.logs.lines import Console, Json, Redactor, described
from labsessions.logs.live import live
from labsessions.logs.sink import Sink

# Ours among the standard library's loggers. Others say at `debug` what only their authors can use (aiosqlite: every
# statement with its values), so they start at `info`.
OURS: Final = ("actors",)


def configure(
    level: str,
    format: Literal["auto", "console", "json"],  # noqa: A002 - the setting's name
    stream: TextIO | None = None,
    *,
    secrets: Iterable[str] = (),
) -> "Logging":
    """Send every log line of at least `level` to `stream` (None: stdout), without the `secrets` in it.

    `auto` is console on a terminal and JSON elsewhere. May be called again; the last call counts, also for
    loggers that were used before, unless somebody keeps a bound one (`log_lines.bound_logger`): what is returned
    changes these as well.
    """
    stream = sys.stdout if stream is None else stream
    sink = Sink(stream)
    terminal = stream is not None and not stream.closed and stream.isatty()
    redactor = Redactor(secrets)
    live.redact(redactor)
    render: list[Processor]
    if format == "console" or (format == "auto" and terminal):
        render = [live.tap, Console(redactor, colors=terminal)]
    else:
        render = [live.tap, format_exc_info, Json(redactor)]
    logger = type("Logger", (BoundLoggerBase,), {})
    structlog.configure(
        processors=[merge_contextvars, add_log_level, _timestamp, *render],
        wrapper_class=logger,
        logger_factory=lambda *_names: sink,
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging(sink, render)
    made = Logging(logger, redactor)
    made.reconfigure(level)
    return made


class Logging:
    """What `configure` has set up."""

    def __init__(self, logger: type[BoundLoggerBase], redactor: Redactor) -> None:
        self._logger = logger
        self._redactor = redactor

    def reconfigure(self, level: str, secrets: Iterable[str] = ()) -> None:
        """Drop what is below `level` from now on, and take these `secrets` out of lines as well."""
        number = logging.getLevelNamesMapping()[level.upper()]
        _drop_below(number, self._logger)
        logging.getLogger().setLevel(max(number, logging.INFO))
        for name in OURS:
            logging.getLogger(name).setLevel(number)
        self._redactor.add(secrets)


def _drop_below(least: int, logger: type[BoundLoggerBase]) -> None:
    """Give a structlog logger the methods that drop what is below `least`, with a short way for the usual ones.

    The general way fills in positional arguments and copies the fields twice, which took as long as the rendering.
    """
    general = structlog.make_filtering_bound_logger(least)
    for name, method in vars(general).items():
        if not name.startswith("__"):
            setattr(logger, name, method)
    for name in ("info", "warning", "error"):
        if getattr(logging, name.upper()) >= least:
            setattr(logger, name, _line(name, getattr(general, name)))


def _line(level: str, general: Callable[..., Any]) -> Callable[..., Any]:
    def say(self: BoundLoggerBase, event: str, *arguments: Any, **fields: Any) -> Any:
        if arguments:
            return general(self, event, *arguments, **fields)
        line: Any = {**self._context, **fields, "event": event}
        try:
            for processor in self._processors:
                line = processor(self._logger, level, line)
        except structlog.DropEvent:
            return None
        return getattr(self._logger, level)(line)

    return say


class _Handler(logging.Handler):
    """The standard library's way to the sink."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink.write(self.format(record))
        except Exception:  # noqa: BLE001 - a wrong logging call of a library must not break what it logs about
            # Not `handleError`: it would show the arguments on stderr, and a secret may be among them.
            unfilled = logging.makeLogRecord(record.__dict__ | {"msg": described(record.msg), "args": ()})
            self._sink.write(self.format(unfilled))


def _take_over_standard_logging(sink: Sink, render: list[Processor]) -> None:
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


def _timestamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = iso(time.time_ns() // 1_000_000)
    return event
