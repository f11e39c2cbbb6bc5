"""`serve --test-clock`: time that clients drive, and the precautions that no real lab meets it."""

import time
from pathlib import Path
from typing import Final

from actors.testing import ManualClock
from labsessions.settings import Settings
from labsessions.settings.model import is_loopback

# In a data directory where time was driven. Its deadlines mean nothing on a real clock.
MARK: Final = "test-clock"
_WORDS: Final = "time is driven here by tests: not for real labs\n"


class DrivenError(Exception):
    """The service cannot start like this; the text says what to do."""


def driven_clock(settings: Settings, *, wanted: bool) -> ManualClock | None:
    """The clock of this run, which begins now; None for the machine's own. Marks the data directory.

    Raises DrivenError if other machines could reach it, and for a data directory of the other kind.
    """
    mark = settings.data_dir / MARK
    if not wanted:
        if mark.exists():
            raise DrivenError(f"{settings.data_dir} belongs to --test-clock: choose another --data-dir")
        return None
    if not is_loopback(settings.host):
        raise DrivenError(f"--test-clock: host must be a loopback address, got {settings.host}")
    if not mark.exists() and _has_files(settings.data_dir):
        raise DrivenError(f"--test-clock: {settings.data_dir} holds real sessions: choose a new --data-dir")
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.write_text(_WORDS)
    return ManualClock(time.time_ns() // 1_000_000)


def _has_files(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())
