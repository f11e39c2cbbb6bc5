"""The doctor beside the real process: while it serves, after it was killed, and after something was broken."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from builders import User
from commands import command
from data_files import data_with
from processes import world

DAY_MS = 86_400_000


async def examined(folder: Path, **env: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit status, and the findings of each check."""
    status, said = await command(folder, "doctor", "--data-dir", "data", "--json", **env)
    document = json.loads(said)
    assert document["healthy"] == (status == 0)
    checks: dict[str, list[dict[str, Any]]] = {}
    for finding in document["findings"]:
        checks.setdefault(finding["check"], []).append(finding)
    return status, checks


def levels(findings: list[dict[str, Any]]) -> set[str]:
    """How bad it is."""
    return {finding["level"] for finding in findings}


@pytest.mark.slow
async def test_a_service_that_does_well_is_found_to_and_is_not_disturbed(tmp_path: Path) -> None:
    """While it serves: every check is there, none is a fault, nothing reaches the backend's record, no secret shows."""
    async with world(tmp_path) as (service, client, backend):
        for user in ("alice", "bob"):
            assert (await client.create(user))[0] == 201
        env = {"BACKEND_API_URL": backend.url, "BACKEND_API_TOKEN": "test-token"}
        status, checks = await examined(tmp_path, **env)
        assert status == 0
        assert set(checks) == {"settings", "data", "database", "sessions", "wake-ups", "backend", "clock"}
        assert checks["sessions"][0]["found"] == "state, row and wake-up agree: 2 sessions"
        assert "a service is running on it" in str(checks["data"])
        assert await backend.calls() == []
        status, said = await command(tmp_path, "doctor", "--data-dir", "data", **env)
        assert status == 0
        assert "test-token" not in said
        assert all(line.split()[0] in {"ok", "warning", "fault"} for line in said.splitlines())
        assert (await client.get("alice"))[0] == 200
        before = (tmp_path / "data" / "labsessions.db").read_bytes()
        await service.kill()
        status, checks = await examined(tmp_path, **env)
        assert (status, "no service is running on it" in str(checks["data"])) == (0, True)
        assert (tmp_path / "data" / "labsessions.db").read_bytes() == before


@pytest.mark.slow
async def test_what_was_broken_is_found(tmp_path: Path) -> None:
    """Each of two users' troubles is a fault with something to do; the exit status says so."""
    async with world(tmp_path) as (service, client, backend):
        for user in ("alice", "bob", "carol"):
            assert (await client.create(user))[0] == 201
        await service.end()
        with closing(sqlite3.connect(tmp_path / "data" / "labsessions.db")) as database, database:
            database.execute("UPDATE actor_cells SET due_ms = due_ms + 1 WHERE name = 'alice'")
            database.execute("DELETE FROM labs_sessions WHERE user_id = 'bob'")
        status, checks = await examined(tmp_path, BACKEND_API_URL=backend.url, BACKEND_API_TOKEN="x")
        assert status == 1
        assert [(finding["level"], finding["found"][:6]) for finding in checks["sessions"]] == [
            ("fault", "alice:"),
            ("fault", "bob: t"),
        ]
        assert all(finding["todo"] for finding in checks["sessions"])
        # What the doctor advises mends it.
        await service.start()
        for user in ("alice", "bob"):
            assert (await client.put(user, terminal_url="https://terminal.example/2"))[0] == 200
        status, checks = await examined(tmp_path, BACKEND_API_URL=backend.url, BACKEND_API_TOKEN="x")
        assert (status, levels(checks["sessions"])) == (0, {"ok"})


async def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(tmp_path: Path) -> None:
    """Only warnings: there is nothing yet, and no backend is set."""
    status, checks = await examined(tmp_path)
    assert status == 0
    assert levels(checks["backend"]) == {"warning"}
    assert list(tmp_path.iterdir()) == []


async def test_wrong_settings_are_faults_and_end_the_examination(tmp_path: Path) -> None:
    """Each by itself, in the words of the start; the rest would be about other settings than those that are meant."""
    env = {"LABSESSIONS_CLEANUP__CONCURRENCY": "1", "BACKEND_API_URL": "ftp://x"}
    status, checks = await examined(tmp_path, **env)
    assert status == 1
    assert set(checks) == {"settings"}
    assert [finding["level"] for finding in checks["settings"]] == ["fault", "fault", "warning"]


@pytest.mark.slow
async def test_what_a_clock_that_was_ahead_has_left_is_shown_and_set_right(tmp_path: Path) -> None:
    """Health and doctor name it; `reanchor` refuses beside the service, and sets it right without it."""
    alice = User().create(user_id="alice", now_ms=time.time_ns() // 1_000_000 + 90 * DAY_MS)
    await asyncio.to_thread(data_with, tmp_path / "data", [alice])
    async with world(tmp_path) as (service, client, _):
        assert "sessions created later than now: 1" in str(await client.call("GET", "/health"))
        status, said = await command(tmp_path, "reanchor", "--data-dir", "data")
        assert (status, "in use by another process" in said) == (2, True)
        _, checks = await examined(tmp_path)
        assert "alice: its session was created" in str(checks["sessions"])
        await service.end()
        assert await command(tmp_path, "reanchor", "bob", "--data-dir", "data") == (
            2,
            "labsessions: no such user: bob\n",
        )
        status, said = await command(tmp_path, "reanchor", "--data-dir", "data")
        assert (status, said.splitlines()[0].startswith("alice: runs until 20"), said.splitlines()[1:]) == (
            0,
            True,
            ["1 set right"],
        )
        await service.start()
        status, body = await client.get("alice")
        assert (status, body["data"]["remaining_seconds"] <= 3600) == (200, True)
        assert "problems" not in (await client.call("GET", "/health"))[1]
