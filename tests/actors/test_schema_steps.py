"""Versions of the schema: older files are upgraded step by step, newer ones refused, and nothing is half done."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from actor_kit import cell_of, toy_id

from actors.errors import SchemaTooNewError, StoreError
from actors.schema import Schema
from actors.sqlite import open_store
from actors.storage import Write

STEPS = (
    "CREATE TABLE shown (name TEXT PRIMARY KEY) STRICT; INSERT INTO shown VALUES ('from step one');",
    "ALTER TABLE shown ADD COLUMN value INTEGER NOT NULL DEFAULT 7",
    "CREATE INDEX shown_value ON shown (value)",
)


def upto(steps: int) -> Schema:
    """The schema as a release with so many steps knows it."""
    return Schema("toys", STEPS[:steps])


async def opened(path: Path, *schemas: Schema) -> dict[str, int]:
    """Open the file and close it; the versions found in it then."""
    store = await open_store(path, schemas)
    await store.apply([Write(toy_id("a"), b"cell", None)])
    await store.close()
    return versions(path)


def versions(path: Path) -> dict[str, int]:
    """The versions in the file, by component."""
    with closing(sqlite3.connect(path)) as other:
        return dict(other.execute("SELECT component, version FROM schema_versions"))


def shown(path: Path) -> list[tuple[object, ...]]:
    """The rows of the product's table."""
    with closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT * FROM shown").fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file goes."""
    return tmp_path / "toys.db"


@pytest.mark.parametrize("before", [0, 1, 2, 3])
async def test_an_older_file_is_upgraded_and_keeps_its_rows(path: Path, before: int) -> None:
    """From whichever step a file is: each missing step runs once, in order."""
    assert await opened(path, upto(before)) == {"actors": 1} | ({"toys": before} if before else {})
    assert await opened(path, upto(3)) == {"actors": 1, "toys": 3}
    assert await opened(path, upto(3)) == {"actors": 1, "toys": 3}

    assert shown(path) == [("from step one", 7)]
    store = await open_store(path, (upto(3),))
    assert await cell_of(store, toy_id("a")) == b"cell"
    await store.close()


@pytest.mark.parametrize(
    "broken",
    ["INSERT INTO shown VALUES ('half', 1); INSERT INTO missing VALUES (1);", "this is no SQL"],
    ids=["second statement", "syntax"],
)
async def test_a_failing_step_leaves_the_old_version_intact(path: Path, broken: str) -> None:
    """A step is done with all its statements or not at all; the steps before it stay; mended, it goes on from there."""
    await opened(path, upto(1))

    with pytest.raises(StoreError, match=r"toys\.db cannot be used as the database"):
        await open_store(path, (Schema("toys", (*STEPS[:2], broken)),))

    assert versions(path) == {"actors": 1, "toys": 2}
    assert shown(path) == [("from step one", 7)]
    assert await opened(path, upto(3)) == {"actors": 1, "toys": 3}


async def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    """The error names the component, both versions and what to do; not a byte of the file changes."""
    await opened(path, upto(3))
    before = path.read_bytes()

    with pytest.raises(SchemaTooNewError) as refused:
        await open_store(path, (upto(2),))

    assert f"{path} was written by a newer release: its toys schema has version 3" in str(refused.value)
    assert "this release knows up to 2" in str(refused.value)
    assert path.read_bytes() == before
    assert await opened(path, upto(3)) == {"actors": 1, "toys": 3}


async def test_no_component_is_upgraded_if_another_is_too_new(path: Path) -> None:
    """All versions are looked at before anything is changed."""
    await opened(path, upto(1), Schema("more", ("SELECT 1", "SELECT 2")))

    with pytest.raises(SchemaTooNewError, match="its more schema has version 2"):
        await open_store(path, (upto(3), Schema("more", ("SELECT 1",))))
    assert versions(path) == {"actors": 1, "toys": 1, "more": 2}


async def test_the_runtimes_own_tables_are_guarded_too(path: Path) -> None:
    """A file whose `actors` version is unknown is refused like any other."""
    await opened(path)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE schema_versions SET version = 99")

    with pytest.raises(SchemaTooNewError, match="its actors schema has version 99, this release knows up to 1"):
        await open_store(path)
