"""`backup`: the target is whole and checked, or it is not there; the source is only read."""

import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest
from builders import User
from data_files import data_with, spoil_page, sql

from labsessions.backup import BackupError, CheckFailedError, Copied, back_up
from labsessions.last_backup import noted


def nothing(done: int, total: int) -> None:
    """A progress that nobody looks at."""


def users(*names: str) -> list[User]:
    """Running sessions."""
    return [User().create(user_id=name) for name in names]


def rows(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that the service keeps."""
    tables = ("actor_cells", "labs_sessions", "session_history", "schema_versions")
    with closing(sqlite3.connect(database)) as connection:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables}  # noqa: S608


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with two sessions."""
    data_with(tmp_path / "data", users("alice", "bob"))
    return tmp_path / "data"


def test_the_copy_has_everything_and_stands_alone(data: Path, tmp_path: Path) -> None:
    """Every row, for its owner's eyes only, in one file that needs no log beside it."""
    target = tmp_path / "backups.db"
    copied = back_up(data, target, nothing)
    assert copied == Copied(target, target.stat().st_size, sessions=2, history=0)
    assert rows(target) == rows(data / "labsessions.db")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backups.db", "data"]
    assert target.read_bytes()[18:20] == b"\x01\x01", "a file in WAL mode would leave companions wherever it is opened"


def test_what_is_only_in_the_log_is_in_the_copy(data: Path, tmp_path: Path) -> None:
    """The service was killed and its log not folded in: what was acknowledged is there."""
    with closing(sqlite3.connect(data / "labsessions.db", isolation_level=None)) as held:
        held.execute("PRAGMA wal_autocheckpoint = 0")
        held.execute(
            "INSERT INTO session_history VALUES (NULL, 'g', 'u', 'i', 'l', 'v', '', '', '', 'deleted', 0, NULL, NULL)"
        )
        assert back_up(data, tmp_path / "copy.db", nothing).history == 1


def test_a_writer_goes_on_and_the_copy_is_of_one_moment(tmp_path: Path) -> None:
    """Commits between the steps of the copy are not in it, and don't make it begin again."""
    database = data_with(tmp_path / "data", users(*(f"user-{number}" for number in range(4000))))
    steps: list[tuple[int, int]] = []
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:

        def write_meanwhile(done: int, total: int) -> None:
            steps.append((done, total))
            writer.execute("DELETE FROM labs_sessions WHERE user_id = ?", (f"user-{len(steps)}",))

        copied = back_up(tmp_path / "data", tmp_path / "copy.db", write_meanwhile)
    assert copied.sessions == 4000
    assert len(rows(tmp_path / "copy.db")["labs_sessions"]) == 4000
    assert len(rows(database)["labs_sessions"]) == 4000 - len(steps)
    done = [each for each, _ in steps]
    assert len(steps) > 1
    assert done == sorted(done)
    assert steps[-1][0] == steps[-1][1]


def test_an_existing_file_is_replaced_only_by_force(data: Path, tmp_path: Path) -> None:
    """And then at once, by a whole one."""
    target = tmp_path / "copy.db"
    target.write_text("yesterday's")
    with pytest.raises(BackupError, match="exists: name another file, or give --force"):
        back_up(data, target, nothing)
    assert target.read_text() == "yesterday's"
    assert back_up(data, target, nothing, force=True).sessions == 2


def test_a_copy_with_faults_replaces_nothing_and_is_kept_beside(data: Path, tmp_path: Path) -> None:
    """Sessions that disagree: yesterday's good backup stays, today's is there for whoever needs it."""
    target = tmp_path / "copy.db"
    target.write_text("yesterday's")
    sql(data / "labsessions.db", "UPDATE actor_cells SET due_ms = NULL WHERE name = 'alice'")
    with pytest.raises(CheckFailedError, match=r"kept as .*copy\.db\.faulty") as caught:
        back_up(data, target, nothing, force=True)
    assert [finding.found[:27] for finding in caught.value.faults] == ["alice: no wake-up is armed,"]
    assert target.read_text() == "yesterday's"
    assert rows(tmp_path / "copy.db.faulty") == rows(data / "labsessions.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "copy.db.faulty", "data"]


def test_a_damaged_page_is_found_in_the_copy(data: Path, tmp_path: Path) -> None:
    """The copy is made page by page; reading it is what finds the damage."""
    spoil_page(data / "labsessions.db", "labs_sessions")
    with pytest.raises(CheckFailedError) as caught:
        back_up(data, tmp_path / "copy.db", nothing)
    assert caught.value.faults[0].found.startswith("the file is damaged")
    assert not (tmp_path / "copy.db").exists()


def test_what_cannot_be_done_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    """No database, something else, a newer release, a folder that isn't there, a target inside of the data."""
    target = tmp_path / "copy.db"
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "labsessions.db").write_text("a shopping list " * 100)
    sql(data_with(tmp_path / "newer", []), "UPDATE schema_versions SET version = 99")
    sql(tmp_path / "foreign.db", "CREATE TABLE shopping (item)")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign.db").rename(tmp_path / "foreign" / "labsessions.db")
    before = sorted(tmp_path.rglob("*"))
    for source, wanted, why in (
        (tmp_path / "empty", target, "there is no file"),
        (tmp_path / "other", target, "file is not a database"),
        (tmp_path / "foreign", target, "is not a database of labsessions"),
        (tmp_path / "newer", target, r"is of a newer release \(schema of actors, labsessions\)"),
        (data, tmp_path / "none" / "copy.db", "cannot write to .*none: No such file or directory"),
        (data, tmp_path, "is a folder: name a file in it"),
        (data, data / "copy.db", "is inside of the data directory"),
        (data, data / "labsessions.db", "exists"),
    ):
        with pytest.raises(BackupError, match=why):
            back_up(source, wanted, nothing)
    with pytest.raises(BackupError, match="is inside of the data directory"):
        back_up(data, data / "labsessions.db", nothing, force=True)
    left = [path for path in sorted(tmp_path.rglob("*")) if not path.name.endswith(("-shm", "-wal"))]
    assert left == before


def test_an_older_copy_is_one_too(data: Path, tmp_path: Path) -> None:
    """A column that this release has added is added at the start after a restore."""
    sql(data / "labsessions.db", "ALTER TABLE labs_sessions DROP COLUMN next_attempt_at")
    assert back_up(data, tmp_path / "copy.db", nothing).sessions == 2


def test_a_backup_is_noted_where_the_service_finds_it(data: Path, tmp_path: Path) -> None:
    """As of its beginning, as later commits are not in it; one that has failed leaves the note as it was."""
    before_ms = time.time_ns() // 1_000_000
    assert noted(data) is None
    back_up(data, tmp_path / "copy.db", nothing)
    at_ms = noted(data)
    assert at_ms is not None
    assert before_ms <= at_ms <= time.time_ns() // 1_000_000
    with pytest.raises(BackupError):
        back_up(data, tmp_path / "copy.db", nothing)
    assert noted(data) == at_ms
    assert sorted(path.name for path in data.iterdir() if path.suffix == ".tmp") == []
