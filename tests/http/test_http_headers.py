"""What every answer has in its head, however it leaves: JSON in one go, aiohttp's way, a page, a stream."""

from collections.abc import Mapping

import pytest
from aiohttp import web
from http_driven import SESSIONS, Api, DrivenReadiness, DrivenSessions
from pytest_aiohttp import AiohttpClient

from labsessions.http import ApiOptions, make_app
from labsessions.http.headers import REQUEST_ID
from labsessions.http.scopes import RULES, Rule, Scope
from labsessions.ports import EngineError

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
ANSWERS = [
    ("GET", "/", 200),
    ("GET", "/health/ready", 200),
    ("GET", "/openapi.json", 200),
    ("HEAD", "/health", 200),
    ("GET", "/nowhere", 404),
    ("PATCH", SESSIONS, 405),
    ("POST", SESSIONS, 400),
    ("GET", f"{SESSIONS}/user/ada", 404),
    ("OPTIONS", SESSIONS, 204),
]


def has_each_once(headers: Mapping[str, str]) -> bool:
    """Whether the security fields are there, none of them twice."""
    names = [name.lower() for name in headers]
    return all(names.count(name.lower()) == 1 and headers[name] == value for name, value in SECURITY.items())


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_every_answer_is_safe_in_a_browser(
    api: Api, method: str, path: str, status: int, connection: str
) -> None:
    """Not guessed at, not kept, not framed, not run; whether the connection stays or not."""
    async with api.request(method, path, headers={"Connection": connection}) as answer:
        assert answer.status == status
        assert has_each_once(answer.headers)
        assert answer.headers.getall(REQUEST_ID)[1:] == []


async def test_a_fault_is_safe_too(api: Api, engine: DrivenSessions) -> None:
    """500."""
    engine.fault = EngineError("disk full")
    async with api.get(f"{SESSIONS}/user/ada") as answer:
        assert answer.status == 500
        assert has_each_once(answer.headers)


async def test_the_page_has_a_policy_of_its_own(api: Api) -> None:
    """And all the rest."""
    async with api.get("/docs") as answer:
        (policy,) = answer.headers.getall("Content-Security-Policy")
        assert "style-src" in policy
        assert {name: answer.headers[name] for name in SECURITY if name != "Content-Security-Policy"} == {
            name: value for name, value in SECURITY.items() if name != "Content-Security-Policy"
        }


async def test_what_aiohttp_refuses_itself(api: Api) -> None:
    """An expectation that nobody can meet never reaches the door; its answer is as safe as the others."""
    async with api.get("/health", headers={"Expect": "a miracle"}) as answer:
        assert answer.status == 417
        assert has_each_once(answer.headers)
        assert len(answer.headers[REQUEST_ID]) == 32


async def test_a_stream_has_them_from_its_beginning(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness
) -> None:
    """Its head is sent long before its handler returns, with the request's id; its own choice stays."""

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Cache-Control": "no-cache", "Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: 1\n\n")
        return answer

    app = make_app(engine, readiness, ApiOptions(version="1", cors_origins=("https://a.test",)))
    app[RULES][app.router.add_get("/stream", stream)] = Rule.of(Scope.OPEN, "/stream")
    api = await aiohttp_client(app)
    async with api.get("/stream", headers={"X-Request-ID": "r1", "Origin": "https://a.test"}) as answer:
        assert answer.status == 200
        assert answer.headers["X-Request-ID"] == "r1"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a.test"
        assert answer.headers["Vary"] == "Origin"
        assert answer.headers.getall("Cache-Control") == ["no-cache"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert await answer.read() == b"data: 1\n\n"
