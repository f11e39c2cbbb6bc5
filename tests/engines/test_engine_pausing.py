"""The pause on a real file: with its entry in the audit, over a restart, and paced when it ends."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from builders import MINUTE, NOW, POLICY, lab

from actors.admission import Limits
from actors.driven import DrivenTime
from actors.runtime import Runtime
from actors.sqlite import open_store
from actors.testing import ManualClock
from labsessions.core.messages import AttemptEnded, Clean, Create, Current, Delete, EndNow, Show
from labsessions.core.projection import iso
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.operators.audit import AuditLog
from labsessions.operators.pausing import Pausing
from labsessions.operators.waiting import Waiting
from labsessions.ports import EngineError, Paused


class Backend:
    """Confirms everything at once, and notes for whom; with `error` it confirms nothing."""

    def __init__(self) -> None:
        self.cleaned: list[str] = []
        self.error: str | None = None
        self.at_once = self.most = 0

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        self.cleaned.append(effect.user_id)
        return AttemptEnded(effect.generation, effect.attempt, () if self.error else effect.vms, self.error)


class World(NamedTuple):
    """A service's parts, and the time that they live in."""

    engine: EmbeddedEngine
    runtime: Runtime
    pausing: Pausing
    audit: AuditLog
    waiting: Waiting
    backend: Backend
    time: DrivenTime

    async def create(self, *users: str) -> None:
        """A session of an hour for each."""
        for number, user in enumerate(users):
            generation = f"00000000-0000-4000-8000-{number:012x}"
            await self.engine.ask(user, Create(generation, lab(user_id=user, lab_request_id=f"vm-{user}")))


@asynccontextmanager
async def world(path: Path, clock: ManualClock, policy: Any = POLICY) -> AsyncIterator[World]:
    """The service's parts on the file at `path`, started as the service starts."""
    store = await open_store(path, (schema(),))
    runtime = Runtime(store, clock, limits=Limits(slots=2, slow_slots=0, slow_after_seconds=60))
    backend = Backend()
    engine = EmbeddedEngine(runtime, backend, policy)
    audit = AuditLog(store.query, runtime.commit, clock.now_ms)
    pausing = Pausing(runtime.pause, audit, clock.now_ms)
    await runtime.pause.restore()
    runtime.start()
    try:
        yield World(engine, runtime, pausing, audit, Waiting(store.query), backend, DrivenTime(clock, runtime))
    finally:
        await runtime.stop(0)


def sql(path: Path, statement: str) -> list[dict[str, Any]]:
    """What another connection sees."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(found) for found in database.execute(statement)]


async def test_no_cleanup_begins_until_the_end_of_the_pause(tmp_path: Path) -> None:
    """Sessions stay active beyond their deadline, which keeps its meaning: the lateness counts from it."""
    async with world(tmp_path / "db", ManualClock(NOW)) as it:
        await it.create("a")
        await it.pausing.begin(NOW + 90 * MINUTE, "the backend moves", "ada")
        await it.time.advance(89 * MINUTE)
        assert it.backend.cleaned == []
        reply = await it.engine.ask("a", Show())
        assert isinstance(reply, Current)
        assert (reply.session.status, reply.session.expires_ms) == ("active", NOW + 60 * MINUTE)
        await it.time.advance(MINUTE)
        assert it.backend.cleaned == ["a"]
    (line,) = sql(tmp_path / "db", "SELECT end_reason, lateness_ms FROM session_history")
    assert line == {"end_reason": "expired", "lateness_ms": 30 * MINUTE}


async def test_a_restart_goes_on_with_it(tmp_path: Path) -> None:
    """The next process holds back what the first one did, until the same end."""
    clock = ManualClock(NOW)
    async with world(tmp_path / "db", clock) as it:
        await it.create("a")
        begun = await it.pausing.begin(NOW + 90 * MINUTE, "x", "ada")
    async with world(tmp_path / "db", clock) as it:
        assert it.pausing.current == begun == Paused(NOW, NOW + 90 * MINUTE, "x", "ada")
        await it.time.advance(80 * MINUTE)
        assert it.backend.cleaned == []
    clock.advance(10 * MINUTE)
    async with world(tmp_path / "db", clock) as it:
        assert it.pausing.current is None
        await it.time.settled()
        assert it.backend.cleaned == ["a"]


async def test_the_backlog_goes_at_the_pace_of_admission(tmp_path: Path) -> None:
    """However many have waited, no more run at once than ever; those that were ended by an operator among them."""
    users = [f"user-{number}" for number in range(20)]
    async with world(tmp_path / "db", ManualClock(NOW)) as it:
        await it.create(*users)
        await it.pausing.begin(NOW + 90 * MINUTE, "x", "ada")
        await it.engine.ask(users[0], EndNow())
        await it.time.advance(70 * MINUTE)
        assert it.backend.cleaned == []
        assert await it.pausing.end("bob")
        await it.time.settled()
        assert sorted(it.backend.cleaned) == sorted(users)
        assert it.backend.most <= 2


async def test_each_call_is_in_the_audit(tmp_path: Path) -> None:
    """Also one that there was nothing to end; the entry of a call is written with it."""
    path = tmp_path / "db"
    async with world(path, ManualClock(NOW)) as it:
        await it.pausing.begin(NOW + MINUTE, "the backend moves", "ada")
        assert await it.pausing.end("bob")
        assert not await it.pausing.end("bob")
        entries = await it.audit.entries(None, 9)
        assert [(entry["who"], entry["action"], entry["reason"], entry["outcome"]) for entry in reversed(entries)] == [
            ("ada", "pause", "the backend moves", "done"),
            ("bob", "resume", None, "done"),
            ("bob", "resume", None, "not_paused"),
        ]
        assert entries[-1]["detail"] == {"until": iso(NOW + MINUTE)}
        with closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE operator_audit RENAME TO away")
        with pytest.raises(EngineError):
            await it.pausing.begin(NOW + MINUTE, "x", "ada")
        assert it.runtime.pause.is_open()
        assert sql(path, "SELECT * FROM actor_cells") == []
        with closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE away RENAME TO operator_audit")
        await it.pausing.begin(NOW + MINUTE, "x", "ada")
        with closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE operator_audit RENAME TO away")
        with pytest.raises(EngineError):
            await it.pausing.end("ada")
        assert it.pausing.current is not None
    (cell,) = sql(path, "SELECT namespace, name, cell, due_ms FROM actor_cells")
    assert (cell["namespace"], cell["due_ms"]) == ("Pause", None)
    assert json.loads(cell["cell"])["by"] == "ada"


async def test_who_waits_for_another_attempt(tmp_path: Path) -> None:
    """By status, by a part of the error, by id; sessions and what is owed, each user once."""
    clock = ManualClock(NOW)
    policy = POLICY.__class__(
        retry_interval_ms=5 * MINUTE, attempt_limit_ms=MINUTE, spread=0.0, stuck_after=2, owed_after_ms=0
    )
    async with world(tmp_path / "db", clock, policy) as it:
        it.backend.error = "HTTP 503 (100% down)"
        await it.create("active", "stuck", "cleaning", "owing")
        await it.engine.ask("stuck", EndNow())
        await it.time.settled()
        await it.time.advance(5 * MINUTE)
        await it.engine.ask("cleaning", EndNow())
        await it.engine.ask("owing", Delete())
        await it.time.settled()
        find = it.waiting.users
        assert await find(None, None, None) == ["cleaning", "owing", "stuck"]
        assert await find("stuck", None, None) == ["stuck"]
        assert await find("cleaning", None, None) == ["cleaning", "owing"]
        assert await find(None, "503 (100%", None) == ["cleaning", "owing", "stuck"]
        assert await find(None, "503%", None) == []
        assert await find(None, "http", None) == []
        assert await find(None, None, ["owing", "active", "nobody"]) == ["owing"]
        assert await find(None, None, []) == []
        assert await find("stuck", "503", ["stuck", "cleaning"]) == ["stuck"]
