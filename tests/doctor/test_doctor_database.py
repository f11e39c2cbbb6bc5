"""The file: whole or damaged, ours or not, of this release, an older or a newer one; never written to."""

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from builders import User
from data_files import data_with, spoil_page, sql

from actors.errors import StoreError
from labsessions.doctor.database import known_versions, open_for_reading
from labsessions.doctor.examine import examine_database
from labsessions.doctor.findings import Finding

NOBODY = 65_534


def findings(database: Path) -> list[Finding]:
    """All about this file."""
    with closing(open_for_reading(database)) as connection:
        found, _ = examine_database(connection)
        return found


def faults(database: Path) -> list[str]:
    """Only what is wrong, in words."""
    return [finding.found for finding in findings(database) if finding.level == "fault"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A sound one, with enough sessions for several pages."""
    return data_with(tmp_path, [User().create(user_id=f"user-{number}") for number in range(50)])


def test_a_sound_file_has_no_fault(database: Path) -> None:
    """Pages, both schemas and the sessions are reported as well."""
    assert [(finding.check, finding.level) for finding in findings(database)] == [
        ("database", "ok"),
        ("database", "ok"),
        ("database", "ok"),
        ("sessions", "ok"),
    ]


@pytest.mark.parametrize("table", ["actor_cells", "labs_sessions", "session_history"])
def test_a_damaged_page_is_a_fault(database: Path, table: str) -> None:
    """Wherever it is, and nothing raises."""
    spoil_page(database, table)
    assert faults(database)[0].startswith("the file is damaged: ")


def test_a_damaged_schema_cannot_be_read_at_all(database: Path) -> None:
    """The first page is where everything begins."""
    size = database.stat().st_size
    database.write_bytes(b"\xa5" * size)
    with pytest.raises(StoreError, match=r"cannot be read: file is not a database"):
        open_for_reading(database)


@pytest.mark.parametrize("component", ["actors", "labsessions"])
def test_a_newer_schema_is_a_fault_and_its_sessions_are_not_judged(database: Path, component: str) -> None:
    """This release doesn't know what is in it."""
    sql(database, "UPDATE schema_versions SET version = version + 1 WHERE component = ?", component)
    known = known_versions()[component]
    assert faults(database) == [f"its {component} schema has version {known + 1}, this release knows up to {known}"]
    assert not [finding for finding in findings(database) if finding.check == "sessions"]


def test_a_file_of_an_older_release_is_still_compared(database: Path) -> None:
    """A column that it doesn't have yet is no disagreement."""
    sql(database, "ALTER TABLE labs_sessions DROP COLUMN next_attempt_at")
    assert faults(database) == []


@pytest.mark.parametrize("content", [b"", None])
def test_a_file_without_a_schema_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    """Empty, or the database of something else."""
    database = tmp_path / "other.db"
    if content is None:
        sql(database, "CREATE TABLE shopping (item)")
    else:
        database.write_bytes(content)
    assert [text[:7] for text in faults(database)] == ["it has ", "it has "]


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Neither a file nor a folder."""
    for path in (tmp_path / "none.db", tmp_path):
        with pytest.raises(StoreError, match="there is no file"):
            open_for_reading(path)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_not_changed(database: Path) -> None:
    """Byte by byte as before."""
    before = database.read_bytes()
    findings(database)
    assert database.read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("log", [None, b"", b"x"])
def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(log: bytes | None) -> None:
    """Without a log beside it the file is whole. With one it would be half the truth, and is refused."""
    with TemporaryDirectory() as folder:
        database = data_with(Path(folder), [User().create()])
        Path(folder).chmod(0o755)
        if log is not None:
            database.with_name(f"{database.name}-wal").write_bytes(log)
        os.seteuid(NOBODY)
        try:
            if log:
                with pytest.raises(StoreError, match="cannot be read"):
                    open_for_reading(database)
            else:
                assert faults(database) == []
        finally:
            os.seteuid(0)


def test_a_name_with_all_kinds_of_characters_is_found(tmp_path: Path) -> None:
    """SQLite takes the path as a URI; `?`, `#` and `%` are no part of its grammar here."""
    folder = tmp_path / "a?b#c%20d ü"
    folder.mkdir()
    assert faults(data_with(folder, [])) == []
