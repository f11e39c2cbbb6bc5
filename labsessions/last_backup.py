"""When the last backup was made: a small file in the data directory, written by `backup`, read by the service.

It is no part of the data: without it a backup is as good, only nobody is told of it.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

NAME: Final = "last-backup.json"


def note(data_dir: Path, at_ms: int) -> None:
    """Remember that a backup is whole as of this instant. Whoever may only read the directory leaves no note."""
    draft = data_dir / f".{NAME}.{os.getpid()}.tmp"
    with suppress(OSError):
        draft.write_bytes(msgspec.json.encode({"at_ms": at_ms}))
        draft.replace(data_dir / NAME)


def noted(data_dir: Path) -> int | None:
    """When that was, in ms since 1970 UTC; None if there was none, or the note cannot be read."""
    try:
        return msgspec.json.decode((data_dir / NAME).read_bytes(), type=dict[str, int])["at_ms"]
    except (OSError, msgspec.MsgspecError, KeyError):
        return None
