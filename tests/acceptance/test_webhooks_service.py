"""Webhooks of the real process, over real sockets: what a receiver gets, through crashes and an operator's word."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from processes import ROOT, Backend, Client, Process, until, world
from webhook_receiver import SECRET, Receiver, webhook_receiver

ADMIN = "/api/v1/admin/webhooks"
SOON = 0.005  # minutes: 300 ms
PAGE = ROOT / "labsessions" / "docs" / "webhooks.md"


def config(folder: Path, url: str, more: str = "") -> str:
    """A config file with an endpoint at this address."""
    path = folder / "hooks.toml"
    path.write_text(f'[[webhooks]]\nname = "ops"\nurl = "{url}"\n{more}', "utf-8")
    return str(path)


@asynccontextmanager
async def hooked(folder: Path, more: str = "", **env: str) -> AsyncIterator[tuple[Process, Client, Backend, Receiver]]:
    """A world with an endpoint, whose secret is in a file."""
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n", "utf-8")
    async with (
        webhook_receiver() as receiver,
        world(folder, "--config", config(folder, receiver.url, more), WEBHOOK_OPS_SECRET_FILE=str(secret), **env) as (
            service,
            client,
            backend,
        ),
    ):
        yield service, client, backend, receiver


async def standing(client: Client) -> dict[str, Any]:
    """As operators see the endpoint."""
    status, body = await client.call("GET", ADMIN)
    assert status == 200
    shown: dict[str, Any] = body["data"]["endpoints"][0]
    return shown


async def test_a_life_is_told_signed_and_in_order(tmp_path: Path) -> None:
    """Made, failed, cleaned; deleted: verified by the library, each once, and nobody's else."""
    env = {"LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS": "1", "LABSESSIONS_BACKEND__QUICK_RETRIES": "0"}
    async with hooked(tmp_path, **env) as (service, client, backend, receiver):
        await backend.fault(kind="status", status=500, route="delete", lab_request_id="vm-alice", times=1)
        await client.create("bob")
        await client.delete("bob")
        await client.create("alice", duration=SOON)
        await until(lambda: client.gone("alice"), "alice to be gone")

        async def all_there() -> bool:
            return len(receiver.received) >= 5

        await until(all_there, "the last event")
        assert [event for event in receiver.events() if event[1] == "bob"] == [
            ("session.created", "bob"),
            ("session.deleted", "bob"),
        ]
        assert [event for event in receiver.events() if event[1] == "alice"] == [
            *(("session.created", "alice"), ("session.cleanup_failed", "alice"), ("session.cleaned", "alice")),
        ]
        numbers = [each.event["data"]["seq"] for each in receiver.received]
        assert numbers == sorted(set(numbers))
        shown = await standing(client)
        assert (shown["state"], shown["lag"], shown["dead_letters"]) == ("active", 0, 0)
        assert shown["url"].endswith("/…")
        assert "k3y" not in service.log()


@pytest.mark.slow
async def test_through_a_crash_and_an_endpoint_that_is_down(tmp_path: Path) -> None:
    """Killed while a call is unanswered: it comes again, the same but for its signature; nothing is missing."""
    async with hooked(tmp_path, "timeout_seconds = 1\n") as (service, client, _, receiver):
        receiver.hangs = True
        await client.create("alice")

        async def called() -> bool:
            return bool(receiver.received)

        await until(called, "the first call")
        await client.create("bob")
        await service.kill()
        receiver.hangs = False
        receiver.answers = [lambda: web.Response(status=503, headers={"Retry-After": "1"})]
        await service.start()
        await client.create("carol")

        async def all_there() -> bool:
            return ("session.created", "carol") in receiver.events()

        await until(all_there, "the last event", 60)
        ids = [each.id for each in receiver.received]
        bodies = {
            each.id: {other.body for other in receiver.received if other.id == each.id} for each in receiver.received
        }
        assert ids.count(ids[0]) >= 3  # hung, refused, accepted
        assert all(len(each) == 1 for each in bodies.values())
        assert list(dict.fromkeys(receiver.events())) == [
            ("session.created", user) for user in ("alice", "bob", "carol")
        ]


@pytest.mark.slow
async def test_gone_dead_and_back_by_an_operators_word(tmp_path: Path) -> None:
    """A 410 shows in health and over a restart; enabling, and a replay from the beginning, bring everything."""
    async with hooked(tmp_path) as (service, client, _, receiver):
        receiver.answers = [lambda: web.Response(status=410)]
        await client.create("alice")

        async def disabled() -> bool:
            return bool((await standing(client))["state"] == "disabled")

        await until(disabled, "the endpoint to be disabled")
        problem = "the webhook ops is disabled: its endpoint wants no more (HTTP 410)"
        status, health = await client.call("GET", "/health/ready")
        assert (status, problem in health["problems"]) == (200, True)
        await service.restart()
        assert (await client.call("POST", f"{ADMIN}/ops/replay", {"from_seq": 1}))[0] == 409
        assert (await client.call("POST", f"{ADMIN}/ops/enable"))[0] == 200

        async def sent(times: int) -> bool:
            return len(receiver.received) >= times

        await until(lambda: sent(2), "the event that was not accepted")
        status, begun = await client.call("POST", f"{ADMIN}/ops/replay", {"from_seq": 1})
        assert (status, begun["data"]) == (200, {"from_seq": 1, "events": 1, "dead_letters": 0})
        await until(lambda: sent(3), "the replay")
        assert {each.id for each in receiver.received} == {receiver.received[0].id}
        assert "[Webhooks] ❌ Endpoint disabled" in service.log()


@pytest.mark.slow
async def test_a_stop_is_not_held_up(tmp_path: Path) -> None:
    """By an endpoint that hangs: within the time that a stop may take, exit status 0."""
    async with hooked(tmp_path, "timeout_seconds = 60\n") as (service, client, _, receiver):
        receiver.hangs = True
        await client.create("alice")

        async def called() -> bool:
            return bool(receiver.received)

        await until(called, "the call")
        assert await service.end() == 0


async def test_an_unsigned_endpoint_is_refused_at_the_start(tmp_path: Path) -> None:
    """Exit status 2, with the name of the variable."""
    service = Process(tmp_path, "refused", "--port", "0", "--config", config(tmp_path, "https://hooks.test/k3y"))
    await service.launch()
    assert await service.exit_status() == 2
    assert "ops needs its secret: set WEBHOOK_OPS_SECRET" in service.log()
    assert "k3y" not in service.log()


async def test_http_to_another_machine_is_warned_of(tmp_path: Path) -> None:
    """At the start; not for a loopback address."""
    path = tmp_path / "hooks.toml"
    sections = [
        f'[[webhooks]]\nname = "{name}"\nurl = "{url}"\n'
        for name, url in (("far", "http://192.0.2.1/"), ("near", "http://127.0.0.1:1/"), ("safe", "https://192.0.2.1/"))
    ]
    path.write_text("".join(sections), "utf-8")
    secrets = {f"WEBHOOK_{name}_SECRET": SECRET for name in ("FAR", "NEAR", "SAFE")}
    service = Process(tmp_path, "service", "--port", "0", "--config", str(path), **secrets)
    try:
        await service.start()
    finally:
        await service.end()
    assert re.findall(r"the webhook (\w+) is not https", service.log()) == ["far"]


async def test_the_receiver_of_the_page_works(tmp_path: Path) -> None:
    """As it stands there: it takes what we send, once, and refuses what is not signed."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    script = tmp_path / "receiver.py"
    script.write_text(source, "utf-8")
    async with webhook_receiver() as unused:
        port = unused.url.split(":")[2].split("/")[0]  # free once it is closed
    environ = {**os.environ, "WEBHOOK_ON_CALL_SECRET": SECRET, "PORT": port}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with world(
            tmp_path, "--config", config(tmp_path, f"http://127.0.0.1:{port}/labs"), WEBHOOK_OPS_SECRET=SECRET
        ) as (_, client, _):
            await client.create("ada")
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line == b"session.created ada\n"
    finally:
        process.terminate()
        await process.wait()
