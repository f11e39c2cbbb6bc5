"""How log lines reach the stream: whole, in order, and never at the cost of the service."""

import asyncio
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

import pytest
import structlog

from labsessions import log_lines, logs

if TYPE_CHECKING:
    from typing_extensions import Buffer


@pytest.fixture(autouse=True)
def _configuration_is_undone() -> Iterator[None]:
    """Logging is global; leave it as it was found."""
    root, ours = logging.getLogger(), logging.getLogger("actors")
    before, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    ours.setLevel(our_level)
    structlog.reset_defaults()


class Raw(io.FileIO):
    """Remembers each write that would reach the operating system."""

    def __init__(self) -> None:
        super().__init__(os.devnull, "w")
        self.writes: list[bytes] = []

    def write(self, data: "Buffer", /) -> int:
        """Take all of it."""
        self.writes.append(bytes(data))
        return len(self.writes[-1])


class Failing(io.StringIO):
    """Fails on every write, in a given way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, _text: str, /) -> int:
        """Fail."""
        raise self.error


@pytest.mark.parametrize("size", [1, 4096, 8192, 100_000])
def test_one_write_for_each_line(size: int) -> None:
    """A line is not interleaved with another process's, and is out at once."""
    raw = Raw()
    with io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8") as stream:
        logs.configure("info", "json", stream)
        structlog.get_logger().info("x" * size)
        logging.getLogger("actors").info("y" * size)
        assert [write.count(b"\n") for write in raw.writes] == [1, 1]
        assert all(write.endswith(b"}\n") for write in raw.writes)


def test_emoji_whatever_the_locale() -> None:
    """A stream in ASCII is switched to UTF-8: the contract's lines have emoji."""
    raw = Raw()
    with io.TextIOWrapper(io.BufferedWriter(raw), encoding="ascii") as stream:
        logs.configure("info", "console", stream)
        structlog.get_logger().info(log_lines.CREATED, user_id="\ud800")
        assert log_lines.CREATED.encode() in raw.writes[0]
        assert b"\\ud800" in raw.writes[0]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError("closed file"), RuntimeError("reentrant call")]
)
def test_a_line_that_cannot_be_written_is_lost(error: Exception) -> None:
    """And the next one is tried again."""
    stream = Failing(error)
    logs.configure("info", "json", stream)
    structlog.get_logger().info("lost")
    logging.getLogger("actors").info("lost")


def test_a_closed_stream() -> None:
    """Closed before or after: lines are lost, nothing is raised."""
    stream = io.StringIO()
    logs.configure("info", "auto", stream)
    stream.close()
    structlog.get_logger().info("lost")
    logs.configure("info", "auto", stream)
    structlog.get_logger().info("lost")


def test_no_stream_at_all() -> None:
    """Python has no `sys.stdout` if it is started with a closed one."""
    with contextlib.redirect_stdout(None):
        logs.configure("info", "auto")
    structlog.get_logger().info("lost")


def test_a_broken_pipe_without_a_descriptor() -> None:
    """A stream in memory has nothing to redirect."""
    logs.configure("info", "json", Failing(BrokenPipeError()))
    structlog.get_logger().info("lost")


def test_stdout_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """As it is when `configure` is called."""
    logs.configure("info", "auto")
    structlog.get_logger().info("here")
    assert '"event":"here"' in capsys.readouterr().out


def test_a_broken_pipe_is_forgotten() -> None:
    """Once the reader is gone, lines go nowhere: also what is still in the buffer, when the stream is closed."""
    reader, writer = os.pipe()
    stream: TextIO
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        logs.configure("info", "json", stream)
        os.close(reader)
        structlog.get_logger().info("lost")
        structlog.get_logger().info("lost, too")


def test_a_reader_that_leaves_does_not_change_the_exit_status() -> None:
    """`labsessions | head` ends as it would have without `head`."""
    program = (
        "import sys, structlog; from labsessions import logs\n"
        "logs.configure('info', 'auto'); log = structlog.get_logger()\n"
        "sys.stdin.read(1)\n"
        "for n in range(100): log.info('line', n=n)\n"
    )
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"x")
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


class Counting(io.StringIO):
    """A stream that counts how often it is written to."""

    writes = 0

    def write(self, text: str) -> int:
        """Count, and write."""
        self.writes += 1
        return super().write(text)


async def test_the_lines_of_one_turn_are_written_together() -> None:
    """At the end of the turn, in their order, with one call; a line of the next turn goes with the next call."""
    stream = Counting()
    logs.configure("info", "json", stream)
    log = structlog.get_logger()
    for number in range(3):
        log.info("line", number=number)
    before = stream.getvalue()
    await asyncio.sleep(0)
    after_one, log_again = stream.writes, stream.getvalue().count("\n")
    log.info("line", number=3)
    await asyncio.sleep(0)

    assert before == ""
    assert (after_one, log_again) == (1, 3)
    assert stream.writes == 2
    assert [json.loads(line)["number"] for line in stream.getvalue().splitlines()] == [0, 1, 2, 3]


def test_a_loop_that_ends_before_its_next_turn_loses_no_line() -> None:
    """What was logged last in a loop is written by the next line from elsewhere, or at the exit of the process."""
    script = (
        "import asyncio, structlog\n"
        "from labsessions import logs\n"
        "logs.configure('info', 'json'); log = structlog.get_logger()\n"
        "async def main():\n"
        "    log.info('last words')\n"
        "    asyncio.get_running_loop().stop()\n"
        "loop = asyncio.new_event_loop(); task = loop.create_task(main())\n"
        "loop.run_forever(); loop.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own script

    assert "last words" in done.stdout
