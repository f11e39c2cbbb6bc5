"""When the last backup was made: the time of an empty file in the data directory.

Whoever makes backups by other means touches it, too: `touch data/last-backup`.
"""

from pathlib import Path
from typing import Final

LAST_BACKUP: Final = "last-backup"


def note_backup(data_dir: Path) -> None:
    """One has just been made. OSError if that cannot be kept."""
    (data_dir / LAST_BACKUP).touch(mode=0o600)


def last_backup(data_dir: Path) -> float | None:
    """When, in seconds since 1970 UTC; None if none is known of."""
    try:
        return (data_dir / LAST_BACKUP).stat().st_mtime
    except OSError:
        return None
