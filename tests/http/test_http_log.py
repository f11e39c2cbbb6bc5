"""The live log over a real socket: what is told, to whom, to how many, and how it ends."""

import asyncio
import io
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse
from http_driven import Api, DrivenReadiness, DrivenSessions
from processes import until
from pytest_aiohttp import AiohttpClient, AiohttpServer

from labsessions import logs
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.log import MOST_LISTENERS, LogRoutes

LOG = "/api/v1/admin/log"


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """The service's logging, for as long as a test lasts."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure("debug", "json", io.StringIO())
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


class World:
    """A client, and the routes of the log behind it."""

    def __init__(self, api: Api, routes: LogRoutes) -> None:
        self.api = api
        self.routes = routes

    @asynccontextmanager
    async def follow(self, **query: str) -> AsyncIterator[ClientResponse]:
        """A reader of the log."""
        async with self.api.get(LOG, params=query) as answer:
            assert answer.status == 200, await answer.text()
            yield answer


@pytest.fixture
async def world(aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness) -> World:
    """The front door with the routes of the log."""
    options = ApiOptions(version="1", heartbeat_seconds=0.05)
    routes = LogRoutes(logs.live, options)
    return World(await aiohttp_client(make_app(engine, readiness, options, groups=(routes.group(),))), routes)


async def told(answer: ClientResponse) -> tuple[str, Any] | None:
    """The next event's name and data; None at the end. Signs of life are passed over."""
    name = ""
    async with asyncio.timeout(30):
        while line := (await answer.content.readline()).decode().rstrip("\r\n") or not answer.content.at_eof():
            if isinstance(line, str) and line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif isinstance(line, str) and line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))
    return None


async def test_each_line_is_told_from_now_on(world: World) -> None:
    """As JSON, in order; what was before is not told."""
    log = structlog.get_logger()
    log.info("before")
    async with world.follow() as answer:
        assert answer.content_type == "text/event-stream"
        log.info("one", user="ann")
        log.error("two")
        first, second = await told(answer), await told(answer)
    assert first is not None
    assert second is not None
    assert (first[0], first[1]["event"], first[1]["user"]) == ("line", "one", "ann")
    assert (second[0], second[1]["event"], second[1]["level"]) == ("line", "two", "error")


@pytest.mark.parametrize(
    ("query", "events"),
    [
        ({}, ["Cleanup failed", "cleanup ok", "other"]),
        ({"level": "debug"}, ["Cleanup failed", "cleanup ok", "other"]),
        ({"level": "warning"}, ["Cleanup failed", "other"]),
        ({"level": "error"}, ["Cleanup failed"]),
        ({"user_id": "ann"}, ["Cleanup failed", "other"]),
        ({"event": "CLEANUP"}, ["Cleanup failed", "cleanup ok"]),
        ({"event": "cleanup", "user_id": "ann", "level": "info"}, ["Cleanup failed"]),
    ],
)
async def test_only_what_was_asked_for_is_told(world: World, query: dict[str, str], events: list[str]) -> None:
    """Levels from one on, one user, words in the event; all of them together."""
    async with world.follow(**query) as answer:
        log = structlog.get_logger()
        log.error("Cleanup failed", user="ann")
        log.info("cleanup ok", user="bob")
        log.warning("other", user="ann")
        log.critical("cleanup: the end", user="ann")
        heard = []
        while (each := await told(answer)) is not None and each[1]["event"] != "cleanup: the end":
            heard.append(each[1]["event"])
    assert heard == events


async def test_a_level_that_there_is_not_is_refused(world: World) -> None:
    """And the answer says which there are."""
    answer = await world.api.get(LOG, params={"level": "loud"})
    assert (answer.status, (await answer.json())["error"]) == (
        400,
        "Parameter 'level' must be one of debug, info, warning, error, critical",
    )


async def test_a_reader_that_is_too_slow_is_told_how_many_lines_it_has_lost(world: World) -> None:
    """Before the lines that are left, which are the newest."""
    async with world.follow() as answer:
        log = structlog.get_logger()
        for n in range(2_500):  # in one turn of the loop: nobody reads meanwhile
            log.info("line", n=n)
        assert await told(answer) == ("dropped", {"dropped": 500})
        first = await told(answer)
    assert first is not None
    assert first[1]["n"] == 500


async def test_a_reader_that_does_not_read_is_cut(
    aiohttp_server: AiohttpServer, engine: DrivenSessions, readiness: DrivenReadiness
) -> None:
    """It loses its connection, and its place is free again."""
    options = ApiOptions(version="1", send_seconds=0.1)
    routes = LogRoutes(logs.live, options)
    server = await aiohttp_server(make_app(engine, readiness, options, groups=(routes.group(),)))
    with socket.create_connection((str(server.host), int(server.port or 0))) as client:
        client.sendall(f"GET {LOG} HTTP/1.1\r\nHost: labs\r\n\r\n".encode())

        async def following() -> bool:
            return bool(routes._open)

        async def gone() -> bool:
            for _ in range(100):
                structlog.get_logger().info("much", text="x" * 10_000)
            runner = server.runner
            assert runner is not None
            assert runner.server is not None
            return not runner.server.connections

        await until(following, "the reader")
        await until(gone, "the reader to be cut")
        assert not routes._open


async def test_few_may_follow_at_a_time(world: World) -> None:
    """The last place is given, one more is refused; who leaves makes room."""
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(world.follow()) for _ in range(MOST_LISTENERS)]
        refused = await world.api.get(LOG)
        assert (refused.status, (await refused.json())["code"]) == (429, "too_many_listeners")
        readers[0].close()

        async def admitted() -> bool:
            async with world.api.get(LOG) as answer:
                return answer.status == 200

        await until(admitted, "a place that was left to be given again")


async def test_the_stream_ends_when_the_service_stops(world: World) -> None:
    """At once, also if nothing is logged."""
    async with world.follow() as answer:
        assert world.api.app is not None
        await world.routes.end(world.api.app)
        assert await told(answer) is None


async def test_head_answers_without_a_stream(world: World) -> None:
    """As GET would be answered."""
    answer = await world.api.head(LOG)
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
