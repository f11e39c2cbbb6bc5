"""`serve --test-clock` with the real process: time that is driven, and no way for it to meet real labs."""

from pathlib import Path

import aiohttp
import pytest
from processes import Process, world

ADVANCE = "/__clock/advance"
CANNOT_START = 2


async def refused(folder: Path, *arguments: str, **env: str) -> str:
    """Start it, expect exit status 2, and return what it said."""
    service = Process(folder, "refused", "serve", "--port", "0", *arguments, **env)
    await service.launch()
    assert await service.exit_status() == CANNOT_START, service.log()
    return service.log()


async def advance(url: str, body: object) -> tuple[int, dict[str, str]]:
    """Status and body of the answer."""
    async with aiohttp.ClientSession() as http, http.post(url + ADVANCE, json=body) as answer:
        return answer.status, await answer.json()


async def test_an_hour_passes_at_once(tmp_path: Path) -> None:
    """From outside of Python: POST, and all is done that fell due; a wrong body is refused and moves nothing."""
    async with world(tmp_path, "--test-clock") as (service, client, backend):
        assert (await client.create("alice", duration=60))[0] == 201
        wrong_bodies: list[object] = [
            {},
            {"minutes": 0},
            {"minutes": "60"},
            {"minutes": True},
            {"minutes": 600_000},
            [],
        ]
        for wrong in wrong_bodies:
            status, body = await advance(service.url, wrong)
            assert status == 400, body
        assert (await advance(service.url, {"minutes": 59.99}))[0] == 200
        assert (await client.get("alice"))[0] == 200
        status, body = await advance(service.url, {"minutes": 0.01})
        assert (status, list(body)) == (200, ["now"])
        assert await client.gone("alice")
        assert [call["status"] for call in await backend.calls("delete")] == [202]


async def test_without_the_flag_there_is_no_such_route(tmp_path: Path) -> None:
    """404, as any other path that isn't there."""
    async with world(tmp_path) as (service, _, _backend):
        assert (await advance(service.url, {"minutes": 1}))[0] == 404


@pytest.mark.slow
async def test_driven_and_real_time_never_share_a_folder(tmp_path: Path) -> None:
    """Neither takes the other's, however it ended, and both say what to do; each takes its own again."""
    async with world(tmp_path) as (_, client, _backend):
        assert (await client.create("alice"))[0] == 201
    said = await refused(tmp_path, "--test-clock", "--data-dir", "data")
    assert "holds real sessions: choose a new --data-dir" in said
    driven = Process(tmp_path, "driven", "serve", "--port", "0", "--test-clock", "--data-dir", "driven")
    for _ in range(2):
        await driven.start()
        await driven.kill()
    assert "belongs to --test-clock: choose another" in await refused(tmp_path, "--data-dir", "driven")


@pytest.mark.parametrize("host", ["0.0.0.0", "example.test"])  # noqa: S104 - what is refused
async def test_no_other_machine_may_drive_time(tmp_path: Path, host: str) -> None:
    """Not even where a token would guard the API; and nothing has been made."""
    said = await refused(tmp_path, "--test-clock", "--host", host, API_TOKEN="secret-token-1")
    assert f"--test-clock: host must be a loopback address, got {host}" in said
    assert not (tmp_path / "data").exists()
