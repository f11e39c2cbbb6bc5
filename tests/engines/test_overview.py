"""The service at a glance: each figure from where it is known, and what is wrong in any case."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import HOUR, MINUTE, NOW, User

from actors.breaker import BreakerState
from actors.pause import Paused
from actors.runtime import Runtime
from actors.sqlite import open_store
from actors.testing import ManualClock
from labsessions import last_backup
from labsessions.core.model import State
from labsessions.core.projection import iso
from labsessions.engines.embedded import write_of
from labsessions.engines.tables import schema
from labsessions.operators.overview import ServiceOverview


class Readiness:
    """See `ports.Readiness`."""

    async def check(self) -> dict[str, Any]:
        """One problem."""
        return {"ready": True, "problems": ["something"]}


class World:
    """A runtime that delivers nothing, a file, and what is said of them."""

    def __init__(self, runtime: Runtime, clock: ManualClock, query: Any, folder: Path) -> None:
        self.runtime = runtime
        self.clock = clock
        self.query = query
        self.folder = folder
        self.paused: Paused | None = None
        self.error: str | None = None

    async def look(self) -> dict[str, Any]:
        """A fresh overview, of a service that has been started just now."""
        return await ServiceOverview(
            self.runtime,
            self.query,
            Readiness(),
            self.folder,
            "1.2.3",
            last_error=lambda: self.error,
            paused=lambda: self.paused,
        ).current()


@asynccontextmanager
async def world(folder: Path, *users: User, now_ms: int = NOW) -> AsyncIterator[World]:
    """With these users' sessions."""
    store = await open_store(folder / "db", (schema(),))
    clock = ManualClock(now_ms)
    runtime = Runtime(store, clock)
    await store.apply([write_of(each.session.lab.user_id, each.state, (), NOW, State()) for each in users])
    try:
        yield World(runtime, clock, store.query, folder)
    finally:
        await runtime.stop(0)


async def test_all_is_well(tmp_path: Path) -> None:
    """Every member is there; what isn't known is null."""
    async with world(tmp_path, User().create(duration=15)) as it:
        assert await it.look() == {
            "server_time": iso(NOW),
            "version": "1.2.3",
            "started_at": iso(NOW),
            "verdict": {"ok": True, "text": "every session on time", "since": None},
            "problems": ["something"],
            "counts": {
                "active": 1,
                "ending_soon": 1,
                "cleaning": 0,
                "overdue": 0,
                "stuck": 0,
                "owed": 0,
                "owed_stuck": 0,
            },
            "oldest_overdue_seconds": None,
            "scheduler": {"heartbeat_age_seconds": 0.0, "paused": None, "clock_problem": None},
            "backend": {"state": "unknown", "since": None, "last_error": None},
            "last_backup": None,
            "resident_actors": 0,
            "effects_running": 0,
            "test_clock": True,
        }


async def test_late_sessions_are_counted_and_explained(tmp_path: Path) -> None:
    """By what went wrong with most of them."""
    some = [
        User().create(name * 36, user_id=name).expire().fail(error=f"HTTP {500 + int(name) // 2}") for name in "123"
    ]
    async with world(tmp_path, *some, User().create("4" * 36, user_id="4"), now_ms=NOW + HOUR + 5 * MINUTE) as it:
        told = await it.look()
    assert told["verdict"] == {
        "ok": False,
        "text": "4 overdue, oldest 5 min 0 s – attempts that failed say: HTTP 501",
        "since": iso(NOW + HOUR),
    }
    assert (told["oldest_overdue_seconds"], told["counts"]["cleaning"], told["counts"]["active"]) == (300.0, 3, 1)


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (BreakerState.CLOSED, "up"),
        (BreakerState.RECOVERING, "up"),
        (BreakerState.OPEN, "down"),
        (BreakerState.HALF_OPEN, "probing"),
    ],
)
async def test_the_backend_is_what_the_breaker_knows_of_it(tmp_path: Path, state: BreakerState, shown: str) -> None:
    """With the last error; since when only while it is down."""
    async with world(tmp_path) as it:
        it.error = "HTTP 503"
        it.runtime.breaker.answered()
        it.runtime.breaker.state = state
        told = await it.look()
    down = shown in ("down", "probing")
    assert (told["backend"]["state"], told["backend"]["last_error"]) == (shown, "HTTP 503")
    assert (told["backend"]["since"] is not None) is down
    assert ("the backend has been down since" in told["verdict"]["text"]) is down


async def test_a_pause_is_told(tmp_path: Path) -> None:
    """By whom, why, since when and until when."""
    async with world(tmp_path) as it:
        it.paused = Paused(NOW - 1, NOW + HOUR, "backend upgrade", "eve")
        told = await it.look()
    assert told["scheduler"]["paused"] == {
        "since": iso(NOW - 1),
        "until": iso(NOW + HOUR),
        "reason": "backend upgrade",
        "by": "eve",
    }
    assert told["verdict"]["text"] == f"no session is late yet – cleanups are paused until {iso(NOW + HOUR)}"


async def test_the_last_backup_has_an_age(tmp_path: Path) -> None:
    """From when it was begun."""
    async with world(tmp_path) as it:
        last_backup.note(tmp_path, NOW - HOUR)
        assert (await it.look())["last_backup"] == {"at": iso(NOW - HOUR), "age_seconds": 3600.0}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"at_ms": "x"}', b'{"at_ms": 1.5}'])
async def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    """It is no part of the data."""
    (tmp_path / last_backup.NAME).write_bytes(content)
    assert last_backup.noted(tmp_path) is None


async def test_whoever_may_not_write_leaves_no_note(tmp_path: Path) -> None:
    """The backup is as good."""
    last_backup.note(tmp_path / "not there", NOW)
    assert last_backup.noted(tmp_path / "not there") is None


async def test_a_store_that_cannot_be_read_is_the_verdict(tmp_path: Path) -> None:
    """All else is told as far as it is known; no figure is invented."""
    async with world(tmp_path) as it:

        async def broken(sql: str, values: Any) -> list[dict[str, Any]]:  # noqa: ARG001 - as `Query` has it
            raise OSError("the disk is gone")

        it.query = broken
        told = await it.look()
    assert told["verdict"] == {"ok": False, "text": "the store is in trouble: the disk is gone", "since": None}
    assert told["counts"] is None


@pytest.mark.parametrize(
    ("seconds", "age", "text"),
    [
        (10.0, 10.0, "every session on time"),
        (10.1, 10.1, "no session is late yet – the scheduler stands still"),
        (float("inf"), None, "no session is late yet – the scheduler stands still"),
    ],
)
async def test_a_scheduler_that_stands_still_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, age: float | None, text: str
) -> None:
    """Infinity is no number in JSON."""
    async with world(tmp_path) as it:
        pulse = replace(it.runtime.pulse(), stalled_seconds=seconds)
        monkeypatch.setattr(it.runtime, "pulse", lambda: pulse)
        told = await it.look()
    assert (told["scheduler"]["heartbeat_age_seconds"], told["verdict"]["text"]) == (age, text)
