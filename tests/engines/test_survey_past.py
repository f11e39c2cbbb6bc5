"""What operators are told of the past, of one user, of failures and of the hours to come."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import HOUR, MASTER, MINUTE, NOW, POLICY, User, worker_nodes
from msgspec import structs

from actors.errors import QuestionRefusedError
from actors.ids import ActorId
from actors.sqlite import SqliteStore, open_store
from actors.storage import Append, Write
from labsessions.core.messages import Created, Delete
from labsessions.core.model import State
from labsessions.core.projection import iso
from labsessions.engines.embedded import write_of
from labsessions.engines.tables import HISTORY, schema
from labsessions.ports import BusyError, Ended, Key
from labsessions.repository import StoredSurvey
from labsessions.repository.census import Census, census

DAY = 24 * HOUR
MIDNIGHT = NOW - NOW % DAY


@asynccontextmanager
async def opened(folder: Path, now_ms: int = NOW) -> AsyncIterator[tuple[SqliteStore, StoredSurvey]]:
    """A new file, and what operators ask of it."""
    store = await open_store(folder / "db", (schema(),))
    try:
        yield store, StoredSurvey(store.query, store.query, lambda: now_ms, limit_per_second=2.5)
    finally:
        await store.close()


async def put(store: SqliteStore, *users: User) -> None:
    """Store their states."""
    await store.apply([write_of(each.session.lab.user_id, each.state, (), NOW, State()) for each in users])


async def past(store: SqliteStore, *lines: dict[str, Any]) -> None:
    """Lines of the history, in this order."""
    plain = {
        "generation": "g",
        "user_id": "ada",
        "id": "session-1",
        "labId": "lab-1",
        "lab_request_id": "vm",
        "created_at": iso(NOW - HOUR),
        "expires_at": iso(NOW),
        "ended_at": iso(NOW),
        "end_reason": "expired",
        "attempts": 1,
        "lateness_ms": 0,
        "last_error": None,
    }
    rows = [Append(HISTORY, tuple({**plain, **line}.values())) for line in lines]
    await store.apply([Write(ActorId("n", "a"), b"", None, rows)])


# --- history ------------------------------------------------------------------------------------------------


async def test_a_line_of_the_history(tmp_path: Path) -> None:
    """As it is stored, its lateness in seconds."""
    async with opened(tmp_path) as (store, survey):
        await past(store, {"generation": "g-7", "lateness_ms": 1204, "ended_at": iso(NOW + 1204)})
        page = await survey.history(Ended(), 10)
    assert page.next is None
    assert page.items == [
        {
            "generation": "g-7",
            "user_id": "ada",
            "id": "session-1",
            "labId": "lab-1",
            "created_at": iso(NOW - HOUR),
            "expires_at": iso(NOW),
            "ended_at": iso(NOW + 1204),
            "reason": "expired",
            "attempts": 1,
            "lateness_seconds": 1.204,
            "last_error": None,
        }
    ]


@pytest.mark.parametrize(
    ("ended", "found"),
    [
        (Ended(), "dcba"),
        (Ended(user_id="ada"), "ca"),
        (Ended(user_id="nobody"), ""),
        (Ended(reason="deleted"), "b"),
        (Ended(lab_id="sql"), "d"),
        (Ended(since_ms=NOW + 1), "dcb"),
        (Ended(since_ms=NOW + 2), "dc"),
        (Ended(until_ms=NOW + 2), "ba"),
        (Ended(until_ms=NOW + 1), "a"),
        (Ended(user_id="ada", since_ms=NOW + 1, until_ms=NOW + 3), "c"),
    ],
    ids=str,
)
async def test_each_filter_of_the_history(tmp_path: Path, ended: Ended, found: str) -> None:
    """The latest first; from `since` on, and before `until`."""
    async with opened(tmp_path) as (store, survey):
        await past(
            store,
            {"generation": "a", "ended_at": iso(NOW)},
            {"generation": "b", "ended_at": iso(NOW + 1), "user_id": "bob", "end_reason": "deleted"},
            {"generation": "c", "ended_at": iso(NOW + 2)},
            {"generation": "d", "ended_at": iso(NOW + 3), "user_id": "bob", "labId": "sql"},
        )
        page = await survey.history(ended, 10)
    assert "".join(item["generation"] for item in page.items) == found


@pytest.mark.parametrize("user_id", [None, "ada"])
@pytest.mark.parametrize("limit", [1, 2, 4, 5])
async def test_pages_make_up_the_whole_history(tmp_path: Path, user_id: str | None, limit: int) -> None:
    """Of those that ended in the same instant, too; what ends meanwhile disturbs nothing."""
    async with opened(tmp_path) as (store, survey):
        await past(
            store, *({"generation": name, "ended_at": iso(NOW + number // 3)} for number, name in enumerate("abcde"))
        )
        found, before, first = "", None, True
        while first or before is not None:
            page = await survey.history(Ended(user_id), limit, before)
            found, before, first = found + "".join(item["generation"] for item in page.items), page.next, False
            await past(store, {"generation": "x", "ended_at": iso(NOW + HOUR)})
    assert found == "edcba"


# --- analytics ----------------------------------------------------------------------------------------------


async def test_a_day_in_figures(tmp_path: Path) -> None:
    """How many ended why, how many attempts it took, and how late those were that expired, to two digits."""
    async with opened(tmp_path) as (store, survey):
        await past(
            store,
            *({"lateness_ms": ms, "ended_at": iso(MIDNIGHT), "attempts": 1} for ms in (10, 20, 30, 1234)),
            {"lateness_ms": None, "ended_at": iso(MIDNIGHT + DAY - 1), "end_reason": "deleted", "attempts": 0},
        )
        rows = await survey.analytics(MIDNIGHT, MIDNIGHT + DAY, "day")
    assert rows == [
        {
            "key": iso(MIDNIGHT)[:10],
            "ended": 5,
            "by_reason": {"deleted": 1, "expired": 4},
            "attempts_mean": 0.8,
            "attempts_max": 1,
            "late_p50_seconds": 0.02,
            "late_p95_seconds": 1.2,
            "late_max_seconds": 1.234,
        }
    ]


async def test_days_end_at_midnight_and_the_time_asked_for_at_its_end(tmp_path: Path) -> None:
    """A day without an end has no row."""
    ends = (MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + DAY - 1, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
    async with opened(tmp_path) as (store, survey):
        await past(store, *({"ended_at": iso(at)} for at in ends))
        for since, until, found in (
            (MIDNIGHT - DAY, MIDNIGHT + 3 * DAY, [1, 2, 1, 1]),
            (MIDNIGHT, MIDNIGHT + DAY, [2]),
            (MIDNIGHT - 1, MIDNIGHT + DAY + 1, [1, 2, 1]),
            (MIDNIGHT + 3 * DAY, MIDNIGHT + 4 * DAY, []),
        ):
            assert [row["ended"] for row in await survey.analytics(since, until, "day")] == found


async def test_labs_in_figures(tmp_path: Path) -> None:
    """One row for each; where none expired there is no lateness."""
    async with opened(tmp_path) as (store, survey):
        await past(
            store,
            {"labId": "a", "lateness_ms": 5},
            {"labId": "b", "lateness_ms": None, "end_reason": "deleted", "attempts": 3},
            {"labId": "a", "lateness_ms": 7, "attempts": 2},
        )
        rows = await survey.analytics(0, NOW + 1, "lab")
    assert [(row["key"], row["ended"], row["late_p50_seconds"], row["late_max_seconds"]) for row in rows] == [
        ("a", 2, 0.005, 0.007),
        ("b", 1, None, None),
    ]
    assert (rows[0]["attempts_mean"], rows[0]["attempts_max"], rows[1]["attempts_max"]) == (1.5, 2, 3)


@pytest.mark.parametrize(
    ("ms", "cut"),
    [
        *((-5, 0), (0, 0), (99, 99), (100, 100), (109, 100), (999, 990), (1_000, 1_000), (1_099, 1_000)),
        *((99_999, 99_000), (12_345_678, 12_000_000), (99_999_999, 99_000_000), (100_000_000, 100_000_000)),
        (987_654_321, 980_000_000),
    ],
)
async def test_latenesses_are_cut_to_two_digits(tmp_path: Path, ms: int, cut: int) -> None:
    """Never above what they are, and less than a tenth below. The largest is exact."""
    async with opened(tmp_path) as (store, survey):
        await past(store, {"lateness_ms": ms})
        (row,) = await survey.analytics(0, NOW + 1, "lab")
    assert (row["late_p50_seconds"], row["late_max_seconds"]) == (cut / 1000, ms / 1000)


@pytest.mark.parametrize(("number", "p50", "p95"), [(1, 1, 1), (2, 1, 2), (19, 10, 19), (20, 10, 19), (21, 11, 20)])
async def test_percentiles_are_those_of_the_nearest_rank(tmp_path: Path, number: int, p50: int, p95: int) -> None:
    """The least that so many of a hundred don't exceed."""
    async with opened(tmp_path) as (store, survey):
        await past(store, *({"lateness_ms": ms} for ms in range(1, number + 1)))
        (row,) = await survey.analytics(0, NOW + 1, "lab")
    assert (row["late_p50_seconds"], row["late_p95_seconds"]) == (p50 / 1000, p95 / 1000)


# --- one user -----------------------------------------------------------------------------------------------


async def test_all_that_is_known_of_a_user(tmp_path: Path) -> None:
    """The session with its stored members as they were sent, what is owed, events newest first, the last end."""
    ada = User(structs.replace(POLICY, owed_after_ms=0)).create(user_id="ada", worker_nodes=worker_nodes("w"))
    deleted = ada.say(Delete(), NOW + 1)
    async with opened(tmp_path) as (store, survey):
        await store.apply([write_of("ada", ada.state, deleted.events, NOW + 1, State())])
        found = await survey.user("ada")
        assert found["session"] is None
        assert [(vm["lab_request_id"], vm["status"], vm["since"]) for vm in found["owed"]] == [
            (MASTER, "cleaning", iso(NOW + 1)),
            ("w", "cleaning", iso(NOW + 1)),
        ]
        assert [event["type"] for event in found["events"]] == ["session.owed", "session.ended"]
        assert found["events"][1]["data"]["reason"] == "deleted"
        assert (found["last_ended"]["reason"], "seq" in found["last_ended"]) == ("deleted", False)

        await put(store, User().create(user_id="bob", worker_nodes=worker_nodes("w")))
        session = (await survey.user("bob"))["session"]
        assert session["vm"] == {"name": "master", "network_id": "net-1", "netbird_ip": "100.64.0.1"}
        assert session["worker_nodes"] == worker_nodes("w")
        assert session["loadBalancers"] is None
        assert (session["remaining_seconds"], session["overdue"], session["version"]) == (3600, False, 1)
        assert await survey.user("nobody") == {"session": None, "owed": [], "events": [], "last_ended": None}


async def test_events_are_read_backwards(tmp_path: Path) -> None:
    """Below a number, so many; nobody else's."""
    async with opened(tmp_path) as (store, survey):
        for name in ("ada", "bob", "ada", "ada"):
            session = User().create(user_id=name).session
            await store.apply([write_of(name, State(session=session), (Created(session),), NOW, State())])
        assert [event["seq"] for event in await survey.events("ada", None, 10)] == [4, 3, 1]
        assert [event["seq"] for event in await survey.events("ada", 4, 1)] == [3]
        assert [event["seq"] for event in await survey.events("ada", 1, 10)] == []


# --- now ----------------------------------------------------------------------------------------------------


def troubled(name: str, error: str, minutes: float = 60) -> User:
    """Someone whose first attempt has failed."""
    return User().create(name.encode().hex(), user_id=name, duration=minutes).expire().fail(error=error)


async def test_failures_are_grouped_by_what_went_wrong(tmp_path: Path) -> None:
    """Whichever the VM, and however many: the reason of the first. The most frequent first, since its oldest."""
    async with opened(tmp_path) as (store, survey):
        await put(
            store,
            troubled("a", "1 of 1 VMs not deleted: vm-1 (master): HTTP 503: no", 61),
            troubled("b", "2 of 2 VMs not deleted: vm-2 (master): HTTP 503: no; vm-3 (worker): timed out", 60),
            troubled("c", "BACKEND_API_URL is not set"),
            User().create("d" * 36, user_id="d").expire(),
            User().create("e" * 36, user_id="e"),
        )
        assert await survey.failures() == [
            {"error": "HTTP 503: no", "count": 2, "oldest_since": iso(NOW + HOUR), "example_user_id": "b"},
            {
                "error": "BACKEND_API_URL is not set",
                "count": 1,
                "oldest_since": iso(NOW + HOUR),
                "example_user_id": "c",
            },
        ]


async def test_the_census_counts_each_state(tmp_path: Path) -> None:
    """`overdue` from the deadline on; `ending_soon` for a quarter of an hour, to the millisecond."""
    now_ms = NOW + HOUR
    async with opened(tmp_path) as (store, _):
        assert await census(store.query, now_ms) == Census(0, 0, 0, 0, None, 0, 0, 0)
        await put(
            store,
            *(User().create(str(n) * 36, user_id=f"soon-{n}", duration=60 + n) for n in (0, 1, 15, 16)),
            troubled("cleaning", "x", 59),
        )
        assert await census(store.query, now_ms) == Census(5, 1, 0, 2, iso(NOW + 59 * MINUTE), 2, 0, 0)
        assert (await census(store.query, now_ms - 1)).overdue == 1
        assert (await census(store.query, now_ms + 1)).ending_soon == 2


async def test_coming_ends_are_counted_in_five_minutes_each(tmp_path: Path) -> None:
    """On the clock's own five minutes; what is over is not among those to come."""
    start = NOW - NOW % (5 * MINUTE)
    now_ms = start + 6 * MINUTE
    ends = [now_ms, now_ms + 1, start + 10 * MINUTE, start + 10 * MINUTE + 1]
    async with opened(tmp_path, now_ms) as (store, survey):
        created = [(str(n), (at - NOW) / MINUTE) for n, at in enumerate(ends)]
        await put(store, *(User().create(name * 36, user_id=name, duration=left) for name, left in created))
        assert await survey.expiries(0.25) == {
            "start": iso(start + 5 * MINUTE),
            "bucket_seconds": 300,
            "buckets": [2, 1, 0],
            "overdue": 1,
            "drain_per_second": 2.5,
            "limit_per_second": 2.5,
        }


@pytest.mark.parametrize(("hours", "number"), [(0.01, 1), (1, 12), (24, 288)])
async def test_so_many_hours_are_looked_ahead(tmp_path: Path, hours: float, number: int) -> None:
    """Up to a day."""
    async with opened(tmp_path) as (_, survey):
        assert len((await survey.expiries(hours))["buckets"]) == number


@pytest.mark.parametrize(("number", "drain"), [(9, 2.5), (10, 1.0), (11, 1.1)])
async def test_the_drain_is_the_best_of_late_where_there_was_one(tmp_path: Path, number: int, drain: float) -> None:
    """Over ten seconds; a few in that time say nothing, nor do deletions."""
    async with opened(tmp_path, MIDNIGHT + MINUTE) as (store, survey):
        await past(
            store,
            *({"ended_at": iso(MIDNIGHT + 10_000 + each)} for each in range(number)),
            *({"ended_at": iso(MIDNIGHT + 20_000), "end_reason": "deleted"} for _ in range(20)),
            *({"ended_at": iso(MIDNIGHT - HOUR)} for _ in range(20)),
        )
        assert (await survey.expiries(1))["drain_per_second"] == drain


async def test_a_question_that_is_refused_is_said_to_be() -> None:
    """Operators ask again, or for less."""

    async def query(sql: str, values: Any) -> list[dict[str, Any]]:  # noqa: ARG001 - as `Query` has it
        raise QuestionRefusedError("ask for less")

    survey = StoredSurvey(query, query, lambda: NOW)
    with pytest.raises(BusyError, match="ask for less"):
        await survey.history(Ended(), 1, Key("", "1"))
