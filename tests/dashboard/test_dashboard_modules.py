"""The dashboard's modules by themselves, in a real browser: tables of what goes in and what comes out."""

from typing import Any

import pytest
from browser import Show
from fake_world import World

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

STREAM = (
    ": hello\r\n\r\n"
    "id: 7\r\n\r\n"
    "event: overview\r\ndata: {}\r\n\r\n"
    "event: session.created\ndata: one\ndata:two\nid: 8\n\n"
    "data\rid\r\r"
    "id: 9\0\nretry: 10\nsomething: else\ndata: é – 😀\n\n"
    "data: cut off"
)
EVENTS = [
    {"type": "", "data": "", "id": "7"},
    {"type": "overview", "data": "{}", "id": "7"},
    {"type": "session.created", "data": "one\ntwo", "id": "8"},
    {"type": "message", "data": "", "id": ""},
    {"type": "message", "data": "é – 😀", "id": ""},
]

FIGURES: list[tuple[str, list[Any], str]] = [
    ("span", [None], "–"),
    ("span", [0], "0 ms"),
    ("span", [0.0214], "21 ms"),
    ("span", [0.9994], "999 ms"),
    ("span", [0.9996], "1.0 s"),
    ("span", [9.94], "9.9 s"),
    ("span", [9.95], "10 s"),
    ("span", [59.4], "59 s"),
    ("span", [59.6], "1 min"),
    ("span", [252], "4 min 12 s"),
    ("span", [-252], "4 min 12 s"),
    ("span", [3599.6], "1 h"),
    ("span", [86_399], "23 h 59 min"),
    ("span", [90_000], "1 d 1 h"),
    ("roughly", [59.9], "59 s"),
    ("roughly", [60], "1 min"),
    ("roughly", [12_000], "3 h"),
    ("roughly", [172_799], "1 d"),
    ("countdown", [0], "0:00"),
    ("countdown", [-0.4], "0:00"),
    ("countdown", [-1], "−0:01"),
    ("countdown", [59.99], "0:59"),
    ("countdown", [600], "10:00"),
    ("countdown", [3599.9], "59:59"),
    ("countdown", [3723], "1:02:03"),
    ("countdown", [-3723], "−1:02:03"),
    ("countdown", [172_799], "47:59:59"),
    ("countdown", [172_800], "2 d"),
    ("count", [1_234_567], "1,234,567"),
    ("counted", [1, "session"], "1 session"),
    ("counted", [0, "session"], "0 sessions"),
    ("plain", ["ended_by_operator"], "ended by operator"),
    ("day", ["2026-11-25"], "25 Nov"),
    ("day", ["no day"], "no day"),
    ("instant", [None], "–"),
]

PARSE = """async ([text, size]) => {
    const { parser } = await import("/dashboard/sse.js");
    const events = [];
    const push = parser((event) => events.push(event));
    for (let at = 0; at < text.length; at += size) push(text.slice(at, at + size));
    return events;
}"""
FORMAT = """async ([name, values]) => {
    const module = await import("/dashboard/format.js");
    return module[name](...values);
}"""


async def test_events_are_read_however_they_arrive(show: Show) -> None:
    """In pieces of any length, which cut line ends and fields in two; with any line end; as the standard says.

    A field with only its name is empty; an empty id forgets the last one; one with NUL in it, comments and unknown
    fields are passed over; what isn't ended is no event.
    """
    async with show(World()) as shown:
        for size in [*range(1, 24), len(STREAM)]:
            assert await shown.page.evaluate(PARSE, arg=[STREAM, size]) == EVENTS, size


async def test_how_figures_are_written(show: Show) -> None:
    """Two units at most; beside each bound."""
    async with show(World()) as shown:
        for name, values, text in FIGURES:
            assert await shown.page.evaluate(FORMAT, arg=[name, values]) == text, (name, values)


async def test_time_goes_on_by_what_has_passed(show: Show) -> None:
    """The browser's clock jumps: the server's time in the page doesn't. What is no instant changes nothing."""
    script = """async () => {
        const { learn, now, secondsTo } = await import("/dashboard/clock.js");
        learn("2027-01-15T08:00:00.000Z", 1500);
        const before = now();
        Date.now = () => 0;
        learn("nonsense");
        return [before - Date.parse("2027-01-15T08:00:01.500Z"), now() - before, secondsTo("2027-01-15T08:01:01.500Z")];
    }"""
    async with show(World()) as shown:
        since_learnt, since_then, left = await shown.page.evaluate(script)
        assert 0 <= since_learnt < 1000
        assert 0 <= since_then < 1000
        assert 58 < left <= 60
