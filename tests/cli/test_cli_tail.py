"""Following the log: how lines are printed, what is asked for, and that a lost connection is made again."""

import json

from cli_service import FakeApi, Refuses


def sse(event: str, data: object) -> bytes:
    """A message of the stream."""
    return f"event: {event}\r\ndata: {json.dumps(data)}\r\n\r\n".encode()


LINE = {"timestamp": "2026-11-25T08:00:00.000Z", "level": "warning", "event": "[Handler] ⚠️ Refused", "user": "ann"}


async def test_lines_for_people_look_like_the_service_s_console(api: FakeApi) -> None:
    """Time, level, event and fields; comments are passed over, control characters are not printed."""
    api.streams = [[b": ping\r\n\r\n", sse("line", LINE | {"reason": "a\x1b[2J", "n": 3})]]
    ran = await api.run("tail", "--lines", "1")
    assert ran.status == 0
    assert "\x1b" not in ran.out
    assert ran.out.startswith("2026-11-25T08:00:00.000Z [warning  ] [Handler] ⚠️ Refused")
    assert "user=ann" in ran.out
    assert "n=3" in ran.out


async def test_lines_for_programs_are_the_objects_themselves(api: FakeApi) -> None:
    """One on each line, by either option."""
    for option in (["--format", "json"], ["--json"]):
        api.streams = [[sse("line", LINE), sse("line", LINE | {"n": 2})]]
        ran = await api.run("tail", "--lines", "2", *option)
        assert [json.loads(line) for line in ran.out.splitlines()] == [LINE, LINE | {"n": 2}]


async def test_filters_are_passed_on(api: FakeApi) -> None:
    """By the names of the API."""
    api.streams = [[sse("line", LINE)]]
    await api.run("tail", "--lines", "1", "--level", "warning", "--user", "ann", "--event", "Refused & co")
    assert api.asked[0].query == {"level": "warning", "user_id": "ann", "event": "Refused & co"}


async def test_a_lost_connection_is_made_again(api: FakeApi) -> None:
    """Whether it was ended or broke off in a line; it is said on stderr, stdout has lines only."""
    half = sse("line", LINE)[:20]
    api.streams = [[sse("line", LINE)], [half], [sse("line", LINE | {"n": 2})]]
    ran = await api.run("tail", "--json", "--lines", "2")
    assert [json.loads(line).get("n") for line in ran.out.splitlines()] == [None, 2]
    assert ran.err.count("connected again") == 2
    assert len(api.asked) == 3


async def test_lost_lines_are_said(api: FakeApi) -> None:
    """As many as the service says."""
    api.streams = [[sse("dropped", {"dropped": 7}), sse("line", LINE)]]
    ran = await api.run("tail", "--json", "--lines", "1")
    assert (json.loads(ran.out), "7 lines lost" in ran.err) == (LINE, True)


async def test_what_is_wrong_from_the_beginning_is_not_tried_again(api: FakeApi) -> None:
    """A level that there isn't, a token, nobody there."""
    api.answers["GET /log"] = Refuses(400, "invalid_field", "Parameter 'level' must be one of …")
    assert (await api.run("tail", "--level", "loud")).status == 1
    assert (await api.run("tail", token=None)).status == 2
    assert (await api.run("tail", "--url", "http://127.0.0.1:1")).status == 3
    assert len(api.asked) == 2


async def test_a_refusal_later_ends_it(api: FakeApi) -> None:
    """A token that has been changed meanwhile doesn't come back by itself."""
    api.streams = [[sse("line", LINE)]]
    api.answers["GET /log"] = Refuses(401, "unauthorized", "no")
    assert (await api.run("tail")).status == 2
