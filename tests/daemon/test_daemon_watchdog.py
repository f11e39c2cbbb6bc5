"""Signs of life are given from the event loop, and only while wake-ups are delivered."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from actors.testing import run_virtual
from labsessions.supervisor import Supervisor


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """A supervisor's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(str(tmp_path / "notify"))
        yield listener


def received(heard: socket.socket) -> int:
    """How many signs of life there were since the last look."""
    number = 0
    while True:
        try:
            assert heard.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return number
        number += 1


def test_it_is_silent_while_wake_ups_stand_still(heard: socket.socket) -> None:
    """From that moment on, and until they go on: then the supervisor's time has not run out yet, or it restarts us."""
    supervisor = Supervisor({"NOTIFY_SOCKET": heard.getsockname(), "WATCHDOG_USEC": "30000000"})
    assert supervisor.watchdog_seconds == 30
    well = True

    async def main() -> None:
        nonlocal well
        task = asyncio.create_task(supervisor.watch(lambda: well))
        await asyncio.sleep(25)
        assert received(heard) == 3  # at 0, 10 and 20 s
        well = False
        await asyncio.sleep(20)
        assert received(heard) == 0
        well = True
        await asyncio.sleep(10)
        assert received(heard) == 1
        task.cancel()
        await asyncio.wait([task])

    with capture_logs() as lines:
        run_virtual(main())
    assert [line["log_level"] for line in lines] == ["error", "error"]
    assert {line["event"] for line in lines} == {
        "the supervisor gets no sign of life: the dispatcher of wake-ups stands still"
    }


def test_a_socket_that_is_full_keeps_nobody(heard: socket.socket) -> None:
    """What doesn't go through is left out."""
    supervisor = Supervisor({"NOTIFY_SOCKET": heard.getsockname(), "WATCHDOG_USEC": "1000"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as filler:
        filler.connect(heard.getsockname())
        with suppress(BlockingIOError):
            for sent in count():  # noqa: B007 - the number that fitted
                filler.send(b"WATCHDOG=1")
        supervisor.ready()
    assert received(heard) == sent
