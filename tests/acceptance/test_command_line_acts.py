"""An operator's day at the command line: look, act, and find it all in the audit – against the real service."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from processes import Backend, Client, Process, until
from test_command_line import operate, operated, put_vms, vm

# An attempt that fails is tried again long after the test, unless somebody wants it now.
LATER = {"LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS": "3600", "LABSESSIONS_CLEANUP__STUCK_AFTER_ATTEMPTS": "1"}


class Operator:
    """Runs commands that must succeed, and reads what they print."""

    def __init__(self, folder: Path, service: Process) -> None:
        self._folder = folder
        self._service = service

    async def does(self, *arguments: str, status: int = 0) -> str:
        """What is printed."""
        ended, said = await operate(self._folder, self._service, *arguments)
        assert ended == status, said
        return said

    async def sees(self, *arguments: str) -> Any:
        """The document."""
        return json.loads(await self.does(*arguments, "--json"))


async def stuck(client: Client, backend: Backend, operator: Operator, *users: str) -> None:
    """Sessions of these users whose first attempt has failed."""
    for user in users:
        await backend.fault(kind="status", status=503, route="delete", lab_request_id=f"vm-{user}")
        await client.create(user, duration=0.001)

    async def all_stuck() -> bool:
        found = await operator.sees("sessions", "--status", "stuck")
        return len(found["sessions"]) == len(users)

    await until(all_stuck, "sessions to be stuck")


@pytest.mark.slow
async def test_what_an_operator_does_shows_and_is_audited(tmp_path: Path) -> None:
    """Each command does to the service what it says; the audit has all of it, refusals too, by name."""
    async with operated(tmp_path, **LATER) as (service, client, backend):
        operator = Operator(tmp_path, service)
        for user in ("ann", "eve"):
            await client.create(user)
        await stuck(client, backend, operator, "bob", "kim", "lee")

        listed = await operator.does("sessions", "--order", "user_id")
        words = {line.split()[0]: line.split() for line in listed.splitlines()}
        assert ("ACTIVE" in words["ann"], "EXPIRED" in words["bob"], "stuck" in words["bob"]) == (True, True, True)
        assert len((await operator.sees("sessions", "--all"))["sessions"]) == 5
        shown = await operator.sees("show", "bob")
        assert shown["session"]["status"] == "stuck"
        assert "session.stuck" in [event["type"] for event in shown["events"]]
        assert "nothing is known" in await operator.does("show", "nobody", status=1)

        before = (await operator.sees("show", "ann"))["session"]["expires_at"]
        assert "30m 0s later" in await operator.does("extend", "ann", "--minutes", "30", "--reason", "exam")
        assert before != (await operator.sees("show", "ann"))["session"]["expires_at"]
        assert "being cleaned up" in await operator.does("extend", "bob", "--minutes", "1", status=1)

        assert "paused until" in await operator.does("pause", "--minutes", "5", "--reason", "backend is moved")
        await operator.does("end", "eve", "--yes")
        await backend.heal()
        calls = len(await backend.calls())
        assert "3 of 3 are due now" in await operator.does("retry", "--all-stuck", "--yes")
        assert (await client.get("eve"))[0] == 200  # all of it waits
        assert len(await backend.calls()) == calls
        assert "not paused" in await operator.does("resume")

        async def cleaned() -> bool:
            return len((await operator.sees("sessions"))["sessions"]) == 1

        await until(cleaned, "what was due to be cleaned up")
        rows = list(csv.DictReader(io.StringIO(await operator.does("history", "--csv", "--all"), newline="")))
        assert {row["user_id"]: row["reason"] for row in rows} == {
            "eve": "ended_by_operator",
            **dict.fromkeys(("bob", "kim", "lee"), "expired"),
        }
        forgotten = await operator.does("forget", "ann", "--reason", "gone by hand", "--yes")
        assert "vm-ann" in forgotten
        assert (await client.get("ann"))[0] == 404

        entries = (await operator.sees("audit", "--all"))["entries"]
        done = [(entry["action"], entry["user_id"], entry["outcome"]) for entry in reversed(entries)]
        assert ("extend", "ann", "done") in done
        assert ("extend", "bob", "being_cleaned") in done
        assert ("end", "eve", "done") in done
        assert ("forget", "ann", "done") in done
        assert [action for action, _, outcome in done if outcome == "done" and action != "retry_many"][-1] == "forget"
        assert {"pause", "resume", "retry_many"} <= {action for action, _, _ in done}


@pytest.mark.slow
async def test_a_sweep_waits_for_the_end_of_a_pause_and_is_audited(tmp_path: Path) -> None:
    """What holds cleanups back holds a sweep back; with its reason it stands in the audit, before and after."""
    async with operated(tmp_path, LABSESSIONS_BACKEND__LIST_PATH="/api/v1/labs") as (service, client, backend):
        operator = Operator(tmp_path, service)
        await client.create("ann")
        await put_vms(backend, vm("vm-ann", hours=2), vm("vm-left", hours=2))
        await operator.does("pause", "--minutes", "5", "--reason", "backend is moved")
        assert "cleanups are paused" in await operator.does("orphans", "--sweep", "--yes", status=1)
        await operator.does("resume")
        await operator.does("orphans", "--sweep", "--yes", "--reason", "leaked")
        assert [call["lab_request_id"] for call in await backend.calls("delete")] == ["vm-left"]
        entries = (await operator.sees("audit"))["entries"]
        swept = [entry for entry in reversed(entries) if entry["action"] == "sweep_orphans"]
        assert [entry["outcome"] for entry in swept] == ["begun", "sweep_held", "begun", "done"]
        assert (swept[-1]["reason"], swept[-1]["detail"]["deleted"]) == ("leaked", ["vm-left"])
