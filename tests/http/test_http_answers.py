"""How answers leave: written in one go where nothing of HTTP is to be decided, and aiohttp's way elsewhere."""

import asyncio

import pytest
from aiohttp import web
from http_driven import Api
from pytest_aiohttp.plugin import AiohttpClient

from labsessions.http.wire import json_answer


@pytest.fixture(name="address")
async def _address(aiohttp_client: AiohttpClient) -> tuple[str, int]:
    """Where a server with one route listens."""

    async def show(_: web.Request) -> web.Response:
        return json_answer({"ok": True})

    app = web.Application()
    app.router.add_get("/", show)
    client = await aiohttp_client(app)
    return str(client.host), int(client.port or 0)


async def spoken(address: tuple[str, int], *requests: str) -> str:
    """All that the server says to these requests on one connection, until it closes it."""
    reader, writer = await asyncio.open_connection(*address)
    for request in requests:
        writer.write(request.replace("\n", "\r\n").encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_the_connection_stays_for_http_1_1(address: tuple[str, int]) -> None:
    """Two requests on one connection get two whole answers; the one that asks for it closes the connection."""
    said = await spoken(address, "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\nHost: x\nConnection: close\n\n")

    first, second = said.split("HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith('\r\n\r\n{"ok":true}')
    assert second.endswith('\r\n\r\n{"ok":true}')
    assert "Connection: close" not in first
    assert "Connection: close" in second
    for name in ("Content-Length: 11", "Content-Type: application/json", "Date: "):
        assert (first.count(name), second.count(name)) == (1, 1)


async def test_http_1_0_is_answered_and_closed(address: tuple[str, int]) -> None:
    """An old client gets its answer, and the end of the connection."""
    said = await spoken(address, "GET / HTTP/1.0\n\n")

    assert said.startswith("HTTP/1.0 200 OK\r\n")
    assert said.endswith('\r\n\r\n{"ok":true}')


async def test_head_has_the_head_only(address: tuple[str, int]) -> None:
    """HEAD says how long the body would be, and sends none."""
    said = await spoken(address, "HEAD / HTTP/1.1\nHost: x\nConnection: close\n\n")

    assert "Content-Length: 11\r\n" in said
    assert said.endswith("\r\n\r\n")


async def test_requests_that_come_at_once_are_answered_in_order(address: tuple[str, int]) -> None:
    """Pipelined requests: as many whole answers, and the last one's wish to close is obeyed."""
    said = await spoken(address, "GET / HTTP/1.1\nHost: x\n\n" * 20 + "GET / HTTP/1.1\nHost: x\nConnection: close\n\n")

    assert said.count("HTTP/1.1 200 OK\r\n") == 21
    assert said.count('{"ok":true}') == 21


async def test_the_date_is_the_current_second(api: Api) -> None:
    """A browser corrects its clock by it: two answers of one second say the same, as RFC 9110 writes it."""
    async with api.get("/health/live") as answer:
        weekday, day, month, year, time, zone = answer.headers["Date"].split()

    assert (len(weekday), len(day), len(month), len(year), len(time), zone) == (4, 2, 3, 4, 8, "GMT")
