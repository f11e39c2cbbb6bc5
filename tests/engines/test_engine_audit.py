"""The audit on a real file: an action and its entry are one transaction, and a refusal is written, too."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from builders import GENERATION, MINUTE, NOW, POLICY, lab

from actors.runtime import Runtime
from actors.sqlite import SqliteStore, open_store
from actors.testing import ManualClock
from labsessions.core.audit import Entry
from labsessions.core.messages import (
    Affected,
    AttemptEnded,
    Clean,
    Create,
    Current,
    EndNow,
    ExtendBy,
    Forget,
    Operated,
    Refusal,
    RetryNow,
    Show,
)
from labsessions.core.projection import iso
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.operators.audit import ENTRIES, AuditLog
from labsessions.ports import EngineError


class Silent:
    """A backend that confirms nothing, at once."""

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        return AttemptEnded(effect.generation, effect.attempt, (), "503")


class World(NamedTuple):
    """An engine on a file, and its audit."""

    engine: EmbeddedEngine
    store: SqliteStore
    audit: AuditLog
    clock: ManualClock


@asynccontextmanager
async def world(path: Path) -> AsyncIterator[World]:
    """The service's parts on the file at `path`."""
    store = await open_store(path, (schema(),))
    clock = ManualClock(NOW)
    runtime = Runtime(store, clock)
    engine = EmbeddedEngine(runtime, Silent(), POLICY)
    audit = AuditLog(store.query, runtime.commit, clock.now_ms)
    runtime.start()
    try:
        yield World(engine, store, audit, clock)
    finally:
        await runtime.stop(0)


def sql(path: Path, statement: str) -> list[dict[str, Any]]:
    """What another connection sees."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(found) for found in database.execute(statement)]


async def test_each_action_has_its_entry(tmp_path: Path) -> None:
    """With who, what, why and the outcome, in the order of the commits; what clients do has none."""
    async with world(tmp_path / "db") as it:
        await it.engine.ask("a", Create(GENERATION, lab(user_id="a")))
        await it.engine.ask("a", Operated("ada", "exam", ExtendBy(5)))
        await it.engine.ask("a", Operated("bob", None, RetryNow()))
        it.clock.advance(MINUTE)
        await it.engine.ask("a", Operated("bob", "gone", Forget()))
        await it.engine.ask("a", Operated("bob", None, EndNow()))
        await it.engine.ask("nobody", Operated("bob", None, EndNow()))
        await it.engine.ask("a", Show())
        entries = await it.audit.entries(None, 100)
    assert [(entry["seq"], entry["who"], entry["action"], entry["user_id"], entry["outcome"]) for entry in entries] == [
        (5, "bob", "end", "nobody", "not_found"),
        (4, "bob", "end", "a", "not_found"),
        (3, "bob", "forget", "a", "done"),
        (2, "bob", "retry", "a", "nothing_waits"),
        (1, "ada", "extend", "a", "done"),
    ]
    assert entries[2]["detail"] == {"session_ids": ["session-1"], "vms": ["vm-master"]}
    assert (entries[2]["reason"], entries[2]["at"]) == ("gone", iso(NOW + MINUTE))
    assert sql(tmp_path / "db", "SELECT count(*) AS n FROM actor_cells") == [{"n": 0}]


async def test_an_action_without_its_entry_is_none(tmp_path: Path) -> None:
    """If the entry cannot be written, nothing is done; the session is as it was, and its wake-up armed."""
    path = tmp_path / "db"
    async with world(path) as it:
        await it.engine.ask("a", Create(GENERATION, lab(user_id="a")))
        before = sql(path, "SELECT * FROM actor_cells")
        with closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE operator_audit RENAME TO away")
        for message in (Forget(), EndNow(), ExtendBy(5)):
            with pytest.raises(EngineError):
                await it.engine.ask("a", Operated("ada", "why", message))
        with closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE away RENAME TO operator_audit")
        assert sql(path, "SELECT * FROM actor_cells") == before
        assert sql(path, "SELECT * FROM session_history") == []
        reply = await it.engine.ask("a", Show())
        assert isinstance(reply, Current)
        assert (reply.session.version, reply.session.cleanup) == (1, None)
        assert await it.audit.entries(None, 1) == []


async def test_the_end_is_cleaned_up_and_tried_again(tmp_path: Path) -> None:
    """A wake-up of its own follows, with no help; the retry that an operator wants comes at once."""
    async with world(tmp_path / "db") as it:
        await it.engine.ask("a", Create(GENERATION, lab(user_id="a")))
        await it.engine.ask("a", Operated("ada", None, EndNow()))
        await until_failed(it, 1)
        reply = await it.engine.ask("a", Operated("ada", None, RetryNow()))
        assert isinstance(reply, Affected)
        await until_failed(it, 2)
        await it.engine.ask("a", Operated("ada", "enough", Forget()))
        assert await it.engine.ask("a", Show()) is Refusal.NOT_FOUND
    (line,) = sql(tmp_path / "db", "SELECT end_reason, attempts, lateness_ms FROM session_history")
    assert line == {"end_reason": "forgotten", "attempts": 2, "lateness_ms": None}


async def until_failed(it: World, attempts: int) -> None:
    """So many attempts have failed."""
    async with asyncio.timeout(30):
        while True:
            await asyncio.sleep(0)
            reply = await it.engine.ask("a", Show())
            assert isinstance(reply, Current)
            cleanup = reply.session.cleanup
            if cleanup is not None and (cleanup.attempts, cleanup.in_flight) == (attempts, False):
                return


async def test_what_is_about_no_single_user(tmp_path: Path) -> None:
    """An entry by itself is durable when `note` returns; if it cannot be, the service's fault is told."""
    path = tmp_path / "db"
    async with world(path) as it:
        await it.audit.note(Entry(who="ada", action="pause", outcome="done", reason="why", detail={"until": "then"}))
        (row,) = sql(path, "SELECT * FROM operator_audit")
        assert {**row, "detail": json.loads(row["detail"])} == {
            "seq": 1,
            "at": iso(NOW),
            "who": "ada",
            "action": "pause",
            "user_id": None,
            "reason": "why",
            "detail": {"until": "then"},
            "outcome": "done",
        }
        with closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE operator_audit RENAME TO away")
        with pytest.raises(EngineError):
            await it.audit.note(Entry(who="ada", action="pause", outcome="done"))


async def test_pages_follow_the_key(tmp_path: Path) -> None:
    """Before a number, the newest first; read by the primary key."""
    path = tmp_path / "db"
    async with world(path) as it:
        for _ in range(5):
            await it.audit.note(Entry(who="ada", action="pause", outcome="done"))
        assert [entry["seq"] for entry in await it.audit.entries(4, 2)] == [3, 2]
        assert [entry["seq"] for entry in await it.audit.entries(1, 2)] == []
    (plan,) = sql(path, "EXPLAIN QUERY PLAN " + ENTRIES.replace("?", "9"))
    assert "USING INTEGER PRIMARY KEY" in plan["detail"]
