"""The mock backend as a process: its first line, its ready file, its end on a signal."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from aiohttp import ClientSession

from labsessions.mockbackend import Fault, Hang, Status, running, serve


async def address(capsys: pytest.CaptureFixture[str]) -> str:
    """The address in the first line of the output, as soon as it is there."""
    async with asyncio.timeout(5):
        while not (output := capsys.readouterr().out):  # noqa: ASYNC110 - output has no event
            await asyncio.sleep(0)
    first, _, url = str(output.splitlines()[0]).rpartition(" ")
    assert first == "mock lab backend listening on"
    return url


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder by name."""
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_until_a_signal(tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals) -> None:
    """The ready file appears whole and alone, calls are accepted by then, and a signal ends it, hanging call or not."""
    faults: list[Fault] = [Status(status=500, route="expose"), Hang(route="delete")]
    task = asyncio.create_task(serve("127.0.0.1", 0, tmp_path / "ready", "t", faults))
    url = await address(capsys)
    assert contents(tmp_path) == {"ready": url}
    async with ClientSession(headers={"Authorization": "Bearer t"}) as http:
        async with http.delete(f"{url}/api/v1/expose/", json={"lab_request_id": "vm-1"}) as response:
            assert response.status == 500
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await task


async def test_a_ready_file_is_not_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without one the address is in the first line only."""
    task = asyncio.create_task(serve("127.0.0.1", 0, None, None))
    assert (await address(capsys)).startswith("http://127.0.0.1:")
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        await task


async def test_a_taken_port_is_an_error() -> None:
    """The second server on a port doesn't start, and says so."""
    async with running() as mock:
        port = int(mock.url.rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)):
            await serve("127.0.0.1", port, None, None)


async def test_an_ipv6_address_is_a_proper_url() -> None:
    """The host is in brackets, so that clients can use the address as it is."""
    async with running(host="::1") as mock, ClientSession() as http:
        assert mock.url.startswith("http://[::1]:")
        async with http.get(f"{mock.url}/__state") as response:
            assert response.status == 200
