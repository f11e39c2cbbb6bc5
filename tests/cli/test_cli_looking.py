"""The commands that look: what they ask for, and how they show it – as tables, JSON and CSV."""

import csv
import io
from typing import Any

import pytest
from cli_service import Asked, FakeApi

from labsessions.cli.tables import span

ITEM = {
    "user_id": "ann",
    "id": "s-1",
    "labId": "lab-1",
    "labTitle": "Pods",
    "labGroupID": "g",
    "lab_request_id": "vm-ann",
    "status": "active",
    "overdue": False,
    "created_at": "2026-11-25T08:00:00.000Z",
    "expires_at": "2026-11-25T09:00:00.000Z",
    "remaining_seconds": 754.2,
    "attempts": 0,
    "last_error": None,
    "next_attempt_at": None,
    "duration": 60,
}
LATE = ITEM | {
    "user_id": "bob",
    "lab_request_id": "vm-bob",
    "status": "stuck",
    "overdue": True,
    "remaining_seconds": -90_061.0,
    "attempts": 12,
    "last_error": "HTTP 503",
    "next_attempt_at": "2026-11-25T09:05:00.000Z",
}
ENDED = {
    "generation": "g-1",
    "user_id": 'a "b", c',
    "id": "s-1",
    "labId": "lab-1",
    "created_at": "2026-11-25T08:00:00.000Z",
    "expires_at": "2026-11-25T09:00:00.000Z",
    "ended_at": "2026-11-25T09:00:01.204Z",
    "reason": "expired",
    "attempts": 1,
    "lateness_seconds": 1.204,
    "last_error": None,
}


async def test_sessions_are_active_or_expired_as_ever(api: FakeApi) -> None:
    """The columns of the query that operators know come first; a deadline that has passed makes EXPIRED."""
    api.answers["GET /sessions"] = {"sessions": [ITEM, LATE], "next_cursor": None, "total": 2}
    ran = await api.run("sessions")
    header, ann, bob = (line.split() for line in ran.out.splitlines())
    assert header[:5] == ["user_id", "lab_request_id", "duration", "expires_at", "status"]
    assert ann == ["ann", "vm-ann", "60", "2026-11-25", "09:00:00", "ACTIVE", "12m", "34s", "active", "0"]
    assert bob[5:] == ["EXPIRED", "-1d", "1h", "stuck", "12", "2026-11-25", "09:05:00", "HTTP", "503"]
    assert ran.err == ""


async def test_every_filter_is_passed_on(api: FakeApi) -> None:
    """By the names of the API; what isn't given isn't sent."""
    api.answers["GET /sessions"] = {"sessions": [], "next_cursor": None, "total": 0}
    await api.run("sessions")
    await api.run(
        *("sessions", "--status", "stuck", "--overdue", "--ending-within", "15", "--lab", "l 1", "--group", "g&h"),
        *("--query", "añ", "--error", "50%", "--order", "user_id", "--limit", "7"),
    )
    await api.run("sessions", "--not-overdue")
    assert [asked.query for asked in api.asked] == [
        {"order": "expires_at", "limit": "100"},
        {
            "status": "stuck",
            "overdue": "true",
            "ending_within": "15.0",
            "lab_id": "l 1",
            "group_id": "g&h",
            "q": "añ",
            "error": "50%",
            "order": "user_id",
            "limit": "7",
        },
        {"overdue": "false", "order": "expires_at", "limit": "100"},
    ]


async def test_more_than_a_page_is_said_and_all_pages_through(api: FakeApi) -> None:
    """With `--all` each page is asked for by the cursor of the one before; the result is one list."""

    def page(asked: Asked) -> dict[str, Any]:
        n = int(asked.query.get("cursor", "0"))
        return {"sessions": [ITEM | {"user_id": f"u{n}"}], "next_cursor": None if n == 2 else str(n + 1), "total": 3}

    api.answers["GET /sessions"] = page
    ran = await api.run("sessions")
    assert ran.err == "1 of 3 sessions; --all shows all\n"
    whole = (await api.run("sessions", "--all", "--json")).json()
    assert [each["user_id"] for each in whole["sessions"]] == ["u0", "u1", "u2"]
    assert [asked.query.get("cursor") for asked in api.asked] == [None, None, "1", "2"]
    assert {asked.query["limit"] for asked in api.asked[1:]} == {"500"}


async def test_json_is_the_answer_as_it_is(api: FakeApi) -> None:
    """All members, whatever the tables show."""
    data = {"sessions": [ITEM], "next_cursor": None, "total": 1}
    api.answers["GET /sessions"] = data
    assert (await api.run("sessions", "--json")).json() == data


@pytest.mark.parametrize("user", ["ann", "a/b c?d", "ä%2F", ".."])
async def test_one_user_by_any_id(api: FakeApi, user: str) -> None:
    """The id is one segment of the path, whatever is in it."""
    event = {"seq": 7, "at": ITEM["created_at"], "type": "session.created", "session_id": "s-1", "data": {"n": 1}}
    owed = {"lab_request_id": "vm-old", "since": ITEM["created_at"], "attempts": 2, "status": "cleaning"}
    owed |= {"next_attempt_at": ITEM["expires_at"], "last_error": "HTTP 500"}
    found = {"session": LATE, "owed": [owed], "events": [event], "last_ended": {"reason": "expired"}}
    api.answers[f"GET /sessions/{user}"] = found
    ran = await api.run("show", "--", user)
    assert ran.status == 0
    for shown in ("EXPIRED (stuck)", "vm-old", "session.created", "n=1", "reason", "-1d 1h"):
        assert shown in ran.out
    assert (await api.run("show", "--json", "--", user)).json() == found


async def test_nobody_is_1(api: FakeApi) -> None:
    """Neither a session nor anything of the past; the document is there all the same."""
    nothing: dict[str, Any] = {"session": None, "owed": [], "events": [], "last_ended": None}
    api.answers["GET /sessions/nobody"] = nothing
    ran = await api.run("show", "nobody")
    assert (ran.status, ran.out) == (1, "")
    assert "'nobody'" in ran.err
    ran = await api.run("show", "nobody", "--json")
    assert (ran.status, ran.json()) == (1, nothing)


async def test_a_user_without_a_session_may_have_a_past(api: FakeApi) -> None:
    """Which is shown."""
    api.answers["GET /sessions/ann"] = {"session": None, "owed": [], "events": [], "last_ended": {"reason": "deleted"}}
    ran = await api.run("show", "ann")
    assert (ran.status, "no session" in ran.out, "deleted" in ran.out) == (0, True, True)


async def test_the_history_as_csv(api: FakeApi) -> None:
    """RFC 4180: a header, lines that end with CRLF, quotes where they are needed, nothing for null."""
    api.answers["GET /history"] = {"ended": [ENDED], "next_cursor": None}
    ran = await api.run("history", "--csv")
    assert ran.out.count("\r\n") == ran.out.count("\n") == 2
    header, row = csv.reader(io.StringIO(ran.out, newline=""), strict=True)
    assert header[:3] == ["user_id", "id", "labId"]
    assert dict(zip(header, row, strict=True))["user_id"] == 'a "b", c'
    assert row[-1] == ""
    assert '"a ""b"", c",s-1' in ran.out


async def test_the_history_s_filters(api: FakeApi) -> None:
    """By the names of the API."""
    api.answers["GET /history"] = {"ended": [ENDED], "next_cursor": "x"}
    ran = await api.run(
        *("history", "--user", "ann", "--reason", "expired", "--lab", "l", "--since", "2026-11-01", "--until"),
        *("2026-11-02T00:00:00+01:00", "--limit", "1"),
    )
    assert api.asked[0].query == {
        "user_id": "ann",
        "reason": "expired",
        "lab_id": "l",
        "since": "2026-11-01",
        "until": "2026-11-02T00:00:00+01:00",
        "limit": "1",
    }
    assert "1.204" in ran.out
    assert "--all" in ran.err


async def test_csv_and_json_at_once_are_refused(api: FakeApi) -> None:
    """One document, one form."""
    assert (await api.run("history", "--csv", "--json")).status == 2


async def test_deployments(api: FakeApi) -> None:
    """How each start ended: in order, by death, not yet."""
    start = {"started_at": ITEM["created_at"], "stopped_at": None, "version": "0.1.0", "schema": 9}
    start |= {"settings_fingerprint": "abc123", "pid": 1, "host": "h"}
    api.answers["GET /deployments"] = {
        "deployments": [start | {"clean": None}, start | {"clean": False}, start | {"clean": True}]
    }
    ran = await api.run("deployments")
    assert [word for word in ("running", "died", "in order") if word in ran.out] == ["running", "died", "in order"]
    assert "abc123" in ran.out


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0, "0s"),
        (-0.9, "0s"),
        (59.9, "59s"),
        (60, "1m 0s"),
        (3599, "59m 59s"),
        (3600, "1h 0m"),
        (86_399, "23h 59m"),
        (86_400, "1d 0h"),
        (-1, "-1s"),
        (-61, "-1m 1s"),
    ],
)
def test_spans_of_time(seconds: float | None, shown: str) -> None:
    """The two largest units; a minus for what is over."""
    assert span(seconds) == shown
