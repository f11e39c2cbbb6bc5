"""`backup` and `restore`: the whole database as one file, copied while the service serves and checked before it counts.

Neither leaves half a file under a name that somebody would trust: what is written has another name until it is
whole, on the disk and checked.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from actors.directory import DataDirectory
from actors.errors import ActorError
from labsessions import last_backup
from labsessions.bootstrap import DATABASE
from labsessions.doctor.database import known_versions, open_for_reading, stored_versions
from labsessions.doctor.examine import examine_database
from labsessions.doctor.findings import Finding

# Pages between two reports of progress: 4 MiB, some milliseconds.
PAGES_PER_STEP: Final = 1024
# What SQLite may have beside a database.
COMPANIONS: Final = ("-wal", "-shm", "-journal")

Progress = Callable[[int, int], None]
"""Pages done, pages in all."""


class BackupError(Exception):
    """It cannot be done as asked. Nothing was changed."""


class CheckFailedError(Exception):
    """The copy is no good, or not all of it: `faults` say why. Nothing was replaced by it."""

    def __init__(self, message: str, faults: list[Finding]) -> None:
        super().__init__(message)
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Copied:
    """What is in the copy. `kept` is where a replaced file is, `missing` how many running sessions only that has."""

    path: Path
    size_bytes: int
    sessions: int
    history: int
    kept: Path | None = None
    missing: int = 0


def back_up(data_dir: Path, target: Path, progress: Progress, *, force: bool = False) -> Copied:
    """Copy the database of `data_dir` to the file `target`, whether a service is running on it or not.

    What was done is noted in `data_dir`, so that the service can say how old the last backup is.

    Raises BackupError if that cannot be done; CheckFailedError if the copy has faults: it is kept beside, as
    `<target>.faulty`, and what was at `target` stays.
    """
    if target.is_dir():
        raise BackupError(f"{target} is a folder: name a file in it")
    if target.exists() and not force:
        raise BackupError(f"{target} exists: name another file, or give --force to replace it")
    if target.resolve().is_relative_to(data_dir.resolve()):
        raise BackupError(f"{target} is inside of the data directory: a backup belongs somewhere else")
    begun_ms = time.time_ns() // 1_000_000
    with _draft_beside(target) as draft:
        _copy(data_dir / DATABASE, draft, progress)
        try:
            copied = _checked(draft, target)
        except CheckFailedError as error:
            faulty = target.with_name(f"{target.name}.faulty")
            _put_in_place(draft, faulty)
            raise CheckFailedError(f"the copy has faults and is kept as {faulty}", error.faults) from None
        _put_in_place(draft, target)
    last_backup.note(data_dir, begun_ms)
    return copied


def restore(source: Path, data_dir: Path, progress: Progress, *, force: bool = False) -> Copied:
    """Put the backup `source` (a file, or a copied data folder) in the place of the database of `data_dir`.

    The file that was there is kept beside it. No service may be running. Raises BackupError if it cannot be done;
    CheckFailedError if the backup has faults – with `force`, only if it isn't whole.
    """
    if source.is_dir():
        source /= DATABASE
    directory, database = DataDirectory(data_dir), data_dir / DATABASE
    if source.exists() and database.exists() and source.samefile(database):
        raise BackupError(f"{source} is the database itself")
    with ExitStack() as stack:
        try:
            directory.claim()
        except ActorError as error:
            raise BackupError(str(error)) from error
        stack.callback(directory.release)
        draft = stack.enter_context(_draft_beside(database))
        _copy(source, draft, progress)
        copied = _checked(draft, database, tolerant=force)
        missing = _only_in(database, draft)
        _give_to_owner_of(data_dir, draft, data_dir / "lock")
        kept = _keep_aside(database)
        _put_in_place(draft, database)
    return Copied(database, copied.size_bytes, copied.sessions, copied.history, kept, missing)


@contextmanager
def _draft_beside(target: Path) -> Iterator[Path]:
    """An empty file of ours alone in the folder of `target`; gone afterwards with its companions, if still there."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise BackupError(f"cannot write to {target.parent}: {error.strerror}") from error
    try:
        yield draft
    finally:
        for path in (draft, *_companions(draft)):
            path.unlink(missing_ok=True)


def _copy(source: Path, target: Path, progress: Progress) -> None:
    """All of `source` as it is at one moment, by SQLite's backup API; `target` needs no companion to be whole."""
    try:
        with closing(open_for_reading(source)) as reader, closing(_plain(target)) as writer:
            _refuse_foreign(reader, source)
            # A snapshot: or each write of the service would make the copy begin again.
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
            reader.backup(
                writer,
                pages=PAGES_PER_STEP,
                progress=lambda _, remaining, total: progress(total - remaining, total),
            )
            reader.rollback()
            writer.execute("PRAGMA journal_mode = DELETE")
    except (ActorError, sqlite3.Error, OSError) as error:
        raise BackupError(f"cannot copy {source} to {target.parent}: {error}") from error


def _refuse_foreign(reader: sqlite3.Connection, source: Path) -> None:
    """BackupError for a database of something else or of a newer release."""
    try:
        known, stored = known_versions(), stored_versions(reader)
    except sqlite3.DatabaseError:
        return  # damaged: the check of the copy says what and where
    if not stored:
        raise BackupError(f"{source} is not a database of labsessions")
    if newer := [name for name, version in stored.items() if version > known.get(name, version)]:
        raise BackupError(f"{source} is of a newer release (schema of {', '.join(newer)}): use that one")


def _plain(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _checked(copy: Path, name: Path, *, tolerant: bool = False) -> Copied:
    """What is in `copy`, if the doctor finds no fault in it; `tolerant`: if its pages at least are whole."""
    with closing(open_for_reading(copy)) as connection:
        findings, census = examine_database(connection)
        faults = [finding for finding in findings if finding.level == "fault"]
        if census is None or findings[0] in faults or (faults and not tolerant):
            raise CheckFailedError("the backup has faults", faults)
        ((history,),) = connection.execute("SELECT count(*) FROM session_history")
    return Copied(name, copy.stat().st_size, census.sessions, history)


def _only_in(old: Path, new: Path) -> int:
    """How many running sessions `old` knows and `new` does not; 0 if `old` cannot be read."""
    with suppress(ActorError, sqlite3.Error), closing(open_for_reading(old)) as connection:
        connection.execute("ATTACH ? AS restored", (f"{new.absolute().as_uri()}?mode=ro",))
        ((count,),) = connection.execute(
            "SELECT count(*) FROM main.labs_sessions "
            "WHERE generation NOT IN (SELECT generation FROM restored.labs_sessions)"
        )
        return int(count)
    return 0


def _keep_aside(database: Path) -> Path | None:
    """Keep the database under a dated name and take its companions away, so that the new file meets none of them.

    The file itself stays at its place until the new one replaces it: at no moment there is none.
    """
    if not database.exists():
        return None
    # Fold the log in; then there is one file only. A file that cannot be read is not tried, as SQLite would throw its
    # log away: it is kept with it.
    with suppress(ActorError, sqlite3.Error):
        open_for_reading(database).close()
        with closing(_plain(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = database.with_name(f"{database.stem}-before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}{database.suffix}")
    try:
        os.link(database, kept)
    except OSError:  # a file system without hard links
        shutil.copy2(database, kept)
    for companion in _companions(database):
        if companion.exists():
            companion.rename(companion.with_name(companion.name.replace(database.name, kept.name, 1)))
    return kept


def _companions(database: Path) -> list[Path]:
    return [database.with_name(f"{database.name}{suffix}") for suffix in COMPANIONS]


def _give_to_owner_of(directory: Path, *paths: Path) -> None:
    """Restored by root, the files must still be the service's."""
    if hasattr(os, "chown") and os.geteuid() == 0:
        owner = directory.stat()
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid)


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename, durably."""
    draft.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
