"""The stream of a user's events, over a real socket and a real file: nothing is lost, nothing comes twice.

And how the last session ended.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from aiohttp import ClientResponse
from http_driven import SESSIONS, START_MS, Api, DrivenReadiness, DrivenRecord, DrivenSessions, lab_body
from pytest_aiohttp import AiohttpClient, AiohttpServer

from actors.runtime import Runtime
from actors.sqlite import SqliteStore, open_store
from actors.storage import Prune
from actors.testing import ManualClock
from labsessions.core.messages import AttemptEnded, Clean
from labsessions.core.policy import Policy
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import EVENTS, schema
from labsessions.feed import Feed
from labsessions.http import ApiOptions, make_app
from labsessions.ports import Span, StoredEvent
from labsessions.repository import Repository

MINUTE_MS = 60_000
STREAM = f"{SESSIONS}/user/ada/events"
LAST = f"{SESSIONS}/user/ada/last"


class Told(NamedTuple):
    """A message of the stream; None for what it lacks."""

    id: str | None
    event: str | None
    data: dict[str, Any] | None


class Stream:
    """What a client reads of a stream."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> Told | None:
        """The next message; None at the end. Comments are passed over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(30):
            while line := await self.answer.content.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name:
                    fields[name] = value
                elif fields:
                    data = fields.get("data")
                    return Told(fields.get("id"), fields.get("event"), None if data is None else json.loads(data))
        return None

    async def some(self, number: int) -> list[tuple[str | None, str | None]]:
        """Ids and types of the next messages."""
        told = [await self.next() for _ in range(number)]
        return [(each.id, each.event) for each in told if each is not None]

    async def heartbeat(self) -> None:
        """Wait for a comment."""
        async with asyncio.timeout(30):
            while not (await self.answer.content.readline()).startswith(b":"):
                pass


class Observed(Repository):
    """A record that runs `before_reading` once, as soon as a stream has found out where it begins."""

    def __init__(self, store: SqliteStore, clock: ManualClock, feed: Feed) -> None:
        super().__init__(store.query, clock.now_ms, feed)
        self.before_reading: Any = None
        self.fault: Exception | None = None

    async def span(self) -> Span:
        """See `ports.Record`."""
        span = await super().span()
        if self.before_reading is not None:
            once, self.before_reading = self.before_reading, None
            await once()
        return span

    async def events_after(self, user_id: str, seq: int) -> list[StoredEvent]:
        """See `ports.Record`."""
        if self.fault is not None:
            raise self.fault
        return await super().events_after(user_id, seq)


class World:
    """The front door over an engine with a real file; its backend confirms everything."""

    def __init__(self, store: SqliteStore) -> None:
        self.clock = ManualClock(START_MS)
        self.runtime = Runtime(store, self.clock)
        self.feed = Feed()
        self.engine = EmbeddedEngine(self.runtime, self, Policy(), announce=self.feed.announce)
        self.record = Observed(store, self.clock, self.feed)
        self.api: Api

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        return AttemptEnded(effect.generation, effect.attempt, effect.vms, None)

    async def serve(self, client: AiohttpClient, options: ApiOptions) -> Self:
        """Open the front door."""
        self.api = await client(make_app(self.engine, DrivenReadiness(), options, record=self.record))
        return self

    async def create(self, **changes: Any) -> None:
        """Start a session."""
        assert (await self.api.post(SESSIONS, json=lab_body(**changes))).status == 201

    async def extend(self, minutes: int = 1) -> None:
        """One event more."""
        assert (await self.api.post(f"{SESSIONS}/ada/extend", json={"minutes": minutes})).status == 200

    async def delete(self, user: str = "ada") -> None:
        """End the session by hand."""
        assert (await self.api.delete(f"{SESSIONS}/{user}")).status == 200

    @asynccontextmanager
    async def stream(self, path: str = STREAM, **headers: str) -> AsyncIterator[Stream]:
        """A client that reads the stream."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.api.get(path, headers=names) as answer:
            assert answer.status == 200, await answer.text()
            yield Stream(answer)


@pytest.fixture
def options() -> ApiOptions:
    """Signs of life often enough to wait for one."""
    return ApiOptions(version="1", heartbeat_seconds=0.05, streams_per_user=2)


@pytest.fixture
async def world(aiohttp_client: AiohttpClient, options: ApiOptions, tmp_path: Path) -> AsyncIterator[World]:
    """A service on a new file."""
    store = await open_store(tmp_path / "db", (schema(),))
    world = World(store)
    world.runtime.start()
    yield await world.serve(aiohttp_client, options)
    await world.runtime.stop(0)


async def refused(world: World, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, code and text of a refusal."""
    answer = await world.api.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    body = await answer.json()
    return answer.status, body["code"], body["error"]


# --- live -------------------------------------------------------------------------------------------------


async def test_a_stream_tells_a_session_s_life(world: World) -> None:
    """From before there is one to beyond its end and on to the next; a client that waits sees each event at once."""
    async with world.stream() as stream:
        assert stream.answer.content_type == "text/event-stream"
        assert stream.answer.headers["Cache-Control"] == "no-store"
        assert await stream.next() == Told("0", None, None)
        await world.create()
        assert await stream.next() == Told(
            "1",
            "session.created",
            {
                "type": "session.created",
                "at": "2027-01-15T08:00:00.000Z",
                "session_id": (await (await world.api.get(f"{SESSIONS}/user/ada")).json())["data"]["id"],
                "expires_at": "2027-01-15T09:00:00.000Z",
            },
        )
        world.clock.advance(60 * MINUTE_MS)
        assert await stream.some(2) == [("2", "session.cleaning"), ("3", "session.ended")]
        await world.create()
        await world.delete()
        assert await stream.some(2) == [("4", "session.created"), ("5", "session.ended")]


async def test_the_head_of_a_stream_is_that_of_every_answer(world: World) -> None:
    """Request id, CORS and what browsers must not do with it: it is sent long before the handler returns."""
    async with world.stream(X_Request_ID="mine", Origin="https://labs.example") as stream, world.api.get(LAST) as other:
        head = stream.answer.headers
        assert head["X-Request-ID"] == "mine"
        shared = set(other.headers) - {"Content-Length", "Date", "Server", "Content-Type", "X-Request-ID"}
        assert "Access-Control-Allow-Origin" in shared
        assert {name: head.get(name) for name in shared} == {name: other.headers[name] for name in shared}


async def test_a_stream_tells_nothing_of_other_users(world: World) -> None:
    """Whose numbers are simply missing."""
    async with world.stream() as stream:
        await world.create(user_id="bob")
        await world.create()
        await world.delete("bob")
        await world.delete()
        assert await stream.some(3) == [("0", None), ("2", "session.created"), ("4", "session.ended")]


async def test_a_stream_without_an_id_begins_now(world: World) -> None:
    """It says where that is, so that a client that loses the connection at once misses nothing either."""
    await world.create()
    async with world.stream() as stream:
        assert await stream.next() == Told("1", None, None)
        await world.extend()
        assert await stream.some(1) == [("2", "session.updated")]


async def test_several_streams_are_told_the_same(world: World) -> None:
    """Two tabs of a browser."""
    async with world.stream() as one, world.stream() as other:
        await world.create()
        for stream in (one, other):
            assert await stream.some(2) == [("0", None), ("1", "session.created")]


async def test_a_silent_stream_shows_that_it_lives(world: World) -> None:
    """A comment now and then, which browsers pass over and proxies take for traffic."""
    async with world.stream() as stream:
        await stream.heartbeat()
        await world.create()
        await stream.heartbeat()


# --- replay -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("0", ["session.created", "session.updated", "session.ended"]),
        ("1", ["session.updated", "session.ended"]),
        ("2", ["session.ended"]),
        ("3", []),
    ],
)
@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_client_that_comes_back_gets_what_it_missed(
    world: World, seen: str, expected: list[str], way: str
) -> None:
    """All after the event that it has seen last, each once, and then what happens; also if that was the newest."""
    await world.create()
    await world.extend()
    await world.delete()
    path, headers = (STREAM, {"Last_Event_ID": seen}) if way == "header" else (f"{STREAM}?last_event_id={seen}", {})
    async with world.stream(path, **headers) as stream:
        told = await stream.some(len(expected))
        assert [kind for _, kind in told] == expected
        await world.create()
        assert await stream.some(1) == [("4", "session.created")]


async def test_the_header_goes_before_the_address(world: World) -> None:
    """A browser that connects again asks for the first address, and knows better by then."""
    await world.create()
    await world.extend()
    async with world.stream(f"{STREAM}?last_event_id=0", Last_Event_ID="1") as stream:
        assert await stream.some(1) == [("2", "session.updated")]


async def test_a_long_absence_is_made_up_for_in_pages(world: World) -> None:
    """More events than are read at once come all the same, in order."""
    await world.create()
    for _ in range(204):
        await world.extend()
    async with world.stream(Last_Event_ID="0") as stream:
        assert [told for told, _ in await stream.some(205)] == [str(seq) for seq in range(1, 206)]


@pytest.mark.parametrize("seen", [{}, {"Last_Event_ID": "1"}])
async def test_what_happens_between_the_watch_and_the_reading_comes_once(world: World, seen: dict[str, str]) -> None:
    """The commit races with the connection: neither lost nor told twice."""
    await world.create()
    world.record.before_reading = world.extend
    async with world.stream(**seen) as stream:
        if not seen:
            assert await stream.next() == Told("1", None, None)
        await world.delete()
        assert await stream.some(2) == [("2", "session.updated"), ("3", "session.ended")]


@pytest.mark.parametrize(
    ("seen", "after", "expected"),
    [
        ("1", "2", ["events.gap", "session.updated"]),
        ("2", None, ["session.updated"]),
        ("3", None, []),
        ("4", "3", ["events.gap"]),
        ("999999999999999999", "3", ["events.gap"]),
    ],
)
async def test_a_client_is_told_of_a_gap(world: World, seen: str, after: str | None, expected: list[str]) -> None:
    """Where what follows is not stored any more, or the number was never given, as of a newer file than this one."""
    await world.create()
    await world.extend()
    await world.extend()
    await world.runtime.commit(Prune(EVENTS, 2))
    async with world.stream(Last_Event_ID=seen) as stream:
        if after is not None:
            gap = {"type": "events.gap", "last_event_id": int(seen), "continues_after": int(after)}
            assert await stream.next() == Told(after, "events.gap", gap)
        told = await stream.some(len(expected) - (after is not None))
        assert [kind for _, kind in told] == [kind for kind in expected if kind != "events.gap"]
        await world.delete()
        assert await stream.some(1) == [("4", "session.ended")]


@pytest.mark.parametrize("given", ["x", "-1", "1.0", "1 2", "0x1", "1" * 19, "١"])
async def test_an_id_that_is_none_is_refused(world: World, given: str) -> None:
    """With the words that say what it should be, whichever way it came."""
    expected = (400, "invalid_last_event_id", "Header 'Last-Event-ID' must be the id of an event: a whole number")
    assert await refused(world, f"{STREAM}?last_event_id={given}") == expected
    assert await refused(world, f"{STREAM}?last_event_id={given}", Last_Event_ID="1") == expected
    if given.isascii():
        assert await refused(world, STREAM, Last_Event_ID=given) == expected


async def test_an_empty_id_is_none(world: World) -> None:
    """A polyfill may send its variable before it has one."""
    await world.create()
    async with world.stream(f"{STREAM}?last_event_id=") as stream:
        assert await stream.next() == Told("1", None, None)


# --- limits, ends, faults ---------------------------------------------------------------------------------


async def test_a_user_has_so_many_streams_and_no_more(world: World) -> None:
    """The next one is refused until one is closed; another user has its own."""
    async with world.stream(), world.stream() as other:
        assert (await refused(world, STREAM))[:2] == (429, "too_many_streams")
        async with world.stream(f"{SESSIONS}/user/bob/events"):
            pass
        other.answer.close()
        async with asyncio.timeout(30):
            while (await world.api.get(STREAM)).status != 200:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0)


async def test_nothing_is_left_of_a_client_that_has_gone(world: World) -> None:
    """Its place is free and nobody nudges it, at the latest after the next sign of life."""
    async with world.stream():
        assert len(world.feed) == 1
    async with asyncio.timeout(30):
        while len(world.feed):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


class Flood(DrivenRecord):
    """More events than any buffer holds."""

    def __init__(self) -> None:
        self.watching = asyncio.Event()
        self.left = asyncio.Event()

    async def events_after(self, user_id: str, seq: int) -> list[StoredEvent]:  # noqa: ARG002 - the port's
        """The next hundred, of 10 KB each."""
        return [StoredEvent(number, "session.updated", {"much": "x" * 10_000}) for number in range(seq + 1, seq + 101)]

    @contextmanager
    def watch(self, user_id: str) -> Iterator[asyncio.Event]:  # noqa: ARG002 - the port's
        """Tells when the stream is there, and when it has gone."""
        self.watching.set()
        try:
            yield asyncio.Event()
        finally:
            self.left.set()


async def test_a_client_that_does_not_read_is_cut(aiohttp_server: AiohttpServer) -> None:
    """It loses its connection, and the service what it kept for it."""
    record = Flood()
    app = make_app(DrivenSessions(), DrivenReadiness(), ApiOptions(version="1", send_seconds=0.1), record=record)
    server = await aiohttp_server(app)
    with socket.create_connection((str(server.host), int(server.port or 0))) as client:
        client.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: labs\r\n\r\n".encode())
        async with asyncio.timeout(30):
            await record.watching.wait()
            await record.left.wait()
        client.settimeout(30)
        assert await asyncio.to_thread(_rest, client) > 0


def _rest(client: socket.socket) -> int:
    """How many bytes arrive until the connection is closed, one way or the other."""
    read = 0
    with suppress(ConnectionResetError):
        while some := client.recv(1_000_000):
            read += len(some)
    return read


async def test_a_stop_ends_all_streams(world: World) -> None:
    """At once and properly: the client sees the end of the answer, and comes back later."""
    async with world.stream() as stream:
        assert await stream.next() is not None
        server = world.api.server
        assert server.runner is not None
        await server.runner.cleanup()
        assert await stream.next() is None


async def test_a_fault_ends_the_stream_and_says_no_more(world: World, log_lines_seen: list[Any]) -> None:
    """There is no other answer once it has begun. The log has the reason; the client comes back."""
    async with world.stream() as stream:
        assert await stream.next() is not None
        world.record.fault = RuntimeError("the disk is gone")
        await world.create()
        assert await stream.next() is None
    assert [line["event"] for line in log_lines_seen if line["log_level"] == "error"] == [
        "[Handler] ❌ Unhandled error"
    ]


async def test_a_head_of_the_stream_is_no_stream(world: World) -> None:
    """It says what a GET would get, and ends."""
    answer = await world.api.head(STREAM)
    assert (answer.status, answer.content_type) == (200, "text/event-stream")


async def test_an_id_that_nobody_can_have_has_no_events(world: World) -> None:
    """Not found, as everywhere."""
    assert (await refused(world, f"{SESSIONS}/user/%00/events"))[:2] == (404, "session_not_found")
    assert (await refused(world, f"{SESSIONS}/user/%00/last"))[:2] == (404, "no_ended_session")


async def test_a_door_without_a_record_says_so(aiohttp_client: AiohttpClient, world: World) -> None:
    """As a fault of the service."""
    bare: Api = await aiohttp_client(make_app(world.engine, DrivenReadiness(), ApiOptions(version="1")))
    for path in (STREAM, LAST):
        answer = await bare.get(path)
        assert (answer.status, (await answer.json())["code"]) == (500, "internal_error")


# --- the last session -------------------------------------------------------------------------------------


async def test_why_and_when_the_last_session_ended(world: World) -> None:
    """404 before, and while the first one runs; then the newest that has ended, whatever runs."""
    nothing = (404, "no_ended_session", "No lab session of this user has ended")
    assert await refused(world, LAST) == nothing
    await world.create(id="one")
    assert await refused(world, LAST) == nothing
    async with world.stream(Last_Event_ID="1") as stream:
        world.clock.advance(60 * MINUTE_MS + 250)
        assert await stream.some(2) == [("2", "session.cleaning"), ("3", "session.ended")]
    answer = await world.api.get(LAST)
    assert answer.status == 200
    expected = {
        "id": "one",
        "labId": "k8s-101",
        "created_at": "2027-01-15T08:00:00.000Z",
        "expires_at": "2027-01-15T09:00:00.000Z",
        "ended_at": "2027-01-15T09:00:00.250Z",
        "reason": "expired",
        "attempts": 1,
        "lateness_seconds": 0.25,
    }
    envelope = {"success": True, "data": expected, "message": "Last lab session retrieved successfully"}
    assert await answer.json() == envelope
    await world.create(id="two")
    assert await (await world.api.get(LAST)).json() == envelope
    await world.delete()
    data = (await (await world.api.get(LAST)).json())["data"]
    assert (data["id"], data["reason"], data["lateness_seconds"]) == ("two", "deleted", None)
