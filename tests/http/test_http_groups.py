"""A group of routes is a part of the API like any other: served, guarded, described, listed."""

from typing import Any

import pytest
from aiohttp import web
from http_driven import Api, DrivenReadiness, DrivenSessions
from openapi_spec_validator import validate
from pytest_aiohttp import AiohttpClient

from labsessions.http import ApiOptions, make_app
from labsessions.http.endpoints import Answer, Endpoint, Parameter
from labsessions.http.groups import RouteGroup
from labsessions.http.scopes import Scope
from labsessions.http.wire import json_answer

PATH = "/api/v1/admin/things/{name}"
THINGS = Endpoint(
    "POST",
    PATH,
    "Count the things",
    Scope.ADMIN,
    answers=(Answer(200, "Things counted", "Things", enveloped=False),),
    body="Which",
    query=(Parameter("limit", {"type": "string", "pattern": "^[0-9]+$"}, "The most to count"),),
)


async def _count(request: web.Request) -> web.Response:
    return json_answer({"of": request.match_info["name"]})


GROUP = RouteGroup(
    ((THINGS, _count),),
    schemas={"Things": {"type": "object"}, "Which": {"type": "object"}},
    examples={"Which": {"color": "red"}},
)


@pytest.fixture
async def api(aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness) -> Api:
    """The sessions' routes and the group's."""
    options = ApiOptions(version="1", admin_tokens=("admin-token",))
    client: Api = await aiohttp_client(make_app(engine, readiness, options, groups=(GROUP,)))
    return client


async def test_it_is_served_to_whom_its_scope_admits(api: Api) -> None:
    """Nobody else reaches the handler."""
    path = PATH.replace("{name}", "a")
    assert (await api.post(path)).status == 401
    answer = await api.post(path, headers={"Authorization": "Bearer admin-token"})
    assert (answer.status, await answer.json()) == (200, {"of": "a"})


async def test_it_is_described_and_listed(api: Api) -> None:
    """With its parameters, its schemas and its example; the document stays valid."""
    document: dict[str, Any] = await (await api.get("/openapi.json")).json()
    validate(document)
    described = document["paths"][PATH]["post"]
    assert described["parameters"] == [
        {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
        {
            "in": "query",
            "name": "limit",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
            "description": "The most to count",
        },
    ]
    assert described["requestBody"]["content"]["application/json"]["example"] == {"color": "red"}
    assert "Things" in document["components"]["schemas"]
    overview = await (await api.get("/")).json()
    assert {"method": "POST", "path": PATH, "description": "Count the things"} in overview["endpoints"]
