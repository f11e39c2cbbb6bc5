"""Lists of sessions as operators ask for them: what fits and nothing else, in order, each once, by way of an index."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest
from builders import MINUTE, NOW, POLICY, User

from actors.sqlite import SqliteStore, open_store
from labsessions.core.model import State
from labsessions.core.projection import iso
from labsessions.engines.embedded import write_of
from labsessions.engines.tables import schema
from labsessions.ports import Key, Which
from labsessions.repository import StoredSurvey
from labsessions.repository import survey as module
from labsessions.repository.listing import Order, question

FIRST = Key("", "")
AT = NOW + 60 * MINUTE
"""The deadline of a session that `user` starts, unless told otherwise."""


def user(user_id: str, duration: float = 60, **members: Any) -> User:
    """Someone with a session from `NOW` on."""
    return User().create(str(uuid5(NAMESPACE_OID, user_id)), user_id=user_id, duration=duration, **members)


def in_trouble(user_id: str, times: int, error: str = "HTTP 503", duration: float = 60) -> User:
    """Someone whose cleanup has failed so often."""
    found = user(user_id, duration)
    for _ in range(times):
        found.expire().fail(error=error)
    return found


@asynccontextmanager
async def surveyed(folder: Path, users: list[User], now_ms: int = AT) -> AsyncIterator[StoredSurvey]:
    """What operators ask, over the sessions of these users."""
    store = await stored(folder, users)
    try:
        yield StoredSurvey(store.query, store.query, lambda: now_ms)
    finally:
        await store.close()


async def stored(folder: Path, users: list[User]) -> SqliteStore:
    """A file with these."""
    store = await open_store(folder / "db", (schema(),))
    await store.apply([write_of(each.session.lab.user_id, each.state, (), NOW, State()) for each in users])
    return store


async def names(survey: StoredSurvey, which: Which, order: Order = "user_id") -> list[str]:
    """Who is found."""
    return [item["user_id"] for item in (await survey.sessions(which, order, 100, FIRST)).items]


async def test_an_item_is_a_session_seen_from_now(tmp_path: Path) -> None:
    """With the time that is left, which is less than nothing once the deadline has passed."""
    async with surveyed(tmp_path, [in_trouble("ada", 1)], AT + 1500) as survey:
        (item,) = (await survey.sessions(Which(), "expires_at", 1, FIRST)).items
    assert item == {
        "user_id": "ada",
        "id": "session-1",
        "labId": "lab-1",
        "labTitle": "Kubernetes from scratch",
        "labGroupID": "group-1",
        "lab_request_id": "vm-master",
        "status": "cleaning",
        "overdue": True,
        "created_at": iso(NOW),
        "expires_at": iso(AT),
        "remaining_seconds": -1.5,
        "attempts": 1,
        "last_error": "HTTP 503",
        "next_attempt_at": iso(AT + 1000 + POLICY.retry_interval_ms),
        "duration": 60,
    }


@pytest.mark.parametrize(("after_ms", "overdue"), [(-1, False), (0, True), (1, True)])
async def test_a_session_is_overdue_from_its_deadline_on(tmp_path: Path, after_ms: int, *, overdue: bool) -> None:
    """In the item, by the filter, and by its opposite."""
    async with surveyed(tmp_path, [user("ada")], AT + after_ms) as survey:
        (item,) = (await survey.sessions(Which(), "expires_at", 1, FIRST)).items
        assert item["overdue"] is overdue
        assert await names(survey, Which(overdue=True)) == (["ada"] if overdue else [])
        assert await names(survey, Which(overdue=False)) == ([] if overdue else ["ada"])


@pytest.mark.parametrize(("minutes", "found"), [(14.9, []), (15, ["soon"]), (15.1, ["soon"])])
async def test_those_that_end_within_a_time_are_found(tmp_path: Path, minutes: float, found: list[str]) -> None:
    """From now, so not what is over, to that instant and no further."""
    some = [user("now", 45), user("over", 44), user("soon", 60), user("later", 61)]
    async with surveyed(tmp_path, some, NOW + 45 * MINUTE) as survey:
        assert await names(survey, Which(ending_within_minutes=minutes)) == found


ALL = [
    user("ada", lab_id="k8s", lab_group_id="blue", id="one", lab_request_id="vm-1"),
    user("adam", lab_id="k8s", lab_group_id="red", id="two", lab_request_id="vm-2"),
    user("bob", lab_id="sql", lab_group_id="blue", id="ada", lab_request_id="vm-3"),
    user("Ada", lab_id="sql", lab_group_id="red", id="ad", lab_request_id="adam"),
    in_trouble("cleaning", 1, "HTTP 503"),
    in_trouble("stuck", POLICY.stuck_after, "HTTP 500 of 50% _"),
    user("zoë 100%", lab_id="K8S", id="x" * 9),
]


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Which(), ["Ada", "ada", "adam", "bob", "cleaning", "stuck", "zoë 100%"]),
        (Which(status="active"), ["Ada", "ada", "adam", "bob", "zoë 100%"]),
        (Which(status="cleaning"), ["cleaning"]),
        (Which(status="stuck"), ["stuck"]),
        (Which(lab_id="k8s"), ["ada", "adam"]),
        (Which(group_id="blue"), ["ada", "bob"]),
        (Which(lab_id="k8s", group_id="blue"), ["ada"]),
        (Which(text="ad"), ["Ada", "ada", "adam"]),
        (Which(text="ada"), ["ada", "adam", "bob"]),
        (Which(text="adam"), ["Ada", "adam"]),
        (Which(text="vm-"), []),
        (Which(text="vm-3"), ["bob"]),
        (Which(text="zoë 1"), ["zoë 100%"]),
        (Which(text="zo%"), []),
        (Which(error="50"), ["cleaning", "stuck"]),
        (Which(error="HTTP 503"), ["cleaning"]),
        (Which(error="50% _"), ["stuck"]),
        (Which(error="http"), []),
        (Which(error="50", status="active"), []),
        (Which(error="50", text="clean"), ["cleaning"]),
        (Which(status="active", lab_id="sql", text="b"), ["bob"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("order", ["user_id", "expires_at"])
async def test_each_filter_finds_what_it_says(tmp_path: Path, which: Which, found: list[str], order: Order) -> None:
    """Alone and with others, whichever the order; letters are as written, and nothing is a pattern."""
    async with surveyed(tmp_path, ALL) as survey:
        page = await survey.sessions(which, order, 100, FIRST)
        assert sorted(item["user_id"] for item in page.items) == found
        assert (page.next, page.total) == (None, len(found))


async def test_the_order_is_that_of_the_deadlines_or_of_the_ids(tmp_path: Path) -> None:
    """Of the same deadline, by id."""
    some = [user("d", 61), user("b", 62), user("c", 61), user("a", 63)]
    async with surveyed(tmp_path, some) as survey:
        assert await names(survey, Which(), "expires_at") == ["c", "d", "b", "a"]
        assert await names(survey, Which(), "user_id") == ["a", "b", "c", "d"]


async def pages(survey: StoredSurvey, which: Which, order: Order, limit: int) -> AsyncIterator[list[str]]:
    """Page after page, as long as there is a next one."""
    after: Key | None = FIRST
    while after is not None:
        page = await survey.sessions(which, order, limit, after)
        yield [item["user_id"] for item in page.items]
        after = page.next


@pytest.mark.parametrize("order", ["user_id", "expires_at"])
@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
async def test_pages_make_up_the_whole_list(tmp_path: Path, order: Order, limit: int) -> None:
    """None doubled or skipped, also where deadlines are the same; no page is empty."""
    some = [user(f"u{number}", 60 + number // 4) for number in range(10)]
    async with surveyed(tmp_path, some) as survey:
        found = [page async for page in pages(survey, Which(), order, limit)]
    assert all(found)
    assert [name for page in found for name in page] == [f"u{number}" for number in range(10)]


@pytest.mark.parametrize("order", ["user_id", "expires_at"])
@pytest.mark.parametrize("seed", range(5))
async def test_paging_goes_on_while_sessions_come_and_go(tmp_path: Path, order: Order, seed: int) -> None:
    """What was there all the time comes exactly once, and nobody comes twice, whoever begins and ends between pages."""
    rng = random.Random(seed)  # noqa: S311
    staying = [user(f"s{rng.randrange(10**6)}-{number}", rng.randrange(60, 70)) for number in range(30)]
    going = [user(f"g{rng.randrange(10**6)}-{number}", rng.randrange(60, 70)) for number in range(30)]
    store = await stored(tmp_path, staying + going)
    survey = StoredSurvey(store.query, store.query, lambda: NOW)
    seen: list[str] = []
    async for page in pages(survey, Which(), order, 7):
        seen += page
        lost, new = going.pop(), user(f"n{rng.randrange(10**6)}", rng.randrange(60, 70))
        await store.apply(
            [
                write_of(lost.session.lab.user_id, State(), (), NOW, lost.state),
                write_of(new.session.lab.user_id, new.state, (), NOW, State()),
            ]
        )
    await store.close()
    assert len(seen) == len(set(seen))
    assert {each.session.lab.user_id for each in staying} <= set(seen)


async def test_the_total_counts_what_fits_whatever_the_page(tmp_path: Path) -> None:
    """Also of active ones within a time, which no index knows."""
    some = [user("a", 50), user("b", 60), user("c", 70), in_trouble("d", 1, duration=50)]
    async with surveyed(tmp_path, some, NOW + 55 * MINUTE) as survey:
        for which, total in (
            (Which(), 4),
            (Which(status="active"), 3),
            (Which(status="active", overdue=True), 1),
            (Which(status="active", ending_within_minutes=5), 1),
            (Which(overdue=False), 2),
        ):
            assert (await survey.sessions(which, "expires_at", 1, FIRST)).total == total


@pytest.mark.parametrize(("most", "total"), [(2, None), (3, 1), (4, 1)])
async def test_what_only_a_look_at_all_would_tell_is_not_counted_where_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, total: int | None
) -> None:
    """The list itself comes all the same; what an index knows is counted in any case."""
    monkeypatch.setattr(module, "COUNTED", most)
    async with surveyed(tmp_path, [user("a", lab_id="x"), user("b"), user("c")]) as survey:
        page = await survey.sessions(Which(lab_id="x"), "user_id", 1, FIRST)
        assert ([item["user_id"] for item in page.items], page.total) == (["a"], total)
        assert (await survey.sessions(Which(), "user_id", 1, FIRST)).total == 3


INDEXED = [
    Which(),
    Which(status="active"),
    Which(status="cleaning"),
    Which(status="stuck"),
    Which(overdue=True),
    Which(ending_within_minutes=1),
    Which(error="x"),
    Which(error="x", lab_id="y"),
]


@pytest.mark.parametrize("order", ["user_id", "expires_at"])
@pytest.mark.parametrize("which", INDEXED, ids=str)
async def test_the_usual_questions_go_by_an_index(tmp_path: Path, which: Which, order: Order) -> None:
    """And those that read all rows read them as they lie, which is ten times as fast as in the order of an index."""
    store = await stored(tmp_path, [])
    for asked, way in ((question(which, order, NOW), "INDEX"), (question(Which(text="x"), order, NOW), None)):
        sql, values = asked.page(order, 10, FIRST)
        plan = [str(row["detail"]) for row in await store.query(f"EXPLAIN QUERY PLAN {sql}", values)]
        assert (way in plan[0]) if way else plan[0] == "SCAN labs_sessions", plan
    await store.close()
