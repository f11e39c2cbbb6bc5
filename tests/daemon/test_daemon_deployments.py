"""Each start has a row: what ran, with which settings, and how it ended. The record is in nobody's way."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.sqlite import open_store
from labsessions import __version__
from labsessions.deployments import KEPT, Deployment, fingerprint, newest
from labsessions.engines.tables import STEPS, schema
from labsessions.settings import Settings, load


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A file with the tables."""
    path = tmp_path / "labsessions.db"
    await (await open_store(path, (schema(),))).close()
    return path


class Clock:
    """A clock that goes on by a second with each look."""

    def __init__(self) -> None:
        self._ms = 1_800_000_000_000

    def now_ms(self) -> int:
        """The instant."""
        self._ms += 1000
        return self._ms


async def rows(database: Path) -> list[dict[str, Any]]:
    """As they are shown."""
    store = await open_store(database, (schema(),))
    try:
        return await newest(store.query)
    finally:
        await store.close()


async def test_a_start_and_its_end(database: Path) -> None:
    """What is running has no end; one that stops in order has one; one that has died is known by the next start."""
    clock = Clock()
    first, second = (Deployment(database, Settings(), clock.now_ms) for _ in range(2))
    first.begin()
    (running,) = await rows(database)
    assert (running["version"], running["schema"]) == (__version__, len(STEPS))
    assert (running["started_at"], running["stopped_at"], running["clean"]) == ("2027-01-15T08:00:01.000Z", None, None)
    second.begin()
    second.end()
    assert [(row["stopped_at"], row["clean"]) for row in await rows(database)] == [
        ("2027-01-15T08:00:03.000Z", True),
        (None, False),
    ]


async def test_the_newest_thousand_are_kept(database: Path) -> None:
    """At one less, at it, and at one more."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO deployments VALUES (?, 'x', 'x', 1, '0', 1, 'x', 'x', 1)",
            [(number,) for number in range(1, KEPT)],
        )
    for expected in (KEPT, KEPT, KEPT):
        Deployment(database, Settings(), Clock().now_ms).begin()
        kept = await rows(database)
        assert len(kept) == expected
        assert kept[0]["version"] == __version__
    assert sum(row["version"] == "0" for row in kept) == KEPT - 3


async def test_one_that_did_not_begin_does_not_end(database: Path) -> None:
    """Then there is no row."""
    Deployment(database, Settings(), Clock().now_ms).end()
    assert await rows(database) == []


def test_a_store_in_trouble_is_no_reason_to_fail(tmp_path: Path) -> None:
    """A line says why."""
    deployment = Deployment(tmp_path, Settings(), Clock().now_ms)
    with capture_logs() as lines:
        deployment.begin()
        deployment.end()
    assert [line["event"] for line in lines] == ["this start could not be recorded in deployments"]


def test_the_fingerprint_is_that_of_the_settings() -> None:
    """The same for the same ones, another one for others; secrets don't count, so that it tells nothing of them."""
    base = fingerprint(Settings())
    assert base == fingerprint(load({}, {}))
    assert base == fingerprint(load({}, {"API_TOKEN": "s3cret", "BACKEND_API_URL": "http://s3cret"}))
    others = {
        fingerprint(load({}, {"LABSESSIONS_CLEANUP__CONCURRENCY": "5"})),
        fingerprint(load({}, {"LABSESSIONS_PORT": "1"})),
        fingerprint(load({}, {"LABSESSIONS_DATA_DIR": "/x"})),
    }
    assert len(others | {base}) == 4
    assert len(base) == 12
