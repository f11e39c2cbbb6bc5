"""The real process through the main job: create, expire, fail, recover, delete, restart – by the contract."""

import asyncio
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from processes import DEADLINE_SECONDS, Backend, Client, Process, until, workers, world

from labsessions import log_lines as lines

SOON = 0.005  # minutes: 300 ms
INTERVAL = "1"


async def confirmed(backend: Backend, vm: str) -> bool:
    """Whether the backend has deleted the VM and said so."""
    return any(call["status"] == 202 for call in await backend.calls("delete", vm))


async def failing(client: Client, user: str, attempts: int = 1) -> dict[str, Any] | None:
    """The session, once that many attempts have failed."""
    _, body = await client.get(user)
    data: dict[str, Any] = body.get("data", {})
    return data if data.get("attempts", 0) >= attempts and data.get("last_error") else None


async def test_a_session_lives_expires_and_is_cleaned_with_the_contracts_calls_and_lines(tmp_path: Path) -> None:
    """CONTRACT §2 to §4: both calls in order with their bodies and token, never early, 404 afterwards, all lines."""
    async with world(tmp_path) as (service, client, backend):
        status, created = await client.create("alice", duration=SOON, worker_nodes=workers("w1", "w2", "w1"))
        assert status == 201
        await until(lambda: client.gone("alice"), "the end of the session")
        calls = await backend.calls()
        assert [(c["route"], c["lab_request_id"], c["user_id"]) for c in calls] == [
            ("expose", "vm-alice", None),
            ("delete", "vm-alice", "alice"),
            ("delete", "w1", "alice"),
            ("delete", "w2", "alice"),
        ]
        deadline = datetime.fromisoformat(created["data"]["expires_at"]).timestamp() * 1000
        assert min(call["at_ms"] for call in calls) >= deadline
        log = service.log()
        happy = [
            lines.SCHEDULED,
            lines.ALARM,
            lines.WORKERS,
            lines.CALLING,
            lines.SERVICES_DELETED,
            lines.VM_DELETED,
            lines.ROW_DELETED,
            lines.CLEANED,
        ]
        positions = [log.index(line) for line in happy]
        assert positions == sorted(positions)
        assert "test-token" not in log


@pytest.mark.slow
async def test_a_backend_that_is_down_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """While the backend is down sessions stay and are tried at the interval; when it is back all are cleaned."""
    async with world(tmp_path, LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS=INTERVAL) as (service, client, backend):
        port = backend.url.rsplit(":", 1)[1]
        await backend.process.kill()
        users = [f"user-{n}" for n in range(5)]
        for user in users:
            assert (await client.create(user, duration=SOON))[0] == 201
        for user in users:
            seen = await until(lambda user=user: failing(client, user, 2), f"two attempts for {user}")  # type: ignore[misc]
            assert seen["status"] == "cleaning"
            assert (await client.create(user))[0] == 409
            assert (await client.put(user, terminal_url="x"))[0] == 409
        again = Process(tmp_path, "backend", "mock-backend", "--port", port)
        try:
            await again.start()
            for user in users:
                await until(lambda user=user: client.gone(user), f"the cleanup of {user}")  # type: ignore[misc]
                assert await confirmed(backend, f"vm-{user}")
        finally:
            await again.end()
        assert lines.FAILED in service.log()
        assert lines.RETRY in service.log()


async def test_deleting_during_an_attempt_ends_it_at_once(tmp_path: Path) -> None:
    """After the answer to a DELETE no further call is started, though the attempt still had VMs to ask for."""
    async with world(tmp_path) as (_, client, backend):
        await backend.fault(kind="hang", route="delete", lab_request_id="vm-bob")
        await client.create("bob", duration=SOON, worker_nodes=workers("w1"))
        await until(lambda: backend.calls("delete", "vm-bob"), "the call")
        assert (await client.delete("bob"))[0] == 200
        assert (await client.get("bob"))[0] == 404
        await until(lambda: _ended(backend, "vm-bob"), "the end of the call that was in flight")
        assert await backend.calls("delete", "w1") == []
        assert (await client.create("bob"))[0] == 201


async def _ended(backend: Backend, vm: str) -> bool:
    return all(call["ended_ms"] is not None for call in await backend.calls("delete", vm))


async def test_a_put_adds_workers_and_moves_the_deadline_both_ways(tmp_path: Path) -> None:
    """Workers added later are deleted too; a longer duration keeps the lab, a shorter one ends it, at once if past."""
    async with world(tmp_path) as (_, client, backend):
        await client.create("carol", duration=SOON)
        status, body = await client.put("carol", duration=600, worker_nodes=workers("late-worker"))
        assert (status, body["data"]["duration"]) == (200, 600)
        await client.create("dave", duration=SOON)
        await until(lambda: client.gone("dave"), "a session with the first deadline of carol")
        assert (await client.get("carol"))[0] == 200
        assert await backend.calls("delete", "vm-carol") == []
        assert (await client.put("carol", duration=SOON))[0] == 200
        await until(lambda: client.gone("carol"), "the end that has been moved into the past")
        assert await confirmed(backend, "vm-carol")
        assert await confirmed(backend, "late-worker")


async def test_a_session_recreated_with_the_same_ids_is_not_touched_by_its_predecessor(tmp_path: Path) -> None:
    """An answer about yesterday's lab changes nothing of today's, even if all ids are the same."""
    async with world(tmp_path) as (_, client, backend):
        await backend.fault(kind="slow", seconds=1, route="delete", lab_request_id="vm-erin", times=1)
        await client.create("erin", id="the-same", duration=SOON)
        await until(lambda: backend.calls("delete", "vm-erin"), "the call")
        await client.delete("erin")
        assert (await client.create("erin", id="the-same", duration=600))[0] == 201
        await until(lambda: _ended(backend, "vm-erin"), "the late answer")
        await client.create("marker", duration=SOON)
        await until(lambda: client.gone("marker"), "a whole cleanup of somebody else")
        status, body = await client.get("erin")
        assert (status, body["data"]["status"]) == (200, "active")
        assert len(await backend.calls("delete", "vm-erin")) == 1


@pytest.mark.slow
async def test_without_a_backend_url_sessions_wait_until_it_is_set(tmp_path: Path) -> None:
    """CONTRACT §5: it starts, accepts, says so in log, `/` and readiness, retries; set and restarted, it cleans up."""
    async with world(tmp_path, BACKEND_API_URL="", LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS=INTERVAL) as (
        service,
        client,
        backend,
    ):
        await client.create("frank", duration=SOON)
        seen = await until(lambda: failing(client, "frank", 2), "two attempts")
        assert "BACKEND_API_URL is not set" in seen["last_error"]
        assert "BACKEND_API_URL" in service.log()
        assert (await client.call("GET", "/"))[1]["not_configured"] == ["BACKEND_API_URL"]
        status, ready = await client.call("GET", "/health/ready")
        assert (status, ready["not_configured"]) == (200, ["BACKEND_API_URL"])
        await service.end()
        service.env["BACKEND_API_URL"] = backend.url
        await service.start()
        await until(lambda: client.gone("frank"), "the cleanup of what is overdue")
        assert await confirmed(backend, "vm-frank")


@pytest.mark.slow
async def test_a_stop_is_quick_exits_0_and_cleans_up_nothing(tmp_path: Path) -> None:
    """SIGTERM and SIGINT: what is in flight is finished or released within 10 s, and running labs keep running."""
    async with world(tmp_path) as (service, client, backend):
        await backend.fault(kind="hang", route="delete")
        await client.create("grace", duration=600)
        await client.create("heidi", duration=SOON)
        await until(lambda: backend.calls("delete", "vm-heidi"), "the call that hangs")
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await service.end(signal.SIGTERM) == 0
        await service.start()
        assert (await client.get("grace"))[0] == 200
        assert (await client.get("heidi"))[1]["data"]["status"] == "cleaning"
        assert await backend.calls("delete", "vm-grace") == []
        assert await service.end(signal.SIGINT) == 0
