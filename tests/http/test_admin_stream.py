"""The stream for operators, over a real socket and a real file: everybody's events, each once, and the overview."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from admin_world import ADMIN, AdminWorld, admin_world
from aiohttp import ClientResponse
from pytest_aiohttp import AiohttpClient, AiohttpServer

from actors.storage import Prune
from labsessions.engines.tables import EVENTS
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin import stream as module
from labsessions.http.admin.group_read import read_group
from labsessions.ports import Span, StoredEvent

STREAM = f"{ADMIN}/stream"


class Told(NamedTuple):
    """A message of the stream; None for what it lacks."""

    id: str | None
    event: str | None
    data: dict[str, Any] | None


class Stream:
    """What a client reads of a stream."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def next(self, *, overviews: bool = False) -> Told | None:
        """The next message; None at the end. Comments, and overviews unless asked for, are passed over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(30):
            while line := await self.answer.content.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name:
                    fields[name] = value
                elif (fields.get("event") == "overview") is overviews and fields:
                    data = fields.get("data")
                    return Told(fields.get("id"), fields.get("event"), None if data is None else json.loads(data))
                else:
                    fields = {}
        return None

    async def some(self, number: int) -> list[tuple[str | None, str | None]]:
        """Ids and types of the next messages."""
        told = [await self.next() for _ in range(number)]
        return [(each.id, each.event) for each in told if each is not None]


@pytest.fixture
def options() -> ApiOptions:
    """Signs of life often enough to notice who has gone."""
    return ApiOptions(version="1", heartbeat_seconds=0.05)


@pytest.fixture
async def world(
    aiohttp_client: AiohttpClient, options: ApiOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AdminWorld]:
    """A service on a new file, with little room for streams and an overview now and then."""
    monkeypatch.setattr(module, "MOST_STREAMS", 2)
    monkeypatch.setattr(module, "OVERVIEW_SECONDS", 0.05)
    async with admin_world(tmp_path, aiohttp_client, options) as found:
        yield found


@asynccontextmanager
async def stream(world: AdminWorld, **headers: str) -> AsyncIterator[Stream]:
    """A client that reads."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with world.api.get(STREAM, headers=names) as answer:
        assert answer.status == 200, await answer.text()
        yield Stream(answer)


async def test_it_tells_everybodys_events(world: AdminWorld) -> None:
    """As they are committed, each with its user; it begins with where it begins."""
    async with stream(world) as found:
        assert (found.answer.content_type, found.answer.headers["Cache-Control"]) == ("text/event-stream", "no-store")
        assert await found.next() == Told("0", None, None)
        await world.create("ada")
        told = await found.next()
        assert told is not None
        assert told.data is not None
        assert (told.id, told.event, told.data["user_id"]) == ("1", "session.created", "ada")
        await world.create("bob")
        await world.delete("ada")
        assert await found.some(2) == [("2", "session.created"), ("3", "session.ended")]


async def test_the_overview_comes_at_once_and_again(world: AdminWorld) -> None:
    """Without an id, so that a client that comes back goes on where it was."""
    async with stream(world) as found:
        for _ in range(3):
            told = await found.next(overviews=True)
            assert told is not None
            assert told.data is not None
            assert (told.id, told.event) == (None, "overview")
            assert told.data["verdict"]["text"] == "every session on time"


@pytest.mark.parametrize(("seen", "expected"), [("0", ["1", "2", "3"]), ("2", ["3"]), ("3", [])])
async def test_a_client_that_comes_back_gets_what_it_missed(world: AdminWorld, seen: str, expected: list[str]) -> None:
    """All after the event that it has seen last, and then what happens."""
    await world.create()
    await world.extend()
    await world.extend()
    async with stream(world, Last_Event_ID=seen) as found:
        assert [told for told, _ in await found.some(len(expected))] == expected
        await world.delete()
        assert await found.some(1) == [("4", "session.ended")]


async def test_a_client_is_told_of_a_gap(world: AdminWorld) -> None:
    """Where what follows is not stored any more."""
    await world.create()
    await world.extend()
    await world.extend()
    await world.runtime.commit(Prune(EVENTS, 2))
    async with stream(world, Last_Event_ID="1") as found:
        assert await found.some(2) == [("2", "events.gap"), ("3", "session.updated")]


async def test_many_events_come_in_order_to_all(world: AdminWorld) -> None:
    """More than are read at once, to two who listen, one of whom reads only afterwards."""
    async with stream(world) as one, stream(world, Last_Event_ID="0") as late:
        assert await one.next() == Told("0", None, None)
        await world.create()
        for _ in range(449):
            await world.extend()
        for found in (one, late):
            assert [int(told or 0) for told, _ in await found.some(450)] == list(range(1, 451))


async def test_so_many_streams_and_no_more(world: AdminWorld) -> None:
    """The next one is refused until one is closed."""
    async with stream(world), stream(world) as other:
        async with world.api.get(STREAM) as answer:
            assert (answer.status, (await answer.json())["code"]) == (429, "too_many_admin_streams")
        other.answer.close()
        async with asyncio.timeout(30):
            while (await world.api.get(STREAM)).status != 200:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0)


async def test_a_stop_ends_all_streams(world: AdminWorld) -> None:
    """At once and properly, so that the client comes back later."""
    async with stream(world) as found:
        assert await found.next() == Told("0", None, None)
        assert world.api.app is not None
        await world.api.app.shutdown()
        assert await found.next() is None


async def test_a_store_in_trouble_ends_the_stream_with_a_line_in_the_log(
    world: AdminWorld, monkeypatch: pytest.MonkeyPatch, log_lines_seen: list[Any]
) -> None:
    """The head has been sent; the client comes back."""

    async def broken(seq: int) -> list[Any]:  # noqa: ARG001 - the port's
        raise OSError("the disk is gone")

    monkeypatch.setattr(world.tail, "events_after", broken)
    async with stream(world, Last_Event_ID="0") as found:
        assert await found.next() is None
    assert [line["path"] for line in log_lines_seen if line["log_level"] == "error"] == [STREAM]


async def test_an_id_that_is_none_is_refused(world: AdminWorld) -> None:
    """As in the streams of users."""
    async with world.api.get(STREAM, headers={"Last-Event-ID": "x"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "invalid_last_event_id")


async def test_nothing_is_left_of_a_client_that_has_gone(world: AdminWorld) -> None:
    """Nobody nudges it, and nothing is kept for it."""
    async with stream(world) as found:
        assert await found.next() == Told("0", None, None)
        assert len(world.feed) == 2
    async with asyncio.timeout(30):
        while len(world.feed):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


class Flood:
    """`ports.Tail` with more events than any buffer holds."""

    def __init__(self) -> None:
        self.watching = asyncio.Event()
        self.left = asyncio.Event()

    async def span(self) -> Span:
        """Nothing was ever stored."""
        return Span(0, 0)

    async def events_after(self, seq: int) -> list[StoredEvent]:
        """The next hundred, of 10 KB each."""
        return [StoredEvent(number, "session.updated", {"much": "x" * 10_000}) for number in range(seq + 1, seq + 101)]

    @contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """Tells when the stream is there, and when it has gone."""
        self.watching.set()
        try:
            yield asyncio.Event()
        finally:
            self.left.set()


async def test_a_client_that_does_not_read_is_cut_and_delays_nobody(
    world: AdminWorld, monkeypatch: pytest.MonkeyPatch, options: ApiOptions, aiohttp_server: AiohttpServer
) -> None:
    """Others are answered meanwhile; it loses its connection, and the service what it kept for it."""
    monkeypatch.setattr(module, "MOST_STREAMS", 50)
    tail = Flood()
    group = read_group(world.survey, world.overview, tail, world.clock.now_ms, replace(options, send_seconds=0.1))
    server = await aiohttp_server(make_app(world.engine, world.readiness, options, groups=(group,)))
    with socket.create_connection((str(server.host), int(server.port or 0))) as client:
        client.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: labs\r\n\r\n".encode())
        async with asyncio.timeout(30):
            await tail.watching.wait()
            await world.create()
            await tail.left.wait()
