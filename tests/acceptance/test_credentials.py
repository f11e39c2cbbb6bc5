"""The real process with every kind of credential, as its callers meet it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from identity_provider import AUDIENCE, ISSUER, Provider, Signer, bearer, token
from processes import SESSION, Process, lab_body

ISSUED = {"LABSESSIONS_JWT__ISSUER": ISSUER, "LABSESSIONS_JWT__AUDIENCE": AUDIENCE}
SECRET = {"JWT_HS256_KEY": "s3cret-key-of-the-identity-provider"}
FAR = 4_000_000_000  # the year 2096


class Labs:
    """A service that is running, and its callers."""

    def __init__(self, process: Process, http: aiohttp.ClientSession) -> None:
        self.process = process
        self._http = http

    async def ask(self, credential: str, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        """Status, headers and body."""
        url, headers = self.process.url + path, bearer(credential)
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            return answer.status, answer.headers, await answer.json()

    async def status(self, credential: str, method: str, path: str, body: Any = None) -> int:
        """Of the answer."""
        return (await self.ask(credential, method, path, body))[0]

    def warnings(self) -> list[str]:
        """What it warned of at its start, but for the backend that isn't there."""
        lines = [json.loads(line) for line in self.process.log().splitlines()]
        return [line["event"] for line in lines if line["level"] == "warning" and "setting" not in line]


@asynccontextmanager
async def labs(folder: Path, **env: str) -> AsyncIterator[Labs]:
    """The service with these settings."""
    process = Process(folder, "service", "--port", "0", **env)
    async with aiohttp.ClientSession() as http:
        try:
            await process.start()
            yield Labs(process, http)
        finally:
            await process.end()


async def test_a_front_end_holds_its_users_token(tmp_path: Path) -> None:
    """From the lab's start to its end with a user's token; another user and a guess get nowhere, the platform does."""
    ada, eve = token("ada", exp=FAR), token("eve", exp=FAR)
    async with labs(tmp_path, API_TOKEN="platform-token", **ISSUED, **SECRET) as service:
        assert await service.status(eve, "POST", SESSION, lab_body("ada")) == 403
        assert await service.status(ada, "POST", SESSION, lab_body("ada")) == 201
        for method, path in (("GET", "user/ada"), ("PUT", "ada"), ("POST", "ada/extend"), ("DELETE", "ada")):
            for credential, status in ((eve, 403), ("guess", 401)):
                assert await service.status(credential, method, f"{SESSION}/{path}", {}) == status
        assert await service.status("platform-token", "GET", f"{SESSION}/user/ada") == 200
        assert await service.status(ada, "PUT", f"{SESSION}/ada", {"duration": 700}) == 200
        assert await service.status(ada, "DELETE", f"{SESSION}/ada") == 200
        assert await service.status(token("ada", exp=1), "GET", f"{SESSION}/user/ada") == 401


async def test_keys_are_fetched_and_rotated(tmp_path: Path) -> None:
    """From a JWKS URL; while it is down, the users whose key is known don't notice."""
    old, new = Signer("old"), Signer("new")
    provider = Provider(old)
    url = await provider.start()
    try:
        async with labs(tmp_path, LABSESSIONS_JWT__JWKS_URL=url, **ISSUED) as service:
            path = f"{SESSION}/user/ada"
            assert provider.fetched == 0
            assert await service.status(old.token(exp=FAR), "GET", path) == 404
            provider.says = (500, b"")
            assert await service.status(old.token(exp=FAR), "GET", path) == 404
            assert await service.status(new.token(exp=FAR), "GET", path) == 401  # no more than once a minute
            assert provider.fetched == 1
            assert await service.status(old.token(exp=FAR), "GET", f"{SESSION}/user/eve") == 403
            provider.publish(new)
            await service.process.restart()
            assert await service.status(new.token(exp=FAR), "GET", path) == 404
            assert await service.status(old.token(exp=FAR), "GET", path) == 401
    finally:
        await provider.stop()


@pytest.mark.parametrize(
    ("env", "warnings"),
    [
        ({}, []),
        ({"LABSESSIONS_API__CORS_ORIGINS": "*", "API_TOKEN": "t"}, []),
        (SECRET, ["users have tokens, and pages of any origin"]),
        (
            SECRET | {"LABSESSIONS_API__CORS_ORIGINS": "https://a.test,*"},
            ["users have tokens, and pages of any origin"],
        ),
        (SECRET | {"LABSESSIONS_API__CORS_ORIGINS": "https://a.test"}, []),
        (
            {"LABSESSIONS_JWT__JWKS_URL": "http://id.test/", "LABSESSIONS_API__CORS_ORIGINS": "https://a.test"},
            ["jwt.jwks_url is not https"],
        ),
        ({"LABSESSIONS_JWT__JWKS_URL": "http://[::1]/", "LABSESSIONS_API__CORS_ORIGINS": "https://a.test"}, []),
    ],
)
async def test_risks_are_said_at_the_start(tmp_path: Path, env: dict[str, str], warnings: list[str]) -> None:
    """Any origin matters only where users have tokens, plain http only on the way to other machines."""
    async with labs(tmp_path, **ISSUED, **env) as service:
        said = service.warnings()
    assert [line[: len(begin)] for line, begin in zip(said, warnings, strict=True)] == warnings


async def test_a_rate_is_kept(tmp_path: Path) -> None:
    """Two at once, then 429 with the time to wait; the next caller is not concerned."""
    limit = {"LABSESSIONS_API__RATE_PER_SECOND": "0.02", "LABSESSIONS_API__RATE_BURST": "2"}
    async with labs(tmp_path, API_TOKEN="platform-token", ADMIN_TOKEN="admin-token", **limit) as service:
        path = f"{SESSION}/user/ada"
        assert [await service.status("platform-token", "GET", path) for _ in range(2)] == [404, 404]
        status, headers, body = await service.ask("platform-token", "GET", path)
        assert (status, body["code"]) == (429, "too_many_requests")
        assert 1 <= int(headers["Retry-After"]) <= 50
        assert await service.status("admin-token", "GET", path) == 404
