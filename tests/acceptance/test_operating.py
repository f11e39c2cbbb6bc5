"""The real process in the hands of an operator: a pause over a SIGKILL, an end, a retry, and what is given up."""

from pathlib import Path
from typing import Any

from processes import Client, until, world

ADMIN = "/api/v1/admin"


async def act(client: Client, path: str, **body: Any) -> Any:
    """What an action answers, which must be 200."""
    status, answer = await client.call("POST", f"{ADMIN}{path}", body)
    assert status == 200, answer
    return answer["data"]


async def outcomes(client: Client) -> list[tuple[str, str | None, str]]:
    """The audit, the oldest first: what, whom, how it went."""
    _, answer = await client.call("GET", f"{ADMIN}/audit")
    return [(entry["action"], entry["user_id"], entry["outcome"]) for entry in reversed(answer["data"]["entries"])]


async def test_a_pause_outlives_a_kill(tmp_path: Path) -> None:
    """Nothing is asked of the backend while it is on, whatever happens to the process; then the cleanup comes."""
    async with world(tmp_path) as (service, client, backend):
        await act(client, "/pause", minutes=60, reason="the backend moves")
        await client.create("ada")
        await client.create("bob")
        ended = await act(client, "/sessions/ada/end", reason="course over")
        assert (ended["status"], ended["attempts"]) == ("cleaning", 0)
        await service.restart()
        _, ready = await client.call("GET", "/health/ready")
        assert ready["ready"]
        assert ready["paused"]["reason"] == "the backend moves"
        assert "wake-ups are still paused by operator" in service.log()
        _, answer = await client.get("ada")
        assert answer["data"]["attempts"] == 0
        assert await backend.calls() == []
        assert await act(client, "/resume") == {"paused": None}
        await until(lambda: client.gone("ada"), "ada's session to be cleaned up")
        assert [call["lab_request_id"] for call in await backend.calls("delete")] == ["vm-ada"]
        _, last = await client.call("GET", "/api/v1/labs/sessions/user/ada/last")
        assert last["data"]["reason"] == "ended_by_operator"
        assert (await client.get("bob"))[0] == 200
        assert await outcomes(client) == [
            ("pause", None, "done"),
            ("end", "ada", "done"),
            ("resume", None, "done"),
        ]


async def test_a_retry_and_what_is_given_up(tmp_path: Path) -> None:
    """A backend that is down: another attempt comes when it is wanted; what is forgotten is asked for no more."""
    async with world(tmp_path) as (service, client, backend):
        await backend.fault(kind="status", status=500, route="delete")
        for user in ("ada", "bob", "eve"):
            await client.create(user)
            await act(client, f"/sessions/{user}/end")

        async def have_failed() -> bool:
            answers = [await client.get(user) for user in ("ada", "bob", "eve")]
            return all(answer["data"].get("last_error") for _, answer in answers)

        await until(have_failed, "three attempts to fail")
        counted = await act(client, "/retry", dry_run=True, error="HTTP 500")
        assert (counted["matched"], counted["retried"]) == (3, 0)
        forgotten = await act(client, "/sessions/eve/forget", reason="deleted at the provider")
        assert forgotten == {"user_id": "eve", "session_ids": forgotten["session_ids"], "vms": ["vm-eve"]}
        assert await client.gone("eve")
        assert "[SessionManager] ⚠️ Session forgotten, its VMs may still run" in service.log()
        status, answer = await client.call("POST", f"{ADMIN}/retry", {"dry_run": False, "expected": 3})
        assert (status, answer["code"]) == (409, "count_changed")
        await backend.heal()
        calls_for_eve = len(await backend.calls("delete", "vm-eve"))
        assert (await act(client, "/sessions/ada/retry"))["vms"] == ["vm-ada"]
        await until(lambda: client.gone("ada"), "ada's session to be cleaned up")
        assert (await act(client, "/retry", dry_run=False, expected=1))["retried"] == 1
        await until(lambda: client.gone("bob"), "bob's session to be cleaned up")
        await service.restart()
        assert await client.gone("eve")
        assert len(await backend.calls("delete", "vm-eve")) == calls_for_eve
        assert await outcomes(client) == [
            *(("end", user, "done") for user in ("ada", "bob", "eve")),
            ("forget", "eve", "done"),
            ("retry_many", None, "count_changed"),
            ("retry", "ada", "done"),
            ("retry_many", None, "begun"),
            ("retry_many", None, "done"),
        ]
