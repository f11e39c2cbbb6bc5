"""How the process starts, and how it refuses to: CONTRACT §5."""

import json
import socket
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from processes import Process, world

CANNOT_START = 2


async def refused(folder: Path, *arguments: str, **env: str) -> str:
    """Start it, expect exit status 2, and return what it said."""
    service = Process(folder, "refused", *arguments, **env)
    await service.launch()
    assert await service.exit_status() == CANNOT_START, service.log()
    return service.log()


async def test_it_serves_by_default_and_says_where_in_the_first_line(tmp_path: Path) -> None:
    """`run.py` without a command serves; the address in use stands in the first log line and in the ready file."""
    service = Process(tmp_path, "service", "--port", "0")
    try:
        await service.start()
        first = json.loads(service.log().splitlines()[0])
        assert first["address"] == service.url
        assert first["address"].startswith("http://127.0.0.1:")
        assert (tmp_path / "data" / "labsessions.db").exists()
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    finally:
        assert await service.end() == 0


async def test_a_second_process_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    """One process per data directory; the first one is not disturbed."""
    async with world(tmp_path) as (_, client, _backend):
        said = await refused(tmp_path, "serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
        assert "in use by another process" in said
        assert (await client.create("alice"))[0] == 201


async def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    """One message with all faults, from flags, environment and file alike, and no traceback."""
    config = tmp_path / "wrong.toml"
    config.write_text("[cleanup]\nstuck_after_attempts = 0\nunknown = 1\n")
    said = await refused(
        tmp_path,
        "--config",
        str(config),
        "--port",
        "70000",
        LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS="soon",
        BACKEND_API_URL="ftp://x",
    )
    for fault in ("port", "stuck_after_attempts", "unknown", "RETRY_INTERVAL_SECONDS", "BACKEND_API_URL"):
        assert fault.lower() in said.lower()
    assert "Traceback" not in said


@pytest.mark.slow
async def test_other_machines_are_served_only_with_a_token(tmp_path: Path) -> None:
    """Without any credential only loopback addresses; `--insecure` is the deliberate exception."""
    assert "API_TOKEN" in await refused(tmp_path, "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - that is refused
    issued = {"LABSESSIONS_JWT__ISSUER": "https://id.test/", "LABSESSIONS_JWT__AUDIENCE": "labs"}
    for allowed in (
        {"API_TOKEN": "secret-1,secret-2"},
        {"ADMIN_TOKEN": "secret-1,secret-2"},
        {"JWT_HS256_KEY": "secret-1" * 4} | issued,
        {"LABSESSIONS_INSECURE": "true"},
    ):
        service = Process(tmp_path, "service", "--host", "0.0.0.0", "--port", "0", **allowed)  # noqa: S104
        try:
            await service.start()
            assert "secret-1" not in service.log()
        finally:
            await service.end()


async def test_tokens_guard_the_api(tmp_path: Path) -> None:
    """Any of the tokens opens the API, none or a wrong one gets 401, health needs none."""
    async with world(tmp_path, API_TOKEN="old-secret, new-secret") as (service, client, _):
        assert (await client.get("alice"))[0] == 401
        assert (await client.call("GET", "/health"))[0] == 200
        async with aiohttp.ClientSession() as http:
            for token, status in (("old-secret", 404), ("new-secret", 404), ("old-secret, new-secret", 401)):
                url = f"{service.url}/api/v1/labs/sessions/user/alice"
                async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
                    assert response.status == status
        assert "-secret" not in service.log()


async def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    """The message names the address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1 port {port}" in await refused(tmp_path, "--port", str(port))


async def test_a_file_of_a_newer_release_or_of_something_else_is_refused(tmp_path: Path) -> None:
    """It is not touched, and the message says what to do."""
    async with world(tmp_path) as (service, _, _backend):
        await service.end()
    database = tmp_path / "data" / "labsessions.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE schema_versions SET version = 99 WHERE component = 'labsessions'")
    assert "written by a newer release" in await refused(tmp_path, "--port", "0")
    for file in (tmp_path / "data").glob("labsessions.db*"):
        file.unlink()
    database.write_text("a shopping list " * 100)
    assert "cannot be used as the database" in await refused(tmp_path, "--port", "0")
    assert database.read_text().startswith("a shopping list")
