"""`restore`: a checked backup takes the database's place, what was there is kept whole, a service is left alone."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from builders import GENERATION, OTHER_GENERATION, User
from data_files import data_with, spoil_page, sql
from test_backup import nothing, rows

from actors.directory import DataDirectory
from labsessions.backup import BackupError, CheckFailedError, back_up, restore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a session of today."""
    data_with(tmp_path / "data", [User().create(OTHER_GENERATION, user_id="today")])
    return tmp_path / "data"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup with a session of yesterday."""
    data_with(tmp_path / "then", [User().create(GENERATION, user_id="yesterday")])
    return back_up(tmp_path / "then", tmp_path / "backup.db", nothing).path


def test_the_backup_takes_the_place_and_the_old_file_is_kept(data: Path, backup: Path) -> None:
    """Both whole, under names that say which is which; the sessions that only the old one has are counted."""
    before, then = rows(data / "labsessions.db"), rows(backup)
    restored = restore(backup, data, nothing)
    assert (restored.sessions, restored.missing) == (1, 1)
    assert rows(data / "labsessions.db") == then
    assert restored.kept is not None
    assert rows(restored.kept) == before
    assert restored.kept.name.startswith("labsessions-before-restore-2")
    assert stat.S_IMODE((data / "labsessions.db").stat().st_mode) == 0o600
    assert sorted(path.name for path in data.iterdir()) == sorted(["labsessions.db", "lock", restored.kept.name])
    assert rows(backup) == then


def test_into_an_empty_place(tmp_path: Path, backup: Path) -> None:
    """A new machine: the folder is made, for its owner only."""
    restored = restore(backup, tmp_path / "new" / "data", nothing)
    assert (restored.sessions, restored.kept, restored.missing) == (1, None, 0)
    assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700


def test_from_a_copied_data_folder(tmp_path: Path, data: Path) -> None:
    """With the log that lies beside its database."""
    then = data_with(tmp_path / "then", [])
    with closing(sqlite3.connect(then, isolation_level=None)) as held:
        held.execute("PRAGMA wal_autocheckpoint = 0")
        held.execute(
            "INSERT INTO session_history VALUES (NULL, 'g', 'u', 'i', 'l', 'v', '', '', '', 'deleted', 0, NULL, NULL)"
        )
        assert restore(tmp_path / "then", data, nothing).history == 1


def test_a_log_beside_the_old_file_is_kept_with_it_and_never_meets_the_new_one(data: Path, backup: Path) -> None:
    """The service was killed: its last commits are only in the log, and belong to the old file."""
    database = data / "labsessions.db"
    _leave_a_log(database)
    before = rows(database)
    _leave_a_log(database)
    restored = restore(backup, data, nothing)
    assert rows(database) == rows(backup)
    assert restored.kept is not None
    assert len(rows(restored.kept)["session_history"]) == len(before["session_history"]) + 1


def test_a_damaged_old_file_is_kept_as_it_is(data: Path, backup: Path) -> None:
    """A restore is for just that; it must not stumble over what it replaces."""
    database = data / "labsessions.db"
    database.write_bytes(b"\xa5" * 8192)
    database.with_name("labsessions.db-wal").write_bytes(b"\x5a" * 4096)
    restored = restore(backup, data, nothing)
    assert rows(database) == rows(backup)
    assert restored.kept is not None
    assert restored.kept.read_bytes() == b"\xa5" * 8192
    assert restored.kept.with_name(f"{restored.kept.name}-wal").read_bytes() == b"\x5a" * 4096


def test_twice_in_a_row_keeps_both(data: Path, backup: Path) -> None:
    """No old file takes the place of another old one."""
    kept = {restore(backup, data, nothing).kept, restore(backup, data, nothing).kept}
    assert len(kept) == 2


def test_a_directory_that_a_service_holds_is_refused(data: Path, backup: Path) -> None:
    """Before anything is touched."""
    before, holder = rows(data / "labsessions.db"), DataDirectory(data)
    holder.claim()
    with pytest.raises(BackupError, match="in use by another process"):
        restore(backup, data, nothing)
    holder.release()
    assert rows(data / "labsessions.db") == before


def test_the_directory_is_free_afterwards(data: Path, backup: Path) -> None:
    """After a success and after a failure."""
    restore(backup, data, nothing)
    with pytest.raises(BackupError):
        restore(data / "none.db", data, nothing)
    assert not DataDirectory(data).held()


@pytest.mark.parametrize("damage", ["page", "versions", "session", "nothing to check", "newer", "no file"])
def test_a_backup_with_faults_changes_nothing(data: Path, backup: Path, damage: str) -> None:
    """The source is checked first."""
    before = rows(data / "labsessions.db")
    expected: type[Exception] = CheckFailedError
    match damage:
        case "page":
            spoil_page(backup, "actor_cells")
        case "versions":
            spoil_page(backup, "schema_versions")
        case "session":
            sql(backup, "DELETE FROM labs_sessions")
        case "nothing to check":
            sql(backup, "DROP TABLE labs_sessions")
        case "newer":
            sql(backup, "UPDATE schema_versions SET version = 2")
            expected = BackupError
        case _:
            backup.unlink()
            expected = BackupError
    with pytest.raises(expected):
        restore(backup, data, nothing)
    assert rows(data / "labsessions.db") == before
    assert {path.name for path in data.iterdir()} - {"lock", "labsessions.db-wal", "labsessions.db-shm"} == {
        "labsessions.db"
    }


def test_force_takes_sessions_with_faults_but_no_damaged_file(data: Path, backup: Path) -> None:
    """One session in trouble must not keep all others from coming back."""
    sql(backup, "UPDATE actor_cells SET cell = x'00'")
    with pytest.raises(CheckFailedError):
        restore(backup, data, nothing)
    restore(backup, data, nothing, force=True)
    assert rows(data / "labsessions.db") == rows(backup)
    spoil_page(backup, "actor_cells")
    with pytest.raises(CheckFailedError):
        restore(backup, data, nothing, force=True)


def test_the_database_itself_is_no_backup(data: Path) -> None:
    """Neither by its name nor by its folder's."""
    for source in (data, data / "labsessions.db"):
        with pytest.raises(BackupError, match="is the database itself"):
            restore(source, data, nothing)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can work for somebody else")
def test_what_root_restores_belongs_to_the_folders_owner(data: Path, backup: Path) -> None:
    """Or the service could not open its own database."""
    os.chown(data, 12345, 12345)
    restore(backup, data, nothing)
    assert {(data / name).stat().st_uid for name in ("labsessions.db", "lock")} == {12345}


def _leave_a_log(database: Path) -> None:
    """Commit a row to the log only, and die: SQLite folds it in when the last connection is closed properly."""
    subprocess.run([sys.executable, "-c", COMMIT_AND_DIE, str(database)], check=True)  # noqa: S603 - our own script
    assert database.with_name(f"{database.name}-wal").stat().st_size > 0


COMMIT_AND_DIE = """
import os, sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("PRAGMA wal_autocheckpoint = 0")
held.execute(
    "INSERT INTO session_history SELECT NULL, 'g' || count(*), '', '', '', '', '', '', '', '', 0, 0, ''"
    " FROM session_history"
)
os._exit(0)
"""
