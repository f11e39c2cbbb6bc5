"""Where a benchmark runs: what is told of the machine, and which cores the servers and the load get."""

import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

_LIBRARIES: Final = ("aiohttp", "aiosqlite", "msgspec", "pykka", "structlog", "uvloop")


class Placement(NamedTuple):
    """The cores of the server that is measured, and of the load and the peers (None: any)."""

    server: frozenset[int] | None
    load: frozenset[int] | None

    @property
    def all(self) -> frozenset[int] | None:
        """The cores of both."""
        return None if self.server is None or self.load is None else self.server | self.load

    def __str__(self) -> str:
        if self.server is None or self.load is None:
            return "servers and load share all cores"
        return f"server on core {min(self.server)}, load and mock backend on core {min(self.load)}"


def choose_placement() -> Placement:
    """One core for the server and another for everything else, where there are two and processes can be pinned."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:  # noqa: PLR2004 - one for each side
        return Placement(None, None)
    return Placement(frozenset({cores[0]}), frozenset({cores[1]}))


@contextmanager
def on_cores(cores: frozenset[int] | None) -> Iterator[None]:
    """Run on these cores as long as the block lasts."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe(placement: Placement, folder: Path) -> dict[str, str | int | float]:
    """What a reader needs to know to compare figures; `folder` is where the data lies."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "memory_mib": _memory_mib(),
        "kernel": platform.release(),
        "file_system": _file_system(folder),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        "placement": str(placement),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in _LIBRARIES},
    }


def commit() -> str | None:
    """The commit of this code, with `+` if files have changed since; None where git doesn't know this file."""
    home = Path(__file__).parent
    commands = (("ls-files", "--error-unmatch", __file__), ("rev-parse", "--short", "HEAD"), ("status", "--porcelain"))
    try:
        shown = [
            subprocess.run(["git", *arguments], cwd=home, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607
            for arguments in commands
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    _, head, changed = shown
    return f"{head}+" if changed else head


def _cpu_model() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_mib() -> int:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def _file_system(folder: Path) -> str:
    """The type of the file system: figures on a tmpfs say nothing about a disk."""
    path = str(folder.resolve())
    mounts = [line.split()[1:3] for line in _lines("/proc/mounts")]
    around = [(len(point), kind) for point, kind in mounts if path.startswith(point)]
    return max(around)[1] if around else "unknown"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
