"""The data directory: is it there, may we and only we use it, is there room, and does a service hold it?"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from actors.directory import DataDirectory
from actors.errors import StoreError
from labsessions.doctor.findings import Finding, fault, ok, warning

CHECK: Final = "data"
MIB: Final = 1_048_576
# Room for days of history, and for somebody to notice.
SCARCE_BYTES: Final = 256 * MIB


def is_held(directory: Path) -> bool | None:
    """Whether a service is running on the directory; None if this user may not know."""
    try:
        return DataDirectory(directory).held()
    except (StoreError, OSError):
        return None


def check(
    directory: Path, database: str, min_free_bytes: int, free_bytes: Callable[[], int] | None = None
) -> Iterator[Finding]:
    """Look at the folder, and at the file with the name `database` in it. `min_free_bytes`: less room is a fault."""
    free_bytes = free_bytes or DataDirectory(directory).free_bytes
    try:
        yield from _look(directory, database, min_free_bytes, free_bytes)
    except PermissionError:
        yield fault(CHECK, f"this user may not look into {directory}", "run as the service's user")


def _look(directory: Path, database: str, min_free_bytes: int, free_bytes: Callable[[], int]) -> Iterator[Finding]:
    if not directory.exists():
        yield warning(CHECK, f"{directory} does not exist", "nothing: the first start makes it. Or is it another one?")
        return
    if not directory.is_dir():
        yield fault(CHECK, f"{directory} is not a folder", "set data_dir to a folder")
        return
    yield _mode(directory)
    yield from _access(directory, directory / database)
    yield _room(directory, free_bytes(), min_free_bytes)
    match is_held(directory):
        case True:
            yield ok(CHECK, "a service is running on it")
        case False:
            yield ok(CHECK, "no service is running on it")
        case None:
            yield warning(CHECK, "this user may not know whether a service is running", "ask as the service's user")


def _mode(directory: Path) -> Finding:
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077:
        return warning(CHECK, f"{directory} is open to others (mode {mode:o})", f"chmod 700 {directory}")
    return ok(CHECK, f"{directory} is its owner's only")


def _access(directory: Path, database: Path) -> Iterator[Finding]:
    paths = [path for path in (directory, *directory.glob(f"{database.name}*"), directory / "lock") if path.exists()]
    closed = [str(path) for path in paths if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        yield fault(CHECK, f"this user cannot write to {', '.join(closed)}", "run as the service's user, or chown them")
    foreign = [str(path) for path in paths if path.stat().st_uid != directory.stat().st_uid]
    if foreign:
        owner = directory.stat().st_uid
        yield warning(CHECK, f"not of the folder's owner ({owner}): {', '.join(foreign)}", f"chown {owner} them")


def _room(directory: Path, free: int, least: int) -> Finding:
    found = f"{free // MIB} MiB are free at {directory}"
    if free < least:
        return fault(CHECK, found, "make room: soon nothing can be stored, and nothing is acknowledged then")
    if free < SCARCE_BYTES:
        return warning(CHECK, found, "make room")
    return ok(CHECK, found)
