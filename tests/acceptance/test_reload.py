"""The real process at SIGHUP: what is new counts at once, a fault changes nothing, and no request is lost."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
from commands import command
from processes import SESSION, Process, lab_body, until

SOON = 0.005  # minutes: 300 ms


class Reloading:
    """A service whose config file and secrets a test changes."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "labsessions.toml"
        self.config.write_text("", "utf-8")
        arguments = ("serve", "--port", "0", "--data-dir", str(self.data), "--config", str(self.config))
        self.process = Process(folder, "service", *arguments, **env)

    async def __aenter__(self) -> Self:
        await self.process.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert await self.process.end() == 0

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines with this event."""
        lines = [json.loads(line) for line in self.process.log().splitlines()]
        return [line for line in lines if line["event"].startswith(event)]

    def readings(self) -> list[dict[str, Any]]:
        """What has come of each SIGHUP so far."""
        return [*self.lines("settings are reloaded"), *self.lines("settings are not reloaded")]

    async def reload(self, config: str) -> dict[str, Any]:
        """Write the file, send SIGHUP, and return the line that says what came of it."""
        self.config.write_text(config, "utf-8")
        return await self.reload_by(lambda: self.process.send(signal.SIGHUP))

    async def reload_by(self, ask: Any) -> dict[str, Any]:
        """The same, asked for in another way."""
        before = self.readings()

        async def after() -> list[dict[str, Any]]:
            return [line for line in self.readings() if line not in before]

        if (asked := ask()) is not None:
            await asked
        return dict((await until(after, "the settings to be read"))[-1])

    async def status(self, token: str, method: str = "GET", path: str = f"{SESSION}/user/ada", body: Any = None) -> int:
        """Of an answer."""
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, self.process.url + path, json=body, headers=headers) as answer,
        ):
            return answer.status

    async def store(self, name: str, value: str) -> str:
        """`secrets set`; what it printed."""
        status, said = await command(self.folder, "secrets", "set", name, "--data-dir", str(self.data), stdin=value)
        assert status == 0, said
        assert "the running service (process " in said
        assert value not in said
        return said


async def test_limits_are_taken_over(tmp_path: Path) -> None:
    """The line names them; the rate of requests, the origins and the log's level are seen to have changed."""
    async with Reloading(tmp_path, API_TOKEN="t") as service:
        line = await service.reload("[api]\nrate_per_second = 0.001\nrate_burst = 1\n[cleanup]\nconcurrency = 5")
        assert line["changed"] == ["api.rate_per_second", "api.rate_burst", "cleanup.concurrency"]
        assert [await service.status("t") for _ in range(2)] == [404, 429]
        line = await service.reload('[api]\ncors_origins = ["https://a.test"]\n[cleanup]\nconcurrency = 5')
        assert sorted(line["changed"]) == ["api.cors_origins", "api.rate_burst", "api.rate_per_second"]
        assert await service.status("t") == 404
        async with aiohttp.ClientSession() as http, http.get(service.process.url + "/health") as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
        refused = len(service.lines("[Handler] ⚠️ Request refused"))
        assert refused > 0
        await service.reload('[log]\nlevel = "info"')
        service.config.write_text('[log]\nlevel = "critical"', "utf-8")
        service.process.send(signal.SIGHUP)

        async def silent() -> bool:
            before = len(service.lines("[Handler] ⚠️ Request refused"))
            await service.status("t")
            return len(service.lines("[Handler] ⚠️ Request refused")) == before

        await until(silent, "the log to fall silent")


async def test_a_fault_changes_nothing(tmp_path: Path) -> None:
    """Neither what is faulty nor what is right beside it; one error line names the field, and no secret."""
    async with Reloading(tmp_path, API_TOKEN="t-s3cret") as service:
        line = await service.reload("[api]\nrate_per_second = 0.001\nrate_burst = 1\n[cleanup]\nconcurrency = 0")
        assert line["level"] == "error"
        (fault,) = line["faults"]
        assert fault.startswith(f"cleanup.concurrency = 0 from {service.config}: ")
        assert [await service.status("t-s3cret") for _ in range(3)] == [404, 404, 404]
        (service.data / "secrets").mkdir()
        (service.data / "secrets" / "ADMIN_TOKEN").write_text("t-s3cret")
        line = await service.reload("")
        assert line["faults"] == [
            f"ADMIN_TOKEN from {service.data / 'secrets' / 'ADMIN_TOKEN'}: must be another token than API_TOKEN"
        ]
        assert "s3cret" not in service.process.log()


async def test_what_needs_a_restart_is_named(tmp_path: Path) -> None:
    """It stays as it is, and what is new beside it counts."""
    async with Reloading(tmp_path) as service:
        line = await service.reload("shutdown_seconds = 5\n[cleanup]\nstuck_after_attempts = 3\nconcurrency = 5")
        assert line["changed"] == ["cleanup.concurrency"]
        (warning,) = service.lines("settings that need a restart have changed")
        assert (warning["level"], warning["settings"]) == (
            "warning",
            ["shutdown_seconds", "cleanup.stuck_after_attempts"],
        )
        assert await service.status("") == 404


@pytest.mark.slow
async def test_tokens_are_rotated_without_a_restart(tmp_path: Path) -> None:
    """By `secrets set`: the next request, and the next call to the backend, go by the new one; sessions live on."""
    backend = Process(tmp_path, "backend", "mock-backend", "--port", "0", "--token", "backend-new")
    await backend.start()
    try:
        async with Reloading(tmp_path, LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS="0.2") as service:
            assert await service.status("guess") == 404
            for name, value in (
                ("API_TOKEN", "api-old"),
                ("BACKEND_API_TOKEN", "backend-old"),
                ("BACKEND_API_URL", backend.url),
            ):
                line = await service.reload_by(lambda name=name, value=value: service.store(name, value))
                assert line["changed"] == [name]
            assert await service.status("guess") == 401
            assert await service.status("api-old", "POST", SESSION, lab_body("ada") | {"duration": SOON}) == 201

            async def failed() -> bool:
                return bool(service.lines("[SessionManager] ❌ Cleanup failed"))

            await until(failed, "the old token to be refused by the backend")
            line = await service.reload_by(lambda: service.store("API_TOKEN", "api-old,api-new"))
            assert line["changed"] == ["API_TOKEN"]
            assert {await service.status(token) for token in ("api-old", "api-new")} <= {200, 404}
            await service.reload_by(lambda: service.store("API_TOKEN", "api-new"))
            assert await service.status("api-old") == 401
            await service.reload_by(lambda: service.store("BACKEND_API_TOKEN", "backend-new"))

            async def gone() -> bool:
                return await service.status("api-new") == 404

            await until(gone, "the cleanup with the new token")
            log = service.process.log()
            assert not any(value in log for value in ("api-old", "api-new", "backend-old", "backend-new"))
    finally:
        await backend.end()


async def test_many_at_once_and_requests_meanwhile(tmp_path: Path) -> None:
    """Each request is answered by one set of settings or the other; the last file counts."""
    async with Reloading(tmp_path) as service:
        statuses: list[int] = []
        for number in range(30):
            service.config.write_text(f"[cleanup]\nconcurrency = {number + 2}\n", "utf-8")
            service.process.send(signal.SIGHUP)
            statuses.append(await service.status(""))
        assert statuses == [404] * 30

        async def last() -> bool:
            return bool((await service.reload("[cleanup]\nconcurrency = 31\n"))["changed"] == [])

        await until(last, "the last file to be in force")


@pytest.mark.slow
async def test_each_start_is_recorded(tmp_path: Path) -> None:
    """One that was killed, one that was stopped, the one that runs; the newest first."""
    async with Reloading(tmp_path) as service:
        await service.process.restart()
        await service.process.end()
        await service.process.start()
        async with (
            aiohttp.ClientSession() as http,
            http.get(service.process.url + "/api/v1/admin/deployments") as answer,
        ):
            starts = (await answer.json())["data"]["deployments"]
        assert [(start["clean"], start["stopped_at"] is None) for start in starts] == [
            (None, True),
            (True, False),
            (False, True),
        ]
        assert len({start["pid"] for start in starts}) == 3
        assert len({start["settings_fingerprint"] for start in starts}) == 1
    with closing(sqlite3.connect(service.data / "labsessions.db")) as database:
        assert database.execute("SELECT clean FROM deployments ORDER BY seq").fetchall() == [(0,), (1,), (1,)]
