"""The real process with users in trouble: nobody else is delayed, and the trouble can be seen."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from processes import Backend, Process, until, world

SOON = 0.01  # minutes: 600 ms
LATE_MS = 1000


async def first_call_ms(backend: Backend, vm: str) -> int | None:
    """When the first deletion of the VM arrived."""
    calls = await backend.calls("delete", vm)
    return calls[0]["at_ms"] if calls else None


async def test_a_hundred_sessions_that_hang_delay_nobody_by_more_than_a_second(tmp_path: Path) -> None:
    """CONTRACT §3.6: while 100 first attempts hang, others are still begun within a second of their deadline."""
    async with world(tmp_path, LABSESSIONS_SHUTDOWN_SECONDS="1") as (_, client, backend):
        for n in range(100):
            await backend.fault(kind="hang", lab_request_id=f"vm-hangs-{n}")
        for n in range(100):
            assert (await client.create(f"hangs-{n}", duration=SOON))[0] == 201
        deadlines: dict[str, float] = {}
        for n in range(20):
            status, body = await client.create(f"fine-{n}", duration=SOON)
            assert status == 201
            deadlines[f"vm-fine-{n}"] = datetime.fromisoformat(body["data"]["expires_at"]).timestamp() * 1000
        for vm, deadline in deadlines.items():
            begun = await until(lambda vm=vm: first_call_ms(backend, vm), f"the call for {vm}")  # type: ignore[misc]
            assert 0 <= begun - deadline <= LATE_MS


async def test_a_corrupt_state_backs_off_is_seen_and_delays_nobody(tmp_path: Path) -> None:
    """An actor whose cell cannot be read keeps its wake-up, with back-off, and shows in log and health."""
    async with world(tmp_path) as (service, client, backend):
        await client.create("broken", duration=600)
        await service.end()
        _corrupt(service, tmp_path, "broken")
        await service.start()
        status, body = await client.create("fine", duration=SOON)
        assert status == 201
        deadline = datetime.fromisoformat(body["data"]["expires_at"]).timestamp() * 1000
        begun = await until(lambda: first_call_ms(backend, "vm-fine"), "the call for fine")
        assert 0 <= begun - deadline <= LATE_MS
        assert (await client.get("broken"))[0] == 500
        _, health = await client.call("GET", "/health")
        assert health["status"] == "healthy"
        assert any("cannot be delivered: 1" in problem for problem in health["problems"])
        assert "SessionManager/broken could not be delivered" in service.log()
        with closing(sqlite3.connect(tmp_path / "data" / "labsessions.db")) as database:
            due_ms, deferrals = database.execute(
                "SELECT due_ms, deferrals FROM actor_cells WHERE name = 'broken'"
            ).fetchone()
        assert due_ms is not None
        assert deferrals >= 1


def _corrupt(service: Process, folder: Path, user: str) -> None:
    """Spoil the user's cell and make its wake-up due, while the service is down."""
    assert service.url
    with closing(sqlite3.connect(folder / "data" / "labsessions.db")) as database, database:
        database.execute("UPDATE actor_cells SET cell = x'00ff', due_ms = 1 WHERE name = ?", (user,))
