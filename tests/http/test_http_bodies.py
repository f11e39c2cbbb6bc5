"""How a body is read: the limit to the byte, whatever way it comes, and bodies that break off."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from http_driven import SESSIONS, Api, DrivenReadiness, DrivenSessions, lab_body, send_raw
from structlog.testing import capture_logs

from labsessions import log_lines
from labsessions.http import ApiOptions, make_app

LIMIT = 2048
HEAD = f"POST {SESSIONS} HTTP/1.1\r\nHost: x\r\n".encode()


@pytest.fixture
def options() -> ApiOptions:
    """A limit small enough to send many bodies around it."""
    return ApiOptions(version="1", max_body_bytes=LIMIT)


def padded(size: int) -> bytes:
    """A valid body of exactly so many bytes."""
    body = json.dumps(lab_body()).encode()
    return body + b" " * (size - len(body))


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    """The body in pieces, so that it is sent without a length."""
    for start in range(0, len(body), 500):
        yield body[start : start + 500]


@pytest.mark.parametrize(("size", "status"), [(LIMIT - 1, 201), (LIMIT, 201), (LIMIT + 1, 413)])
async def test_limit(api: Api, size: int, status: int) -> None:
    """Exactly the limit is accepted, one byte more is refused."""
    async with api.post(SESSIONS, data=padded(size)) as answer:
        assert answer.status == status


@pytest.mark.parametrize(("size", "status"), [(LIMIT - 1, 201), (LIMIT, 201), (LIMIT + 1, 413)])
async def test_limit_of_chunks(api: Api, size: int, status: int) -> None:
    """So it is when the body comes in chunks, of unknown length."""
    async with api.post(SESSIONS, data=in_chunks(padded(size))) as answer:
        assert answer.status == status


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 201), (LIMIT + 1, 413), (5_000_000, 413)])
async def test_limit_of_compressed_bodies(api: Api, size: int, status: int) -> None:
    """What counts is the size after decompression."""
    headers = {"Content-Encoding": "gzip"}
    async with api.post(SESSIONS, data=gzip.compress(padded(size)), headers=headers) as answer:
        assert answer.status == status


async def test_announced_length_is_enough(api: Api) -> None:
    """A length over the limit is refused at once: not a byte of the body is waited for."""
    status, body = await send_raw(api, HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
    assert (status, json.loads(body)["error"]) == (413, "Request body too large")


async def test_default_limit() -> None:
    """The contract's limit is 256 KiB."""
    assert ApiOptions(version="1").max_body_bytes == 256 * 1024


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; a=b"])
async def test_content_type_is_ignored(api: Api, content_type: str) -> None:
    """JSON is JSON, whatever it is called."""
    async with api.post(SESSIONS, data=padded(LIMIT), headers={"Content-Type": content_type}) as answer:
        assert answer.status == 201


async def test_no_body_is_read_where_none_is_needed(api: Api) -> None:
    """A DELETE with a body is a DELETE."""
    async with api.post(SESSIONS, json=lab_body()) as answer:
        assert answer.status == 201
    async with api.delete(f"{SESSIONS}/ada", data=b"{nonsense") as answer:
        assert answer.status == 200


async def test_compressed_rubbish(api: Api) -> None:
    """A body that is not what its encoding says is the client's fault."""
    async with api.post(SESSIONS, data=b"no gzip at all", headers={"Content-Encoding": "gzip"}) as answer:
        assert answer.status == 400
        assert (await answer.json())["code"] == "body_unreadable"


async def test_a_client_that_goes_away(engine: DrivenSessions, readiness: DrivenReadiness, options: ApiOptions) -> None:
    """A body that breaks off is no session and no fault of the service.

    On a runner as it is in production: the one of aiohttp's test client cancels a handler whose client has gone.
    """
    runner = web.AppRunner(make_app(engine, readiness, options))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    logged = asyncio.Event()

    def note(_: Any, __: str, line: Any) -> Any:
        logged.set()
        return line

    with capture_logs(processors=[note]) as lines:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
            writer.write(b"{")
            writer.close()
            await writer.wait_closed()
            await logged.wait()
            await runner.cleanup()
    assert [(line["event"], line["reason"]) for line in lines] == [
        (log_lines.REFUSED, "Request body could not be read")
    ]
    assert engine.asked == []


async def test_many_bodies_on_one_connection(api: Api) -> None:
    """After a refusal of a body the next request is answered."""
    for size, status in ((LIMIT + 1, 413), (LIMIT, 201), (LIMIT * 50, 413), (LIMIT, 409)):
        async with api.post(SESSIONS, data=padded(size)) as answer:
            assert answer.status == status


async def test_a_body_that_comes_too_slowly_is_given_up(engine: DrivenSessions, readiness: DrivenReadiness) -> None:
    """408, the connection is closed, nothing has been created; one that comes in pieces but in time is accepted."""
    body = json.dumps(lab_body()).encode()
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    for seconds, status in ((0.0, 408), (60.0, 201)):
        options = ApiOptions(version="1", body_seconds=seconds)
        server = TestServer(make_app(engine, readiness, options))
        async with server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(head + body[:10])
            await writer.drain()
            if status == 201:
                await asyncio.sleep(0)
                writer.write(body[10:])
            answer = await reader.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert (b'"code":"body_too_slow"' in answer) is (status == 408)
            assert (b"Connection: close" in answer) is (status == 408)
            assert len(engine.states) == (status == 201)
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"duration":1,"duration":1}', "duration"),
        (b'{"duration" :1,"duration":2}', "duration"),
        (b'{"duration"\n:1,"duration"\t:2}', "duration"),
        (b'{"a":"\\":","b":{"duration":1,"duration":null}}', "duration"),
        (b'{"a":[{"worker_lab_request_id":"x","worker_lab_request_id":"y"}]}', "worker_lab_request_id"),
        (b'{"duration":1,"\\u0064uration":2}', "duration"),
        (b'{"duration":1,"duration":"\\u0022:"}', "duration"),
        (b'{"duration":1,"duration":"\\"\\u003a"}', "duration"),
        (b'{"duration":1,"duration":"\\"\\u003A"}', "duration"),
        (b'{"%s":1,"%s":2}' % (b"x" * 100, b"x" * 100), "x" * 64),
    ],
)
async def test_a_member_twice(api: Api, body: bytes, name: str) -> None:
    """Refused by its name at any depth, however it is written: which one is meant, nobody can know."""
    async with api.put(f"{SESSIONS}/ada", data=body) as answer:
        assert answer.status == 400
        content = await answer.json()
        assert (content["error"], content["code"]) == (
            f"Field '{name}' must be there once, got it again",
            "invalid_field",
        )


@pytest.mark.parametrize("body", [b'{"duration" : 5}', b'{"duration":5,"terminal_url":"a\\":b :"}', b'{"duration":5}'])
async def test_what_only_looks_like_a_member_twice(api: Api, body: bytes) -> None:
    """Names in other objects, colons in strings and spaces before them are nothing to refuse."""
    async with api.post(SESSIONS, data=padded(LIMIT)) as answer:
        assert answer.status == 201
    async with api.put(f"{SESSIONS}/ada", data=body) as answer:
        assert answer.status == 200
