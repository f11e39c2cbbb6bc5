"""What the system says of a process and of its files. Figures of /proc: on a system without it they are 0."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

MIB: Final = 1 << 20
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_UTIME, _STIME = 11, 12  # of /proc/PID/stat, counted behind the name of the process, which may contain anything


class Usage(NamedTuple):
    """One look at a process: CPU seconds of all its threads, memory now and at its peak, bytes written to disk."""

    cpu_seconds: float
    rss_bytes: int
    peak_bytes: int
    written_bytes: int


def usage(pid: int) -> Usage:
    """A look at this process."""
    process = Path("/proc") / str(pid)
    _, _, behind_name = _text(process / "stat").rpartition(")")
    stat = behind_name.split()
    ticks = int(stat[_UTIME]) + int(stat[_STIME]) if stat else 0
    status, io = _text(process / "status"), _text(process / "io")
    return Usage(
        cpu_seconds=ticks / _TICKS_PER_SECOND,
        rss_bytes=_number(status, "VmRSS:") * 1024,
        peak_bytes=_number(status, "VmHWM:") * 1024,
        written_bytes=_number(io, "write_bytes:"),
    )


def size_of(path: Path) -> int:
    """Bytes of a file, 0 if there is none."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""


def _number(text: str, name: str) -> int:
    """The number behind a name in a list of lines."""
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0
