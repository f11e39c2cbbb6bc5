"""The end of all log lines: whole lines, in order, those of one turn of the event loop with one call."""

import asyncio
import atexit
import io
import os
import threading
from contextlib import suppress
from contextvars import Context
from typing import Final, TextIO

_NO_CONTEXT: Final = Context()


class Sink:
    """Writes whole lines. It is also the logger that structlog hands rendered lines to, whatever the level."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None where the process was started with a closed stdout
        self._waiting: list[str] = []
        # Re-entrant: a task that is garbage collected in the middle of a write logs from the same thread.
        self._lock = threading.RLock()
        if isinstance(stream, io.TextIOWrapper):
            # The contract's lines have ✅ in them, whatever the locale says.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        atexit.register(self.flush)  # for a loop that ended before its last turn

    def write(self, line: str) -> None:
        """Write the line: at the end of this turn of the event loop, if there is one. Never raises."""
        if self._stream is None:
            return
        with self._lock:
            self._waiting.append(line)
            first = len(self._waiting) == 1
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # outside of a loop, or in a thread
            self.flush()
        else:
            if first:
                loop.call_soon(self.flush, context=_NO_CONTEXT)

    def flush(self) -> None:
        """Write what waits with one call; never raises."""
        with self._lock:
            lines, self._waiting = self._waiting, []
            if not lines or self._stream is None:
                return
            try:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()
            except BrokenPipeError:
                self._discard_from_now_on(self._stream)
            except (OSError, ValueError, RuntimeError):
                pass  # a full disk, a closed stream, a write inside a write: the next lines may do better

    def _discard_from_now_on(self, stream: TextIO) -> None:
        """The reader is gone. Else the interpreter would try to flush at exit, fail, and exit with 120."""
        with suppress(OSError, ValueError):  # a stream without a descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)

    debug = info = warning = error = critical = write
