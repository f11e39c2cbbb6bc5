"""Other options while the service runs: they count from the next request on, and touch nothing else."""

from dataclasses import replace

import pytest
from aiohttp import web
from http_driven import SESSIONS, START_MS, Api, DrivenReadiness, DrivenSessions
from identity_provider import bearer, shared_key_tokens, token
from pytest_aiohttp import AiohttpClient

from labsessions.http import ApiOptions, make_app
from labsessions.http.app import RECONFIGURE

PATH = f"{SESSIONS}/user/ada"
OPTIONS = ApiOptions(version="1", tokens=("old",), cors_origins=("https://old.test",), not_configured=("A",))


@pytest.fixture
def app(engine: DrivenSessions, readiness: DrivenReadiness) -> web.Application:
    """An application with OPTIONS."""
    return make_app(engine, readiness, OPTIONS)


@pytest.fixture
async def api(aiohttp_client: AiohttpClient, app: web.Application) -> Api:
    """A client of `app`."""
    client: Api = await aiohttp_client(app)
    return client


async def status(api: Api, credential: str) -> int:
    """Of a GET with this credential; 404 is an answer to whom it holds."""
    async with api.get(PATH, headers=bearer(credential)) as answer:
        return answer.status


async def test_tokens(api: Api, app: web.Application) -> None:
    """During a rotation both open, then only the new one; without any the door stands open."""
    for tokens, old, new in ((("old", "new"), 404, 404), (("new",), 401, 404), ((), 404, 404)):
        app[RECONFIGURE](replace(OPTIONS, tokens=tokens), None)
        assert (await status(api, "old"), await status(api, "new")) == (old, new)


async def test_admin_tokens(api: Api, app: web.Application) -> None:
    """As the others."""
    app[RECONFIGURE](replace(OPTIONS, admin_tokens=("admin",)), None)
    assert (await status(api, "old"), await status(api, "admin")) == (404, 404)
    app[RECONFIGURE](OPTIONS, None)
    assert (await status(api, "old"), await status(api, "admin")) == (404, 401)


async def test_users_tokens(api: Api, app: web.Application) -> None:
    """Another key may be taken, or none any more."""
    ada = token("ada", exp=START_MS // 1000 + 60)
    assert await status(api, ada) == 401
    app[RECONFIGURE](OPTIONS, shared_key_tokens())
    assert await status(api, ada) == 404
    app[RECONFIGURE](OPTIONS, None)
    assert await status(api, ada) == 401


async def test_origins(api: Api, app: web.Application) -> None:
    """The header names the new one only."""

    async def allowed(origin: str) -> str | None:
        async with api.get("/health", headers={"Origin": origin}) as answer:
            return answer.headers.get("Access-Control-Allow-Origin")

    assert await allowed("https://old.test") == "https://old.test"
    app[RECONFIGURE](replace(OPTIONS, cors_origins=("https://new.test",)), None)
    assert await allowed("https://old.test") is None
    assert await allowed("https://new.test") == "https://new.test"
    app[RECONFIGURE](replace(OPTIONS, cors_origins=("*",)), None)
    assert await allowed("https://any.test") == "*"


async def test_rate(api: Api, app: web.Application) -> None:
    """A limit begins, stays as it is while other things change, and ends."""
    limited = replace(OPTIONS, rate_per_second=0.001, rate_burst=2)
    app[RECONFIGURE](limited, None)
    assert [await status(api, "old") for _ in range(2)] == [404, 404]
    app[RECONFIGURE](replace(limited, tokens=("old", "new")), None)
    assert await status(api, "old") == 429
    app[RECONFIGURE](replace(limited, rate_burst=3), None)
    assert [await status(api, "old") for _ in range(4)] == [404, 404, 404, 429]
    app[RECONFIGURE](OPTIONS, None)
    assert await status(api, "old") == 404


async def test_what_is_missing(api: Api, app: web.Application) -> None:
    """The overview says so."""
    app[RECONFIGURE](replace(OPTIONS, not_configured=("B", "C")), None)
    async with api.get("/") as answer:
        overview = await answer.json()
    assert overview["not_configured"] == ["B", "C"]
    assert overview["version"] == "1"
