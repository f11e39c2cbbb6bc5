"""The log as it is written, for those who follow it: each line as JSON, redacted as the log itself.

It is never in the way of logging: without a listener it costs the look at an empty tuple, a listener that is too slow
loses its oldest lines and is told how many, and whatever goes wrong here costs a line at most.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from structlog.processors import format_exc_info
from structlog.typing import EventDict, WrappedLogger

from labsessions.logs.lines import Json, Redactor

# Of lines that wait for a listener: half a second of a service under full load, a MiB or less.
BUFFERED_LINES: Final = 2_000

Wanted = Callable[[Mapping[str, Any]], bool]
"""Whether a listener wants a line with these fields; among them `level` and `event`."""


class Listener:
    """One listener's buffer. Lines are put in from any thread, and taken out in the loop that made it."""

    def __init__(self, wanted: Wanted, lines: int = BUFFERED_LINES) -> None:
        self.wanted = wanted
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=lines)
        self._put = 0  # since the last time that lines were taken

    def put(self, line: str) -> None:
        """Keep the line, if need be in the place of the oldest one. Any thread."""
        with self._lock:
            self._lines.append(line)
            self._put += 1
            first = self._put == 1
        if first:
            self.wake()

    def wake(self) -> None:
        """Let `next` return, also with nothing. Any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._news.set)

    async def next(self) -> tuple[int, list[str]]:
        """Wait for lines: how many were lost before them, and those that are there, the oldest first."""
        await self._news.wait()
        self._news.clear()
        with self._lock:
            lines, put = list(self._lines), self._put
            self._lines.clear()
            self._put = 0
        return put - len(lines), lines


class Live:
    """Hands each line to whoever listens. `tap` is a processor of structlog's, to stand before what renders."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._render: Callable[[WrappedLogger, str, EventDict], str] = Json(Redactor(()))

    def redact(self, redactor: Redactor) -> None:
        """From now on take out what this one knows."""
        self._render = Json(redactor)

    @contextmanager
    def listen(self, wanted: Wanted) -> Iterator[Listener]:
        """A listener, as long as the block lasts."""
        listener = Listener(wanted)
        self._listeners = (*self._listeners, listener)
        try:
            yield listener
        finally:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

    def tap(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Show the line to all listeners, and pass it on as it is."""
        if self._listeners:
            with suppress(Exception):  # following the log must not be what breaks it
                self._show(logger, method, event)
        return event

    def _show(self, logger: WrappedLogger, method: str, event: EventDict) -> None:
        line: str | None = None
        for listener in self._listeners:
            if listener.wanted(event):
                line = line or self._render(logger, method, format_exc_info(logger, method, dict(event)))
                listener.put(line)


live: Final = Live()
"""Of this process, as its log is."""
