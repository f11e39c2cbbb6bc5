"""Operators' commands as processes against the real service and its backend."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from commands import command
from processes import INHERITED, ROOT, Backend, Client, Process, until, world

ADMIN = "admin-token-of-this-test"
PLATFORM = "platform-token-of-this-test"
LIST = {"LABSESSIONS_BACKEND__LIST_PATH": "/api/v1/labs"}


@asynccontextmanager
async def operated(folder: Path, **env: str) -> AsyncIterator[tuple[Process, Client, Backend]]:
    """A service that knows an operator by its token."""
    tokens = {"ADMIN_TOKEN": ADMIN, "API_TOKEN": PLATFORM}
    async with (
        world(folder, **tokens, **env) as (service, _, backend),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {PLATFORM}"}) as http,
    ):
        yield service, Client(http, service), backend


async def operate(folder: Path, service: Process, *arguments: str) -> tuple[int, str]:
    """Run a command as the operator; exit status, and all that was printed."""
    return await command(folder, *arguments, LABSESSIONS_URL=service.url, ADMIN_TOKEN=ADMIN)


def vm(name: str, **age: float) -> dict[str, str]:
    """A VM on the backend's list."""
    created = datetime.now(UTC) - timedelta(**age)
    return {"lab_request_id": name, "created_at": created.isoformat()}


async def put_vms(backend: Backend, *vms: dict[str, str]) -> None:
    """Put them on the backend's list."""
    async with aiohttp.ClientSession() as http, http.post(f"{backend.url}/__vms", json=vms) as answer:
        assert answer.status == 200


@pytest.mark.slow
async def test_orphans_are_found_and_swept_and_no_other_vm_is(tmp_path: Path) -> None:
    """A running session's VMs, a young VM and one of unknown age stay; the service's log says who did it."""
    async with operated(tmp_path, **LIST) as (service, client, backend):
        await client.create("ann")
        await put_vms(
            backend,
            *(vm("vm-ann", hours=3), vm("vm-left", hours=2), vm("vm-new", minutes=30), {"lab_request_id": "vm-odd"}),
        )
        status, said = await operate(tmp_path, service, "orphans", "--json")
        found = json.loads(said)
        assert (status, found["listed"], found["known"]) == (1, 4, 1)
        assert [each["lab_request_id"] for each in found["orphans"]] == ["vm-left", "vm-new", "vm-odd"]
        status, said = await operate(tmp_path, service, "orphans", "--sweep", "--yes")
        assert (status, said.splitlines()[-1]) == (0, "1 deleted, 0 failed, of 1")
        assert [call["lab_request_id"] for call in await backend.calls("delete")] == ["vm-left"]
        assert "[Orphans] ✅ VM deleted" in service.log()
        await backend.fault(kind="status", status=503, route="list")
        status, said = await operate(tmp_path, service, "orphans")
        assert (status, "HTTP 503" in said) == (1, True)


@pytest.mark.slow
async def test_a_service_without_a_list_says_which_setting_is_missing(tmp_path: Path) -> None:
    """And a wrong token is a matter of settings, too; a service that has stopped doesn't answer."""
    async with operated(tmp_path) as (service, _, _):
        status, said = await operate(tmp_path, service, "orphans")
        assert (status, "backend.list_path" in said) == (1, True)
        status, said = await command(tmp_path, "orphans", LABSESSIONS_URL=service.url, ADMIN_TOKEN=PLATFORM)
        assert (status, "not an operator's" in said) == (2, True)
    status, said = await operate(tmp_path, service, "orphans")
    assert (status, "is the service running?" in said) == (3, True)


@pytest.mark.slow
async def test_the_log_is_followed_over_a_restart(tmp_path: Path) -> None:
    """Lines of before and after, each an object without a secret; stdout has nothing else."""
    async with operated(tmp_path) as (service, client, _):
        inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
        tail = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "run.py"), "tail", "--json", "--event", "session created", "--lines", "2"),
            *("--url", f"{service.url}"),
            env={**inherited, "ADMIN_TOKEN": ADMIN},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert tail.stdout is not None
        assert tail.stderr is not None
        first = await _until_told(tail.stdout, client, "before")
        await service.end()
        # At the same address, as a supervisor would start it; the data is the same, too.
        port = service.url.rpartition(":")[2]
        again = Process(tmp_path, "again", "serve", "--port", port, "--data-dir", str(tmp_path / "data"), **service.env)
        await again.start()
        try:
            second = await _until_told(tail.stdout, client, "after")
            assert await asyncio.wait_for(tail.wait(), 30) == 0
            assert b"connected again" in await tail.stderr.read()
        finally:
            await again.end()
    assert (first["user"][:6], second["user"][:5]) == ("before", "after")
    assert ADMIN not in json.dumps([first, second])


async def _until_told(stdout: asyncio.StreamReader, client: Client, user: str) -> dict[str, Any]:
    """Create sessions until one of them is told of: nobody knows when the follower is there."""
    line = asyncio.ensure_future(stdout.readline())
    number = 0

    async def told() -> bool:
        nonlocal number
        number += 1
        await client.create(f"{user}-{number}")
        await asyncio.wait([line], timeout=0.2)
        return line.done()

    await until(told, f"a line about {user}")
    return dict(json.loads(line.result()))


async def test_check_config_says_what_serve_would_say(tmp_path: Path) -> None:
    """The same words for the same faults; and what it calls valid, starts."""
    status, said = await command(tmp_path, "check-config", LABSESSIONS_PORT="70000")
    refused, words = await command(tmp_path, "serve", LABSESSIONS_PORT="70000")
    assert (status, refused) == (2, 2)
    assert said.strip() in words
