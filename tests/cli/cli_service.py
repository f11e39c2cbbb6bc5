"""A small stand-in for the admin API, and the command line run against it: what was asked, what came out."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from labsessions.cli import app

TOKEN = "admin-token-of-tests"
ADMIN = "/api/v1/admin"


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class Refuses(NamedTuple):
    """An answer that refuses."""

    status: int
    code: str
    text: str


class Ran(NamedTuple):
    """What a command has done."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """The document on stdout; fails if that isn't exactly one."""
        return json.loads(self.out)


Answer = dict[str, Any] | Refuses | web.Response
Script = Callable[[Asked], Answer]


class FakeApi:
    """Answers by `script`, by method and path below the admin API; all else is not found. `streams` are of `/log`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.operators: list[str | None] = []
        self.answers: dict[str, Answer | Script] = {}
        self.streams: list[list[bytes]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        path = unquote(request.rel_url.raw_path.removeprefix(ADMIN))
        body = await request.read()
        asked = Asked(request.method, path, dict(request.query), json.loads(body) if body else None)
        self.asked.append(asked)
        self.operators.append(request.headers.get("X-Operator"))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return failure(Refuses(401, "unauthorized", "Invalid or missing authentication token"))
        if path == "/log" and self.streams:
            return await self._stream(request, self.streams.pop(0))
        answer = self.answers.get(f"{request.method} {path}", Refuses(404, "route_not_found", "Route not found"))
        said = answer(asked) if callable(answer) else answer
        if isinstance(said, web.Response):
            return said
        if isinstance(said, Refuses):
            return failure(said)
        return web.json_response({"success": True, "data": said, "message": "done"})

    async def _stream(self, request: web.Request, chunks: list[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    async def run(self, *arguments: str, token: str | None = TOKEN, **env: str | None) -> Ran:
        """Run a command against this service; a thread of its own, as it has a loop of its own."""
        given = {"LABSESSIONS_URL": self.url, "ADMIN_TOKEN": token, "SUDO_USER": "olga", "COLUMNS": "200"} | env
        ran = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=given)
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return Ran(ran.exit_code, ran.stdout_bytes.decode(), ran.stderr)


def failure(refusal: Refuses) -> web.Response:
    """The envelope of a refusal."""
    body = {"success": False, "error": refusal.text, "code": refusal.code, "request_id": "1"}
    return web.json_response(body, status=refusal.status)


async def serving() -> AsyncIterator[FakeApi]:
    """The stand-in, served as long as it is used."""
    api = FakeApi()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    async with TestServer(application) as server:
        api.url = str(server.make_url("")).rstrip("/")
        yield api
