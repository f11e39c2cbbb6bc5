"""`run.py demo` as a process: its table and exit status, and that nothing is left of it, however it ends."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from processes import DEADLINE_SECONDS, INHERITED, ROOT, until
from rich.console import Console

from labsessions import log_lines
from labsessions.children import Child, ChildError, running
from labsessions.demo import run_demo
from labsessions.demo.scenarios import SCENARIOS, Scenario
from labsessions.demo.screen import Screen
from labsessions.demo.watch import Watch

A_MINUTE = 60.0
INTERRUPTED = 130


@asynccontextmanager
async def demo(folder: Path, stdout: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The demo in a process group of its own, with the folder for its temporary files, in a hostile environment."""
    inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    misleading = {"API_TOKEN": "secret", "BACKEND_API_URL": "http://127.0.0.1:1", "LABSESSIONS_PORT": "nonsense"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "run.py"), "demo"),
        cwd=folder,
        env={**inherited, **misleading, "TMPDIR": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def nothing_is_left(process: asyncio.subprocess.Process, folder: Path) -> bool:
    """Whether no process of the demo's group runs and its temporary folder is gone."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return list(folder.iterdir()) == []
    return False


async def test_the_demo_goes_as_expected_within_a_minute_and_leaves_nothing(tmp_path: Path) -> None:
    """Exit status 0, a ✅ for each scenario, and each cleanup told by client, service and backend on the way."""
    async with demo(tmp_path, asyncio.subprocess.PIPE) as process:
        output, _ = await asyncio.wait_for(process.communicate(), A_MINUTE)
        assert await nothing_is_left(process, tmp_path)
    shown = output.decode()
    assert process.returncode == 0, shown
    assert shown.count("✅ │") == len(SCENARIOS)
    assert "❌ │" not in shown
    assert "\x1b" not in shown
    told = [
        "client  alice POST: a single VM, 3 s → 201",
        f"service alice {log_lines.SCHEDULED}",
        f"service alice {log_lines.ALARM}",
        "backend alice POST labs/delete alice-vm → 202",
        f"service alice {log_lines.CLEANED}",
        "All 5 scenarios went as expected.",
    ]
    positions = [shown.index(line) for line in told]
    assert positions == sorted(positions)
    # Client and service are two processes: which of them is read first of one end is anybody's guess.
    assert positions[3] < shown.index("client  alice GET → 404") < positions[-1]
    assert shown.count("POST labs/delete carol-vm → 503") == 2
    assert "POST labs/delete dave-vm" not in shown


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGHUP, False)],
    ids=["Ctrl-C", "SIGINT", "SIGTERM", "SIGHUP"],
)
@pytest.mark.slow
async def test_a_signal_ends_the_demo_and_all_that_it_has_started(
    tmp_path: Path, number: signal.Signals, *, whole_group: bool
) -> None:
    """Exit status 130; a terminal's Ctrl-C reaches the children too, a `kill` only the demo."""
    async with demo(tmp_path, asyncio.subprocess.PIPE) as process:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while log_lines.CREATED not in (await process.stdout.readline()).decode():
                pass
        (os.killpg if whole_group else os.kill)(process.pid, number)
        rest, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
        assert process.returncode == INTERRUPTED
        assert "Traceback" not in rest.decode()
        assert await nothing_is_left(process, tmp_path)


@pytest.mark.slow
async def test_a_reader_that_goes_away_ends_the_demo(tmp_path: Path) -> None:
    """`run.py demo | head -1` leaves nothing running."""
    reading, writing = os.pipe()
    async with demo(tmp_path, writing) as process:
        os.close(writing)
        assert os.read(reading, 5) == b"Labs "
        os.close(reading)
        assert await asyncio.wait_for(process.wait(), DEADLINE_SECONDS) != 0
        await until(lambda: nothing_is_left(process, tmp_path), "the end of all that the demo has started")


@pytest.mark.slow
async def test_a_difference_is_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Two labs of one user are more than the service allows, so one of the expectations must fail."""
    lab = Scenario(user="zoe", title="a VM", expected="deleted", minutes=0.01)
    assert await run_demo([lab, lab]) == 1
    shown = capsys.readouterr().out
    assert "❌" in shown
    assert "POST 409" in shown
    assert "scenarios went differently" in shown


async def test_a_demo_that_cannot_begin_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 and a sentence, no traceback: here the package that shall run is hidden by an empty one."""
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nprint('out of order', flush=True)\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert await run_demo() == 1
    shown = capsys.readouterr().out
    assert "The demo has failed: mock-backend does not serve" in shown
    assert "out of order" in shown


async def test_a_command_that_does_not_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """The reason stands in the error."""
    with pytest.raises(ChildError, match="--fault"):
        async with running(tmp_path, "mock-backend", "--fault", "nonsense"):
            pytest.fail("it serves")


async def test_a_command_that_does_not_stop_is_killed_even_if_the_demo_is_cancelled_meanwhile(tmp_path: Path) -> None:
    """A stopped process heeds no SIGTERM; it is gone when the block is left all the same."""
    children: list[Child] = []

    async def leave_cancelled() -> None:
        async with running(tmp_path, "mock-backend") as child:
            children.append(child)
            child.process.send_signal(signal.SIGSTOP)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(leave_cancelled())
    assert children[0].process.returncode == -signal.SIGKILL


async def test_without_the_backends_record_there_is_no_verdict(tmp_path: Path) -> None:
    """An empty record would look like a service that asks nothing, which is what one of the labs expects."""
    async with running(tmp_path, "mock-backend") as backend, aiohttp.ClientSession() as http:
        watch = Watch(Screen(Console(file=io.StringIO()), SCENARIOS), http, backend, backend)
        assert (await watch.last_look())[0] == []
        backend.process.kill()
        await backend.process.wait()
        with pytest.raises(ChildError, match="record can't be read: ClientConnectorError"):
            await watch.last_look()


async def test_the_lines_of_a_child_are_handed_out_once_and_whole(tmp_path: Path) -> None:
    """Half a line waits for its other half."""
    async with running(tmp_path, "mock-backend") as child:
        output = tmp_path / "mock-backend.log"
        assert [f"mock lab backend listening on {child.url}"] == child.new_lines()
        with output.open("a") as log:
            log.write("half")
            log.flush()
            assert child.new_lines() == []
            log.write(" a line\nand")
        assert child.new_lines() == ["half a line"]
        assert child.new_lines() == []
