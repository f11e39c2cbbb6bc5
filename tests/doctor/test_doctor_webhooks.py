"""The doctor on webhooks: who is not told, and what to do about it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from builders import active
from data_files import data_with, sql

from actors.ids import ActorId
from actors.sqlite import open_store
from actors.storage import Write
from labsessions.doctor import examine, webhooks
from labsessions.doctor.findings import Finding
from labsessions.engines.tables import schema
from labsessions.webhooks.actor import NAMESPACE
from labsessions.webhooks.source import Letter
from labsessions.webhooks.standing import Standing, encode

AT = 1_764_000_000_000


def findings(folder: Path, *configured: str, letters: int = 0, **standings: Standing) -> list[Finding]:
    """Of a database with these endpoints and so many dead letters of `ops`."""
    database = data_with(folder, [active()])

    async def put() -> None:
        store = await open_store(database, (schema(),))
        for name, standing in standings.items():
            await store.apply([Write(ActorId(NAMESPACE, name), encode(standing), None)])
        rows = [Letter("ops", seq, "id", "type", "at", "{}", 1, "then", "no").kept() for seq in range(letters)]
        await store.apply([Write(ActorId(NAMESPACE, "nobody"), None, None, rows)])
        await store.close()

    asyncio.run(put())
    with closing(sqlite3.connect(database)) as connection:
        return list(webhooks.check(connection, configured))


def test_without_webhooks_there_is_nothing_to_say(tmp_path: Path) -> None:
    """Nor of those that were taken out."""
    assert findings(tmp_path) == []
    assert findings(tmp_path, old=Standing(cursor=1, disabled_ms=AT)) == []


def test_all_is_well(tmp_path: Path) -> None:
    """Also before the first start with them."""
    (found,) = findings(tmp_path, "ops", "new", ops=Standing(cursor=1))
    assert (found.level, found.found) == ("ok", "all are served: new, ops")


def test_trouble(tmp_path: Path) -> None:
    """Disabled, failing, dead letters: each with what to do."""
    gone = Standing(cursor=1, disabled_ms=AT, failing_since_ms=AT, last_error="HTTP 410")
    fails = Standing(cursor=1, failures=2, failing_since_ms=AT, last_error="HTTP 500")
    found = findings(tmp_path, "gone", "fails", letters=3, gone=gone, fails=fails)
    assert [(each.level, each.found) for each in found] == [
        ("warning", "fails fails since 2025-11-24T16:00:00.000Z (HTTP 500)"),
        ("warning", "gone is disabled since 2025-11-24T16:00:00.000Z (HTTP 410)"),
        ("warning", "ops has dead letters: 3"),
    ]
    assert all(each.todo for each in found)


def test_a_damaged_cell(tmp_path: Path) -> None:
    """A fault, as nobody is told until it is mended."""
    database = data_with(tmp_path, [])
    sql(database, "INSERT INTO actor_cells (namespace, name, cell) VALUES ('Webhook', 'ops', X'00')")
    with closing(sqlite3.connect(database)) as connection:
        (found,) = webhooks.check(connection, {"ops"})
    assert found.level == "fault"


def test_a_file_of_an_older_release(tmp_path: Path) -> None:
    """It has no dead letters."""
    database = data_with(tmp_path, [])
    sql(database, "DROP TABLE webhook_dead_letters")
    with closing(sqlite3.connect(database)) as connection:
        assert [found.level for found in webhooks.check(connection, {"ops"})] == ["ok"]


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    """A fault like any other; the examination goes on."""
    database = data_with(tmp_path, [])
    sql(database, "DROP TABLE actor_cells")
    with closing(sqlite3.connect(database)) as connection:
        (found,) = webhooks.check(connection, {"ops"})
    assert (found.level, found.found) == ("fault", "the tables cannot be read: no such table: actor_cells")


def test_it_is_part_of_the_examination(tmp_path: Path) -> None:
    """By the names in the settings."""
    data_with(tmp_path, [active()])
    environ = {
        "LABSESSIONS_WEBHOOKS": '[{"name":"ops","url":"https://hooks.test/"}]',
        "WEBHOOK_OPS_SECRET": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    }
    found = [each for each in examine({"data_dir": tmp_path}, environ, None) if each.check == webhooks.CHECK]
    assert [each.found for each in found] == ["all are served: ops"]
