"""`/metrics`: who may read it; and what is told of each answer, so that it can be counted."""

from typing import Any

import pytest
from aiohttp import web
from http_driven import SESSIONS, Api, DrivenReadiness, DrivenSessions, lab_body
from pytest_aiohttp import AiohttpClient

from labsessions.http import ApiOptions, make_app
from labsessions.http.groups import RouteGroup
from labsessions.http.metrics import METRICS, metrics_routes

TEXT = b"# HELP lab_sessions Sessions there are.\n"
TOLD = list[tuple[str, str, int]]


class Shown:
    """`ports.Exposition`."""

    async def text(self) -> bytes:
        """See there."""
        return TEXT


async def api_with(client: AiohttpClient, *, is_open: bool = False, told: TOLD | None = None, **options: Any) -> Api:
    """A front door that has the route."""

    def answered(method: str, path: str, status: int, seconds: float) -> None:
        assert seconds > 0
        if told is not None:
            told.append((method, path, status))

    api: Api = await client(
        make_app(
            DrivenSessions(),
            DrivenReadiness(),
            ApiOptions(version="1", **options),
            groups=(metrics_routes(Shown(), is_open=is_open),),
            answered=answered,
        )
    )
    return api


@pytest.mark.parametrize(
    ("token", "is_open", "status"),
    [("admin", False, 200), ("platform", False, 403), ("", False, 401), ("", True, 200), ("wrong", True, 200)],
)
async def test_it_is_for_operators_unless_it_is_open(
    aiohttp_client: AiohttpClient, token: str, *, is_open: bool, status: int
) -> None:
    """The platform's token is not enough; where it is open, no credential is looked at."""
    api = await api_with(aiohttp_client, is_open=is_open, tokens=("platform",), admin_tokens=("admin",))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with api.get("/metrics", headers=headers) as answer:
        assert answer.status == status
        if status == 200:
            assert await answer.read() == TEXT
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-store"


async def test_without_tokens_the_door_is_open(aiohttp_client: AiohttpClient) -> None:
    """Like every route: then only this machine can reach it."""
    api = await api_with(aiohttp_client)
    async with api.get("/metrics") as answer:
        assert answer.status == 200


async def test_answers_are_told_by_route_and_status(aiohttp_client: AiohttpClient) -> None:
    """Never by what a client made up: no id, no unknown path, no unknown method."""
    told: TOLD = []
    api = await api_with(aiohttp_client, told=told)
    await api.post(SESSIONS, json=lab_body(user_id="ada"))
    await api.get(f"{SESSIONS}/user/ada")
    await api.get(f"{SESSIONS}/user/bob")
    await api.post(SESSIONS, data=b"no json")
    await api.head("/health/live")
    await api.get("/never/heard/of")
    await api.request("PROPFIND", "/never/heard/of")
    await api.post("/health")
    await api.options(SESSIONS)
    show = f"{SESSIONS}/user/{{user_id}}"
    assert told == [
        *(("POST", SESSIONS, 201), ("GET", show, 200), ("GET", show, 404), ("POST", SESSIONS, 400)),
        *(("HEAD", "/health/live", 200), ("unmatched", "unmatched", 404), ("unmatched", "unmatched", 404)),
        *(("unmatched", "unmatched", 405), ("unmatched", "unmatched", 204)),
    ]


async def test_the_time_of_a_stream_is_not_told(aiohttp_client: AiohttpClient) -> None:
    """It lasts as long as somebody listens, which says nothing of the service."""
    told: TOLD = []

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"one")
        return answer

    api: Api = await aiohttp_client(
        make_app(
            DrivenSessions(),
            DrivenReadiness(),
            ApiOptions(version="1"),
            groups=(RouteGroup(((METRICS, stream),), schemas={"Metrics": {}}),),
            answered=lambda method, path, status, _: told.append((method, path, status)),
        )
    )
    async with api.get("/metrics") as answer:
        assert await answer.read() == b"one"
    await api.get("/health/live")
    assert told == [("GET", "/health/live", 200)]


async def test_a_fault_is_told_as_one(aiohttp_client: AiohttpClient) -> None:
    """500, with the route that it was."""
    told: TOLD = []

    class Faulty(Shown):
        async def text(self) -> bytes:
            raise RuntimeError("no figures")

    api: Api = await aiohttp_client(
        make_app(
            DrivenSessions(),
            DrivenReadiness(),
            ApiOptions(version="1"),
            groups=(metrics_routes(Faulty(), is_open=False),),
            answered=lambda method, path, status, _: told.append((method, path, status)),
        )
    )
    async with api.get("/metrics") as answer:
        assert answer.status == 500
    assert told == [("GET", "/metrics", 500)]
