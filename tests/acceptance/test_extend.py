"""More and less time on the real process: what was answered is what happens to the VMs."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from processes import Backend, Client, until, world

from labsessions import log_lines as lines

SOON = 0.005  # minutes: 300 ms
TABS = 40


def instant_ms(text: str) -> float:
    """Milliseconds since 1970."""
    return datetime.fromisoformat(text).timestamp() * 1000


async def extend_at(client: Client, user: str, seconds: float) -> tuple[int, Any]:
    """Ask for half a second more after a while."""
    await asyncio.sleep(seconds)
    return await client.extend(user, minutes=0.01)


async def first_deletion_ms(backend: Backend, vm: str) -> float:
    """When the backend was first asked to delete it."""
    return float((await backend.calls("delete", vm))[0]["at_ms"])


async def test_a_lab_is_extended_shortened_and_ends_when_its_user_was_told(tmp_path: Path) -> None:
    """Up to the limit and no further; a lab in its cleanup stays as it is; extra time per person; the log lines."""
    async with world(tmp_path, LABSESSIONS_API__MAX_TOTAL_MINUTES="120") as (service, client, backend):
        status, created = await client.create("alice", duration=SOON)
        assert status == 201
        assert created["data"]["extendable"] is True
        status, body = await client.extend("alice", minutes=600)
        assert (status, body["data"]["duration"]) == (200, 120)
        assert body["data"]["extension"] == {"granted_seconds": 7199.7, "partial": True, "left_seconds": 0.0}
        assert body["data"]["expires_at"] == created["data"]["max_expires_at"]
        status, body = await client.extend("alice", minutes=1)
        assert (status, body["code"], body["why_not"]) == (409, "extension_limit_reached", "limit_reached")
        assert (await client.put("alice", duration=121))[0] == 400

        await backend.fault(kind="status", status=503, route="delete", lab_request_id="vm-bob")
        await client.create("bob", duration=SOON, time_factor=2)
        await until(lambda: backend.calls("delete", "vm-bob"), "the cleanup of a session with alice's first deadline")
        status, body = await client.extend("bob", minutes=5)
        assert (status, body["code"], body["why_not"]) == (409, "session_being_cleaned", "being_cleaned")
        _, bob = await client.get("bob")
        lasted_ms = instant_ms(bob["data"]["expires_at"]) - instant_ms(bob["data"]["created_at"])
        assert (round(lasted_ms), bob["data"]["duration"], bob["data"]["time_factor"]) == (600, 0.01, 2)
        assert await first_deletion_ms(backend, "vm-bob") >= instant_ms(bob["data"]["expires_at"])

        assert (await client.get("alice"))[1]["data"]["status"] == "active"
        assert await backend.calls("delete", "vm-alice") == []
        assert (await client.extend("alice", until="2026-01-01T00:00:00Z"))[0] == 200
        await until(lambda: client.gone("alice"), "the end that has been moved to now")
        assert (await client.extend("alice", minutes=1))[0] == 404
        assert service.log().count(lines.EXTENDED) == 2


async def test_what_is_granted_around_the_deadline_is_kept(tmp_path: Path) -> None:
    """Asked before, at and after the deadline: 200 and no call before the new one, or 409 and the cleanup."""
    async with world(tmp_path) as (_, client, backend):
        users = [f"user-{number}" for number in range(TABS)]
        created = await asyncio.gather(*(client.create(user, duration=SOON) for user in users))
        deadlines = [instant_ms(body["data"]["expires_at"]) for _, body in created]
        # A millisecond and a half from one to the next, the deadline in the middle of them.
        waits = [(SOON * 60 + (number - TABS / 2) * 0.0015) for number in range(TABS)]
        answers = await asyncio.gather(*map(extend_at, [client] * TABS, users, waits))
        for user, deadline, (status, body) in zip(users, deadlines, answers, strict=True):
            assert status in {200, 404, 409}, body
            await until(lambda user=user: client.gone(user), f"the end of {user}")  # type: ignore[misc]
            promised = instant_ms(body["data"]["expires_at"]) if status == 200 else deadline
            assert promised >= deadline
            assert await first_deletion_ms(backend, f"vm-{user}") >= promised
