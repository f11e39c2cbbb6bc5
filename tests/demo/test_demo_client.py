"""The demo's front end: whatever the service does to it becomes a note, never an exception."""

import io
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer
from rich.console import Console

from labsessions.core.projection import iso
from labsessions.demo.client import SESSIONS, Client
from labsessions.demo.scenarios import SCENARIOS
from labsessions.demo.screen import Screen, now_ms
from labsessions.demo.verdict import Seen, judge

ALICE = SCENARIOS[0]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def played(url: str, seconds: float) -> tuple[Seen, str]:
    """What a client notes and shows of a service at this address."""
    output = io.StringIO()
    screen = Screen(Console(file=output, markup=False, highlight=False), SCENARIOS)
    async with aiohttp.ClientSession() as http:
        client = Client(http, url, ALICE, screen)
        await client.play(seconds)
    screen.show()
    return client.seen, output.getvalue()


async def served(aiohttp_server: AiohttpServer, post: Handler, get: Handler) -> str:
    """The address of a service with these two routes."""
    app = web.Application()
    app.router.add_post(SESSIONS, post)
    app.router.add_get(f"{SESSIONS}/user/alice", get)
    server = await aiohttp_server(app)
    return str(server.make_url("")).rstrip("/")


async def created(_request: web.Request) -> web.Response:
    """A session that has just expired."""
    data = {"created_at": iso(now_ms() - 3000), "expires_at": iso(now_ms())}
    return web.json_response({"success": True, "data": data, "message": "created"}, status=201)


async def test_a_session_that_never_ends_costs_the_scenarios_time_and_is_a_difference(
    aiohttp_server: AiohttpServer,
) -> None:
    """No traceback: the 404 is missing in the notes, and so the verdict names it."""

    async def still_there(_request: web.Request) -> web.Response:
        return web.json_response({"success": True, "data": {"status": "cleaning", "attempts": 1, "last_error": "x"}})

    seen, shown = await played(await served(aiohttp_server, created, still_there), seconds=0.3)
    assert seen.answers == ["POST 201"]
    assert seen.failures == {1: "x"}
    assert shown.count("GET → 200 cleaning, attempt 1: x") == 1
    assert "the client was answered POST 201 instead of POST 201, GET 404" in judge(ALICE, seen, [], 0).differences


async def test_a_service_that_does_not_answer_is_noted(unused_tcp_port: int) -> None:
    """A refused connection is an answer of its own."""
    seen, shown = await played(f"http://127.0.0.1:{unused_tcp_port}", seconds=10)
    assert seen.answers == ["POST no answer (ClientConnectorError)"]
    assert "POST: a single VM, 3 s → no answer: ClientConnectorError" in shown
    assert judge(ALICE, seen, [], 0).differences


@pytest.mark.parametrize("body", [b"<p>Sorry", b"{"])
async def test_an_answer_that_is_no_json_is_noted(aiohttp_server: AiohttpServer, body: bytes) -> None:
    """A page of some proxy, or half an object."""

    async def broken(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=502, content_type="text/html" if body[:1] == b"<" else "application/json")

    seen, _ = await played(await served(aiohttp_server, broken, broken), seconds=10)
    assert len(seen.answers) == 1
    assert seen.answers[0].startswith("POST no answer")


async def test_a_refusal_ends_the_scenario(aiohttp_server: AiohttpServer) -> None:
    """Without a session there is nothing to wait for; the service's words are shown."""

    async def refused(_request: web.Request) -> web.Response:
        return web.json_response({"success": False, "error": "Internal server error"}, status=500)

    seen, shown = await played(await served(aiohttp_server, refused, refused), seconds=10)
    assert seen == Seen(answers=["POST 500"])
    assert "→ 500 Internal server error" in shown
