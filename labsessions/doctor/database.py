"""The database file, looked at from outside of the service: opened for reading, its pages and its versions checked."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.errors import StoreError
from actors.schema import runtime_schema
from labsessions.doctor.findings import Finding, fault, ok, warning
from labsessions.engines.tables import schema

CHECK: Final = "database"
# Readers wait only where the service has just been killed and its log has to be recovered.
BUSY_SECONDS: Final = 5.0
RESTORE: Final = "stop the service and restore a backup"
# SQLite names the damage page by page; the first lines say enough.
DAMAGES_SHOWN: Final = 5


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also while the service serves. StoreError if there is nothing to read."""
    if not path.is_file():
        raise StoreError(f"there is no file {path}")
    try:
        return _connect(path, "mode=ro")
    except sqlite3.OperationalError:
        # A folder that this user cannot write to has no room for SQLite's shared memory. Without a log beside it
        # the file is whole, and nobody is writing to it.
        if _size(path.with_name(f"{path.name}-wal")) == 0:
            return _connect_or_refuse(path, "mode=ro&immutable=1")
        return _connect_or_refuse(path, "mode=ro")
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _connect_or_refuse(path: Path, how: str) -> sqlite3.Connection:
    try:
        return _connect(path, how)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    # Damaged text is a finding, not an exception in the middle of a row.
    connection.text_factory = lambda stored: stored.decode(errors="replace")
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def check_pages(connection: sqlite3.Connection) -> Finding:
    """SQLite's own check of the whole file; reads all of it."""
    try:
        rows = connection.execute(f"PRAGMA integrity_check({DAMAGES_SHOWN})").fetchall()
    except sqlite3.Error as error:
        return fault(CHECK, f"the file is damaged: {error}", RESTORE)
    said = [str(line) for (line,) in rows]
    if said == ["ok"]:
        return ok(CHECK, "the file is whole")
    return fault(CHECK, f"the file is damaged: {'; '.join(said)}", RESTORE)


def known_versions() -> dict[str, int]:
    """The newest version of each component of the schema that this release knows."""
    return {known.component: len(known.steps) for known in (runtime_schema(), schema())}


def stored_versions(connection: sqlite3.Connection) -> dict[str, int]:
    """The versions that the file has; empty if it is none of ours. May raise sqlite3.Error."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_versions'").fetchall():
        return {}
    return {str(name): int(n) for name, n in connection.execute("SELECT component, version FROM schema_versions")}


def check_versions(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Whether this release reads the file. What is newer it refuses, what is older it upgrades at its start."""
    try:
        stored = stored_versions(connection)
    except sqlite3.Error as error:
        yield fault(CHECK, f"its schema versions cannot be read: {error}", RESTORE)
        return
    for component, known in known_versions().items():
        version = stored.get(component, 0)
        if version > known:
            found = f"its {component} schema has version {version}, this release knows up to {known}"
            yield fault(CHECK, found, "start the newer release, or restore an older backup")
        elif version == 0:
            found = f"it has no {component} schema: it is empty, or not a database of labsessions"
            yield fault(CHECK, found, "if the service has never started with it, start it; else restore a backup")
        elif version < known:
            found = f"its {component} schema has version {version}, this release makes it {known}"
            yield warning(CHECK, found, "nothing, but make a backup before the next start")
        else:
            yield ok(CHECK, f"its {component} schema has version {version}")
