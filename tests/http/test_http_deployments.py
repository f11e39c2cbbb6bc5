"""`GET /api/v1/admin/deployments`: what it shows, to whom, and that it is described as it is."""

from typing import Any

import pytest
from http_driven import Api, DrivenReadiness, DrivenSessions
from identity_provider import bearer
from jsonschema import validate
from pytest_aiohttp import AiohttpClient

from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.deployments import SCHEMAS, deployments_group

PATH = "/api/v1/admin/deployments"
RUNNING = {
    "started_at": "2026-11-25T08:00:00.000Z",
    "stopped_at": None,
    "clean": None,
    "version": "1.2.3",
    "schema": 9,
    "settings_fingerprint": "0123456789ab",
    "pid": 7,
    "host": "labs-1",
}
ROWS: list[dict[str, Any]] = [RUNNING, RUNNING | {"stopped_at": "2026-11-25T07:00:00.000Z", "clean": True}]


async def _rows() -> list[dict[str, Any]]:
    return ROWS


@pytest.fixture
async def api(aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness) -> Api:
    """The front door with this group."""
    options = ApiOptions(version="1", tokens=("platform",), admin_tokens=("admin",))
    client: Api = await aiohttp_client(make_app(engine, readiness, options, groups=(deployments_group(_rows),)))
    return client


async def test_operators_see_them(api: Api) -> None:
    """In their order, in the envelope, and as the description has it."""
    async with api.get(PATH, headers=bearer("admin")) as answer:
        body = await answer.json()
    assert (answer.status, body["success"], body["data"]) == (200, True, {"deployments": ROWS})
    validate(body["data"], SCHEMAS["Deployments"])


@pytest.mark.parametrize(("credential", "status"), [("platform", 403), ("guess", 401)])
async def test_nobody_else_does(api: Api, credential: str, status: int) -> None:
    """Not the platform's back end either."""
    async with api.get(PATH, headers=bearer(credential)) as answer:
        assert answer.status == status
