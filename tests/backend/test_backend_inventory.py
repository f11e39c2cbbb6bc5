"""The backend's list of VMs: whole and understood to the last entry, or none at all."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from labsessions.backend import BackendInventory, BackendSettings, open_client
from labsessions.inventory import ListedVm, OrphansError
from labsessions.mockbackend import Hang, NonJson, Status, Vm, running

TOKEN = "s3cret/token+x"
PATH = "/api/v1/labs"
OLDER = '{"lab_request_id": "a", "created_at": "1970-01-01T00:00:01Z"}'
YOUNGER = '{"lab_request_id": "a", "created_at": "1970-01-01T00:00:02Z"}'


@asynccontextmanager
async def inventory_at(
    url: str | None, token: str | None = TOKEN, most_bytes: int = 10_000, **settings: Any
) -> AsyncIterator[BackendInventory]:
    """The list of a backend at this address."""
    options = BackendSettings(url=url, token=token, **{"call_timeout_seconds": 5.0, "quick_retries": 0} | settings)
    async with open_client(options) as client:
        yield BackendInventory(client, PATH, most_bytes)


async def listed(server: AiohttpServer, answer: web.Response) -> list[ListedVm]:
    """What is understood of this answer."""

    async def handler(_: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_get(PATH, handler)
    running_server = await server(app)
    async with inventory_at(str(running_server.make_url("/")), most_bytes=200) as inventory:
        return await inventory.listed()


async def test_a_list_is_asked_for_with_the_token_and_understood() -> None:
    """Ids, and what else is there; members that we don't know are passed over."""
    async with running(token=TOKEN) as mock, inventory_at(mock.url) as inventory:
        mock.put_vms(
            Vm(lab_request_id="vm-1", created_at="2026-11-25T08:00:00.001Z", user_id="ann"),
            Vm(lab_request_id="vm-2", created_at="2026-11-25T09:00:00+01:00"),
            Vm(lab_request_id="vm-3"),
        )
        assert await inventory.listed() == [
            ListedVm("vm-1", 1_795_593_600_001, "ann"),
            ListedVm("vm-2", 1_795_593_600_000, None),
            ListedVm("vm-3", None, None),
        ]
        assert [(call.route, call.status) for call in mock.calls()] == [("list", 200)]


async def test_an_empty_list_is_a_list() -> None:
    """If that is what the backend says."""
    async with running(token=TOKEN) as mock, inventory_at(mock.url) as inventory:
        assert await inventory.listed() == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('[{"lab_request_id": "a", "created_at": "2026-11-25T08:00:00"}]', [ListedVm("a", None, None)]),
        ('[{"lab_request_id": "a", "created_at": null, "user_id": ""}]', [ListedVm("a", None, None)]),
        ('[{"lab_request_id": "a", "state": {"x": [1]}}]', [ListedVm("a", None, None)]),
        (f"[{OLDER}, {YOUNGER}]", [ListedVm("a", 2000, None)]),
        (f'[{{"lab_request_id": "a"}}, {YOUNGER}]', [ListedVm("a", None, None)]),
    ],
    ids=["no zone", "nulls", "more members", "twice", "twice, once without age"],
)
async def test_what_isnt_certain_makes_a_vm_younger_or_of_unknown_age(
    aiohttp_server: AiohttpServer, body: str, expected: list[ListedVm]
) -> None:
    """Never older: by its age a VM may be deleted."""
    assert await listed(aiohttp_server, web.Response(text=body, content_type="application/json")) == expected


VM = {"lab_request_id": "a"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "{}",
        json.dumps({"data": [VM]}),
        json.dumps([VM, {}]),
        json.dumps([VM, {"lab_request_id": ""}]),
        json.dumps([VM, {"lab_request_id": 7}]),
        json.dumps([VM, "b"]),
        json.dumps([VM, {**VM, "created_at": "yesterday"}]),
        json.dumps([VM, {**VM, "created_at": 1_795_593_600}]),
        json.dumps([VM, VM])[:-1],
        "<html>",
        '[{"lab_request_id": "\udcff"}]',
    ],
)
async def test_an_answer_that_is_not_understood_is_an_error(aiohttp_server: AiohttpServer, body: str) -> None:
    """Also if most of it would be: an entry more or less is somebody's VM."""
    with pytest.raises(OrphansError):
        await listed(aiohttp_server, web.Response(body=body.encode(errors="surrogateescape")))


@pytest.mark.parametrize("status", [201, 204, 206, 304, 307, 401, 404, 500])
async def test_any_status_but_200_is_an_error(aiohttp_server: AiohttpServer, status: int) -> None:
    """A 206 is a part, and whatever else it is, it isn't the list."""
    with pytest.raises(OrphansError, match=str(status)):
        await listed(aiohttp_server, web.Response(body=None if status in {204, 304} else b"[]", status=status))


async def test_the_first_page_of_more_is_an_error(aiohttp_server: AiohttpServer) -> None:
    """As the header says that the rest is elsewhere. Another relation is none."""
    links = {"Link": '</api/v1/labs?page=2>; rel="next"'}
    with pytest.raises(OrphansError, match="first page"):
        await listed(aiohttp_server, web.Response(text="[]", headers=links))
    assert await listed(aiohttp_server, web.Response(text="[]", headers={"Link": '</docs>; rel="help"'})) == []


async def test_a_list_that_breaks_off_or_never_comes_is_an_error() -> None:
    """No answer, a page, an error: each says why."""
    async with running(token=TOKEN) as mock, inventory_at(mock.url, call_timeout_seconds=0.2) as inventory:
        mock.add_fault(NonJson(route="list", times=1), Status(status=503, route="list", times=1), Hang(route="list"))
        for words in ("not an array of VMs", "HTTP 503", "timed out"):
            with pytest.raises(OrphansError, match=words):
                await inventory.listed()
    async with inventory_at("http://127.0.0.1:1") as inventory:
        with pytest.raises(OrphansError, match="refused connection"):
            await inventory.listed()


@pytest.mark.parametrize("sent", [b'[{"lab_request_id": "a"}]', b'[{"lab_request_id": "a"}'])
async def test_less_than_was_announced_is_an_error(sent: bytes) -> None:
    """Even if it reads like a list."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + sent)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, inventory_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as inventory:
        with pytest.raises(OrphansError, match="broke off"):
            await inventory.listed()


async def test_more_than_is_read_is_an_error(aiohttp_server: AiohttpServer) -> None:
    """Exactly as much is read whole, a byte more is none."""
    assert await listed(aiohttp_server, web.Response(text="[]".ljust(200))) == []
    with pytest.raises(OrphansError, match="longer than 200 bytes"):
        await listed(aiohttp_server, web.Response(text="[]".ljust(201)))


async def test_without_address_or_token_nothing_is_asked() -> None:
    """And the error says what to set."""
    for url, token, name in ((None, TOKEN, "BACKEND_API_URL"), ("http://127.0.0.1:1", None, "BACKEND_API_TOKEN")):
        async with inventory_at(url, token) as inventory:
            with pytest.raises(OrphansError, match=f"{name} is not set"):
                await inventory.listed()
