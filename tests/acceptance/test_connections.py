"""Clients that keep connections and say nothing, or say it very slowly."""

import asyncio
import resource
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from processes import ROOT, Process, world

CONNECTIONS = 10_000
OTHER_FILES = 200  # of this process and of the service


async def open_silent(service: Process, stack: AsyncExitStack, sent: bytes) -> None:
    """A connection on which no more than this is ever said."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    stack.callback(writer.close)
    writer.write(sent)


@pytest.mark.slow
async def test_ten_thousand_silent_connections_stop_nobody(tmp_path: Path) -> None:
    """Half of them in the middle of a head: others are served as ever, and the log has not grown."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CONNECTIONS + OTHER_FILES:
        pytest.skip(f"this system allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        async with world(tmp_path) as (service, client, _), AsyncExitStack() as stack:
            before = len(service.log())
            for number in range(CONNECTIONS):
                await open_silent(service, stack, b"GET / HTTP/1.1\r\n" if number % 2 else b"")
            assert len(service.log()) == before
            assert (await client.create("alice"))[0] == 201
            assert (await client.get("alice"))[0] == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_of_the_shell_is_raised() -> None:
    """To what the system lets the process have."""
    code = (
        "import resource as r; from labsessions.process import open_many_files; "
        "r.setrlimit(r.RLIMIT_NOFILE, (99, r.getrlimit(r.RLIMIT_NOFILE)[1])); open_many_files(); "
        "soft, hard = r.getrlimit(r.RLIMIT_NOFILE); assert soft == hard > 99, (soft, hard)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)  # noqa: S603 - our own code
