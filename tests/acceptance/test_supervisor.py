"""The real process under a supervisor that speaks systemd's protocol, and on a terminal that goes away."""

import asyncio
import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from processes import INHERITED, ROOT, Process, until

ENDLESS_WATCHDOG = "600000000"  # microseconds: ten minutes


class Listener:
    """A supervisor's socket; `said` has each message."""

    def __init__(self, name: str) -> None:
        self.said: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        self.said.append(dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines()))

    def words(self) -> list[str]:
        """What was said, in order, but for signs of life."""
        return [next(iter(message)) for message in self.said if "WATCHDOG" not in message]

    async def heard(self, *words: str) -> None:
        """Wait until just these have been said."""

        async def all_of_them() -> bool:
            return len(self.words()) >= len(words)

        await until(all_of_them, f"{words}; it said {self.said}")
        assert self.words() == list(words)

    async def alive(self, times: int) -> None:
        """Wait for so many more signs of life."""
        before = self._signs()

        async def enough() -> bool:
            return self._signs() >= before + times

        await until(enough, "signs of life")

    def _signs(self) -> int:
        return sum(message.get("WATCHDOG") == "1" for message in self.said)

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@asynccontextmanager
async def supervised(folder: Path, address: str, **env: str) -> AsyncIterator[tuple[Process, Listener]]:
    """A service that was started by a supervisor at this address."""
    listener = Listener(address)
    arguments = ("serve", "--port", "0", "--data-dir", str(folder / "data"))
    process = Process(folder, "service", *arguments, NOTIFY_SOCKET=address, **env)
    try:
        await process.launch()
        yield process, listener
    finally:
        await process.end()
        listener.close()


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
async def test_it_says_what_it_does(tmp_path: Path, *, abstract: bool) -> None:
    """Ready once it accepts requests; at SIGHUP when it reads, and again when it has; the end before it stops."""
    address = f"@labsessions-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    async with supervised(tmp_path, address) as (process, listener):
        await listener.heard("READY")
        assert (tmp_path / "service.ready").exists()
        process.send(signal.SIGHUP)
        await listener.heard("READY", "RELOADING", "READY")
        reloading = listener.said[1]
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert await process.end() == 0
        await listener.heard("READY", "RELOADING", "READY", "STOPPING")
        assert not any("WATCHDOG" in message for message in listener.said)


async def test_it_gives_signs_of_life(tmp_path: Path) -> None:
    """Several in the time after which it would be killed, for as long as it lives."""
    async with supervised(tmp_path, str(tmp_path / "notify"), WATCHDOG_USEC="300000") as (_, listener):
        await listener.heard("READY")
        await listener.alive(4)


@pytest.mark.parametrize(
    "env",
    [{}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": ENDLESS_WATCHDOG, "WATCHDOG_PID": "1"}],
    ids=["none", "empty", "nonsense", "of another process"],
)
async def test_it_gives_none_unless_it_is_asked_to(tmp_path: Path, env: dict[str, str]) -> None:
    """Nor does it fail for it."""
    async with supervised(tmp_path, str(tmp_path / "notify"), **env) as (process, listener):
        await listener.heard("READY")
        assert await process.end() == 0
        await listener.heard("READY", "STOPPING")
        assert len(listener.said) == 2


async def test_a_supervisor_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    """There is no such socket; all the same it serves, reloads and stops."""
    nowhere = {"NOTIFY_SOCKET": str(tmp_path / "nowhere"), "WATCHDOG_USEC": "10000"}
    process = Process(tmp_path, "service", "--port", "0", **nowhere)
    await process.start()
    process.send(signal.SIGHUP)

    async def reloaded() -> bool:
        return "settings are reloaded" in process.log()

    await until(reloaded, "the settings to be read")
    assert await process.end() == 0


@contextmanager
def on_a_terminal(folder: Path, *, ignoring: bool) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A service whose controlling terminal is one of ours, and our end of it; with SIGHUP `ignoring` as by nohup."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        # Either way: what the tests were started by may ignore it itself.
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignoring else signal.SIG_DFL)

    inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    command = [sys.executable, str(ROOT / "run.py"), "--port", "0", "--ready-file", "ready"]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(  # noqa: S603 - our own interpreter and program
            command,
            cwd=folder,
            env=inherited,
            stdin=theirs,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - nothing else runs in this process
        ) as process,
    ):
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()


async def ended(process: "subprocess.Popen[bytes]") -> int:
    """Its exit status, once it has one."""

    async def status() -> list[int]:
        return [] if (code := process.poll()) is None else [code]

    (code,) = await until(status, "the process to end")
    return int(code)


async def test_it_ends_with_its_terminal(tmp_path: Path) -> None:
    """As everything does whose window is closed: in order, and not as a reload."""
    with on_a_terminal(tmp_path, ignoring=False) as (process, terminal):

        async def serves() -> bool:
            return (tmp_path / "ready").exists()

        await until(serves, "the service")
        os.kill(process.pid, signal.SIGHUP)

        async def reloaded() -> bool:
            return "settings are reloaded" in (tmp_path / "log").read_text()

        await until(reloaded, "a reload while the terminal is there")
        os.close(terminal)
        assert await ended(process) == 0
    assert '"stopped"' in (tmp_path / "log").read_text()


async def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    """Then its hang-up is a reload like any other."""
    with on_a_terminal(tmp_path, ignoring=True) as (process, terminal):

        async def serves() -> bool:
            return (tmp_path / "ready").exists()

        await until(serves, "the service")
        os.close(terminal)

        async def reloaded() -> bool:
            return "settings are reloaded" in (tmp_path / "log").read_text()

        await until(reloaded, "the hang-up to be taken for a reload")
        os.kill(process.pid, signal.SIGTERM)
        assert await ended(process) == 0
