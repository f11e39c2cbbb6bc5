"""The real process against a backend that misbehaves on real sockets: every session survives, and is tried again."""

import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp.test_utils import unused_port
from processes import Client, Process, until
from unruly_backend import CONNECTION_FAULTS, FAULTS, unruly_backend

SOON = 0.005  # minutes: 300 ms
# An attempt may take half of the interval; its two calls share that.
INTERVAL = "3"


@asynccontextmanager
async def service(folder: Path, url: str, **env: str) -> AsyncIterator[tuple[Process, Client]]:
    """The service with this backend, tried again every three seconds."""
    process = Process(
        folder,
        "service",
        "--port",
        "0",
        "--data-dir",
        str(folder / "data"),
        BACKEND_API_URL=url,
        BACKEND_API_TOKEN="test-token",
        LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS=INTERVAL,
        **env,
    )
    async with aiohttp.ClientSession() as http:
        try:
            await process.start()
            yield process, Client(http, process)
        finally:
            await process.end()


async def failed(client: Client, user: str, attempts: int) -> str | None:
    """The error of the last attempt that failed, once that many have been begun."""
    status, body = await client.get(user)
    assert status == 200, f"the session of {user} is lost"
    data = body["data"]
    return data.get("last_error") if data.get("attempts", 0) >= attempts else None


def history(folder: Path) -> dict[str, tuple[str, int]]:
    """End reason and attempts of each session that has ended, by user."""
    with closing(sqlite3.connect(folder / "data" / "labsessions.db")) as database:
        rows = database.execute("SELECT user_id, end_reason, attempts FROM session_history")
        return {user: (reason, attempts) for user, reason, attempts in rows}


async def survives(client: Client, user: str, error: str) -> None:
    """An attempt fails for this reason, the next one is begun, and the session is still there."""
    for attempt in (1, 2):
        said = await until(lambda attempt=attempt: failed(client, user, attempt), f"attempt {attempt} for {user}")  # type: ignore[misc]
        assert error in said
        assert "test-token" not in said


@pytest.mark.slow
async def test_every_fault_of_an_answer_is_survived_and_tried_again(tmp_path: Path) -> None:
    """A fault is a failed attempt that names it, tried again until it is over; a 2xx confirms whatever its body is."""
    users = {f"user-{number}": fault for number, fault in enumerate(FAULTS)}
    async with unruly_backend() as backend, service(tmp_path, f"http://127.0.0.1:{backend.port}") as (_, client):
        for user, fault in users.items():
            assert (await client.create(user, duration=SOON, lab_request_id=fault))[0] == 201
        for user, fault in users.items():
            error = FAULTS[fault].error
            if error is None:
                await until(lambda user=user: client.gone(user), f"the end of {user}: {fault}")  # type: ignore[misc]
            else:
                await survives(client, user, error)
        backend.healed = True
        for user, fault in users.items():
            await until(lambda user=user: client.gone(user), f"the cleanup of {user}: {fault}")  # type: ignore[misc]
        ended = history(tmp_path)
        for user, fault in users.items():
            reason, attempts = ended[user]
            assert reason == "expired"
            if FAULTS[fault].error is None:
                assert (attempts, backend.asked[fault]) == (1, 1), fault
            else:
                assert attempts >= 2
                assert fault in backend.deleted
        assert backend.elsewhere == [], "a redirect was followed"


@pytest.mark.slow
async def test_a_refused_connection_is_survived_and_tried_again(tmp_path: Path) -> None:
    """Nobody listens: the session stays until somebody does."""
    port = unused_port()
    async with service(tmp_path, f"http://127.0.0.1:{port}") as (_, client):
        assert (await client.create("alice", duration=SOON))[0] == 201
        await survives(client, "alice", CONNECTION_FAULTS["refused"])
        async with unruly_backend(port) as backend:
            await until(lambda: client.gone("alice"), "the cleanup")
            assert backend.deleted == {"vm-alice"}


@pytest.mark.slow
async def test_a_tls_error_is_survived_and_tried_again(tmp_path: Path) -> None:
    """A certificate that nobody vouches for: no call is made, until there is one that is trusted."""
    port, trusted = unused_port(), trustme.CA()
    trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with service(tmp_path, f"https://127.0.0.1:{port}", SSL_CERT_FILE=str(tmp_path / "ca.pem")) as (_, client):
        async with unruly_backend(port, _certified(trustme.CA())) as unheard:
            assert (await client.create("alice", duration=SOON))[0] == 201
            await survives(client, "alice", CONNECTION_FAULTS["TLS error"])
            assert unheard.asked == {}
        async with unruly_backend(port, _certified(trusted)) as backend:
            await until(lambda: client.gone("alice"), "the cleanup")
            assert backend.deleted == {"vm-alice"}


def _certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context
