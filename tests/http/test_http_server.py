"""The server beneath the door: what isn't HTTP, heads that never end, and how little is logged of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from http_driven import SESSIONS, DrivenReadiness, DrivenSessions
from structlog.testing import capture_logs

from labsessions import log_lines
from labsessions.http import ApiOptions, make_app
from labsessions.http.server import LINES, PERIOD_SECONDS, Runner, Sparingly

NONSENSE = b"nonsense\r\n\r\n"


@asynccontextmanager
async def served(app: web.Application, **settings: Any) -> AsyncIterator[tuple[str, int]]:
    """Where it listens, as in production."""
    runner = Runner(app, access_log=None, **settings)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield host, port
    finally:
        await runner.cleanup()


async def said(address: tuple[str, int], sent: bytes, then: bytes = b"") -> bytes:
    """All that the server says until it closes the connection; `then` is sent when it has read what was sent first."""
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(sent)
            if then:
                assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
                assert await reader.readline() == b"\r\n"
                writer.write(then)
            heard = b""
            with suppress(ConnectionResetError):  # the close of a server that hasn't read all
                while some := await reader.read(4096):
                    heard += some
            return heard
        finally:
            writer.close()


@pytest.fixture
def app(engine: DrivenSessions, readiness: DrivenReadiness) -> web.Application:
    """The front door."""
    return make_app(engine, readiness, ApiOptions(version="1"))


async def test_a_malformed_request_is_refused_like_any_other(app: web.Application) -> None:
    """The envelope, a request id to find the line by, and the end of the connection."""
    with capture_logs() as lines:
        async with served(app) as address:
            head, _, body = (await said(address, NONSENSE)).partition(b"\r\n\r\n")
    answer = json.loads(body)
    assert b"X-Request-ID: " + answer["request_id"].encode() in head
    assert answer == {
        "success": False,
        "error": "Not a valid HTTP request",
        "code": "malformed_request",
        "request_id": answer["request_id"],
    }
    assert lines == [
        {
            "event": log_lines.REFUSED,
            "log_level": "warning",
            "status": 400,
            "reason": "Not a valid HTTP request",
            "remote": "127.0.0.1",
            "request_id": answer["request_id"],
        }
    ]


async def test_https_is_told_what_it_met(app: web.Application) -> None:
    """The usual mistake has a text of its own."""
    async with served(app) as address:
        answer = await said(address, bytes.fromhex("16030100c8010000c40303") + bytes(180))
    assert b"HTTPS was spoken where HTTP is" in answer


async def test_many_malformed_requests_leave_a_few_lines(app: web.Application) -> None:
    """All connections together have so many lines, whatever the number of requests."""
    with capture_logs() as lines:
        async with served(app) as address:
            for _ in range(LINES + 5):
                assert b"malformed_request" in await said(address, NONSENSE)
    assert len(lines) == LINES


def test_lines_are_counted_by_period() -> None:
    """So many in a period; the first of the next one tells how many were left out."""
    lines = Sparingly(lines=2, seconds=10)
    assert [lines.may_say(now) for now in (5, 6, 7, 14.9, 15, 16, 16.5)] == [0, 0, None, None, 2, 0, None]
    assert LINES <= 10 <= PERIOD_SECONDS


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"])
async def test_a_head_that_never_ends_ends_the_connection(app: web.Application, sent: bytes) -> None:
    """After the time for an idle connection, whether a request was answered before or not; nothing is logged."""
    with capture_logs() as lines:
        async with served(app, keepalive_timeout=0.01) as address:
            assert (await said(address, sent)).startswith(b"HTTP/1.1 200 ") is (b"health" in sent)
    assert lines == []


async def test_a_body_that_turns_into_garbage_is_the_clients_fault(
    engine: DrivenSessions, readiness: DrivenReadiness
) -> None:
    """Chunks whose size is none, after the head was taken: no more of it comes in its time, and there is no session."""
    app = make_app(engine, readiness, ApiOptions(version="1", body_seconds=0.1))
    head = f"POST {SESSIONS} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    async with served(app, lingering_time=0.1) as address:
        answer = await said(address, head, then=b"zz\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert engine.asked == []


async def test_rubbish_that_calls_itself_gzip_leaves_one_line(
    app: web.Application, caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal; not also the server's own complaint about the rest of the body."""
    body = b"no gzip"
    head = f"POST {SESSIONS} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    with capture_logs() as lines:
        async with served(app) as address:
            assert b"body_unreadable" in await said(address, head.encode() + body)
    assert [line["event"] for line in lines] == [log_lines.REFUSED]
    assert caplog.records == []


async def test_a_fault_beyond_the_door_has_no_details() -> None:
    """Should a handler fail where no door is, the answer is the 500 of all faults, and the log has the cause."""

    async def fails(_: web.Request) -> web.Response:
        raise RuntimeError("the cause")

    bare = web.Application()
    bare.router.add_get("/", fails)
    with capture_logs() as lines:
        async with served(bare) as address:
            answer = await said(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b'"code":"internal_error"' in answer
    assert b"the cause" not in answer
    assert [line["event"] for line in lines] == [log_lines.UNHANDLED]
    assert str(lines[0]["exc_info"]) == "the cause"


async def test_a_fault_within_an_answer_ends_the_connection() -> None:
    """No second answer is written behind a part of the first."""

    async def fails(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"a part")
        raise RuntimeError("the cause")

    bare = web.Application()
    bare.router.add_get("/", fails)
    async with served(bare) as address:
        answer = await said(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.count(b"HTTP/1.1") == 1
