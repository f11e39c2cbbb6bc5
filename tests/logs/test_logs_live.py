"""Following the log: the same lines as JSON, redacted, bounded, and never in the way of what is logged."""

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import structlog

from labsessions import logs
from labsessions.logs.live import Listener, Live

SECRET = "correct-horse-battery"


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


def everything(_: Mapping[str, Any]) -> bool:
    """All lines are wanted."""
    return True


async def heard(listener: Listener) -> list[dict[str, Any]]:
    """The lines that are there, of which none was lost."""
    async with asyncio.timeout(30):
        dropped, lines = await listener.next()
    assert dropped == 0
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("format_", ["json", "console"])
async def test_a_listener_hears_each_line_as_json(format_: Any) -> None:
    """Whatever the log itself looks like; ours and those of libraries, with their tracebacks, in order."""
    stream = io.StringIO()
    logs.configure("info", format_, stream)
    with logs.live.listen(everything) as listener:
        structlog.get_logger().warning("something", user="ann", n=3)
        logging.getLogger("library").info("else %d", 1)
        try:
            int("boom")
        except ValueError:
            structlog.get_logger().error("failed", exc_info=True)
        structlog.get_logger().debug("not of this level")
        first, second, third = await heard(listener)
    assert (first["level"], first["event"], first["user"], first["n"]) == ("warning", "something", "ann", 3)
    assert (second["event"], second["logger"]) == ("else 1", "library")
    assert "ValueError: invalid literal" in third["exception"]
    await asyncio.sleep(0)  # the sink writes at the end of the turn
    written = stream.getvalue()
    assert written.index("something") < written.index("else 1") < written.index("failed") < written.index("boom")


@pytest.mark.parametrize("format_", ["json", "console"])
async def test_no_secret_is_in_what_is_heard(format_: Any) -> None:
    """Redacted as the log itself; the newest configuration counts."""
    logs.configure("info", format_, io.StringIO(), secrets=[SECRET])
    with logs.live.listen(everything) as listener:
        structlog.get_logger().info("told", token=SECRET, jwt="eyJhbGciOi.eyJzdWIi.c2ln")
        [line] = await heard(listener)
    assert (line["token"], line["jwt"]) == (logs.REDACTED, logs.REDACTED)


async def test_only_what_is_wanted_is_heard_and_only_as_long_as_one_listens() -> None:
    """Each listener by its own wish; outside of the block, nothing is kept for it."""
    logs.configure("info", "json", io.StringIO())
    log = structlog.get_logger()
    log.info("before")
    with logs.live.listen(lambda line: line.get("user") == "ann") as ann, logs.live.listen(everything) as other:
        log.info("one", user="bob")
        log.info("two", user="ann")
        assert [line["event"] for line in await heard(ann)] == ["two"]
        assert [line["event"] for line in await heard(other)] == ["one", "two"]
    log.info("after")
    ann.wake()
    assert await heard(ann) == []


@pytest.mark.parametrize(("put", "lost", "kept"), [(2, 0, [0, 1]), (3, 0, [0, 1, 2]), (5, 2, [2, 3, 4])])
async def test_a_slow_listener_loses_the_oldest_lines_and_is_told(put: int, lost: int, kept: list[int]) -> None:
    """The buffer is bounded: at its size nothing is lost, one more costs one. Then it is counted anew."""
    listener = Listener(everything, lines=3)
    for n in range(put):
        listener.put(str(n))
    assert await listener.next() == (lost, [str(n) for n in kept])
    listener.put("more")
    assert await listener.next() == (0, ["more"])


async def test_lines_of_other_threads_wake_the_listener() -> None:
    """The standard library's loggers are used from any thread."""
    logs.configure("info", "json", io.StringIO())
    with logs.live.listen(everything) as listener:
        thread = threading.Thread(target=structlog.get_logger().info, args=("from afar",))
        thread.start()
        assert [line["event"] for line in await heard(listener)] == ["from afar"]
        thread.join()


async def test_whatever_a_listener_does_the_line_is_written() -> None:
    """Neither a filter that fails nor a value that cannot be shown costs the log a line."""

    def failing(_: Mapping[str, Any]) -> bool:
        raise KeyError

    class Unspeakable:
        def __repr__(self) -> str:
            raise KeyError

    stream = io.StringIO()
    logs.configure("info", "json", stream)
    with logs.live.listen(failing), logs.live.listen(everything):
        structlog.get_logger().info("written", value=Unspeakable())
        await asyncio.sleep(0)
    assert json.loads(stream.getvalue())["value"] == "<Unspeakable>"


def test_a_listener_whose_loop_is_closed_is_harmless() -> None:
    """The service has stopped, and some thread still logs."""

    async def left_behind() -> Listener:
        return Listener(everything)

    asyncio.run(left_behind()).put("line")


def test_without_a_listener_a_line_is_only_passed_on() -> None:
    """The very same object, so that nothing was rendered or copied."""
    event = {"event": "as it is"}
    assert Live().tap(None, "info", event) is event
