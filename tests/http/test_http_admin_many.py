"""What operators do over HTTP with all sessions at once: another attempt for many, and a pause."""

from typing import Any

import pytest
from builders import GENERATION
from http_driven import (
    START_MS,
    Api,
    DrivenAudit,
    DrivenPauses,
    DrivenReadiness,
    DrivenSessions,
    DrivenWaiting,
    lab_body,
)
from jsonschema import Draft202012Validator
from pytest_aiohttp import AiohttpClient

from labsessions.core.messages import AttemptEnded, Create, EndNow, Message, Reply, RetryNow, Wake
from labsessions.core.projection import iso
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.act import act_routes
from labsessions.http.admin.bulk import SLICE
from labsessions.http.fields import SessionFields
from labsessions.ports import EngineError, Paused

ADMIN = "/api/v1/admin"
MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS


class Sessions(DrivenSessions):
    """Some users' cells cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()

    async def ask(self, user_id: str, message: Message) -> Reply:
        """As ever, for the others."""
        if user_id in self.broken:
            raise EngineError("the cell cannot be read")
        return await super().ask(user_id, message)


@pytest.fixture
def engine() -> Sessions:
    """The engine behind `api`."""
    return Sessions()


@pytest.fixture
def audit() -> DrivenAudit:
    """What was noted."""
    return DrivenAudit()


@pytest.fixture
def pauses() -> DrivenPauses:
    """The gate."""
    return DrivenPauses()


@pytest.fixture
def waiting() -> DrivenWaiting:
    """Whom every filter matches."""
    return DrivenWaiting()


@pytest.fixture
async def api(
    aiohttp_client: AiohttpClient,
    engine: Sessions,
    readiness: DrivenReadiness,
    audit: DrivenAudit,
    pauses: DrivenPauses,
    waiting: DrivenWaiting,
) -> Api:
    """An open door with the routes of operators."""
    options = ApiOptions(version="1")
    group = act_routes(engine, audit, pauses, waiting, options)
    client: Api = await aiohttp_client(make_app(engine, readiness, options, groups=(group,)))
    return client


async def post(api: Api, path: str, body: object, who: str = "ada") -> tuple[int, dict[str, Any]]:
    """The status and the body of an answer."""
    async with api.post(f"{ADMIN}{path}", json=body, headers={"X-Operator": who}) as answer:
        return answer.status, await answer.json()


async def cleaning(engine: Sessions, user: str, *, failed: bool = True) -> None:
    """The user's session is being cleaned; its first attempt has failed, or runs."""
    lab = SessionFields(1440, 1440).lab(lab_body(user_id=user), "lab-id")
    await engine.ask(user, Create(GENERATION, lab))
    await engine.ask(user, EndNow())
    await engine.ask(user, Wake())
    if failed:
        await engine.ask(user, AttemptEnded(GENERATION, 1, (), "503"))
    engine.asked.clear()


# --- another attempt for many ------------------------------------------------------------------------------


async def test_a_preview_counts_and_does_nothing(
    api: Api, engine: Sessions, waiting: DrivenWaiting, audit: DrivenAudit
) -> None:
    """Not even in the audit."""
    waiting.waiting = ["a", "b"]
    status, body = await post(api, "/retry", {"dry_run": True, "status": "stuck", "error": "503", "user_ids": ["a"]})
    assert status == 200
    assert body["data"] == {"matched": 2, "retried": 0, "running": 0, "failed": 0, "dry_run": True}
    assert waiting.asked == [("stuck", "503", ["a"])]
    assert (engine.asked, audit.rows) == ([], [])


async def test_those_who_match_are_tried_now(
    api: Api, engine: Sessions, waiting: DrivenWaiting, audit: DrivenAudit
) -> None:
    """Each counts for what became of it; the audit has the intent before and the outcome after."""
    await cleaning(engine, "a")
    await cleaning(engine, "b", failed=False)
    engine.broken = {"c"}
    waiting.waiting = ["a", "b", "c", "gone"]
    status, body = await post(api, "/retry", {"dry_run": False, "expected": 4, "error": "503", "reason": "up again"})
    assert status == 200
    assert body["data"] == {"matched": 4, "retried": 1, "running": 1, "failed": 1, "dry_run": False}
    assert sorted(engine.asked) == [("a", RetryNow()), ("b", RetryNow()), ("gone", RetryNow())]
    session = engine.states["a"].session
    assert session is not None
    assert session.due_ms == engine.now
    begun, done = audit.rows
    assert (begun["action"], begun["who"], begun["reason"], begun["outcome"]) == (
        "retry_many",
        "ada",
        "up again",
        "begun",
    )
    assert begun["detail"] == {"error": "503", "matched": 4}
    assert (done["outcome"], done["detail"]) == (
        "done",
        {"error": "503", "matched": 4, "retried": 1, "running": 1, "failed": 1},
    )


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_another_number_than_expected_is_refused(
    api: Api, engine: Sessions, waiting: DrivenWaiting, audit: DrivenAudit, expected: int
) -> None:
    """Whoever has looked at a preview doesn't retry what has come since; the refusal stands in the audit."""
    waiting.waiting = ["a", "b"]
    status, body = await post(api, "/retry", {"dry_run": False, "expected": expected})
    assert (status, body["code"]) == (409, "count_changed")
    assert body["error"] == f"2 users match by now, not {expected}"
    assert engine.asked == []
    (row,) = audit.rows
    assert (row["outcome"], row["detail"]) == ("count_changed", {"matched": 2, "expected": expected})


@pytest.mark.parametrize("count", [0, 1, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE])
async def test_all_slices_are_gone_through(api: Api, engine: Sessions, waiting: DrivenWaiting, count: int) -> None:
    """Each user once, at the edges of a slice too."""
    waiting.waiting = [f"user-{number}" for number in range(count)]
    status, body = await post(api, "/retry", {"dry_run": False})
    assert (status, body["data"]["matched"]) == (200, count)
    assert sorted(user for user, _ in engine.asked) == sorted(waiting.waiting)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Missing required fields: dry_run"),
        ({"dry_run": None}, "Missing required fields: dry_run"),
        ({"dry_run": 1}, "Field 'dry_run' must be true or false, got 1"),
        ({"dry_run": False, "status": "active"}, "Field 'status' must be 'cleaning' or 'stuck', got another string"),
        ({"dry_run": False, "status": 1}, "Field 'status' must be 'cleaning' or 'stuck', got 1"),
        ({"dry_run": False, "error": ""}, "Field 'error' must be a non-empty string"),
        ({"dry_run": False, "user_ids": "a"}, "Field 'user_ids' must be an array"),
        ({"dry_run": False, "user_ids": [""]}, "Field 'user_ids[0]' must be a string of 1 to 512 printable characters"),
        ({"dry_run": False, "expected": -1}, "Field 'expected' must be an integer from 0"),
        ({"dry_run": False, "user_id": "a"}, "Field 'user_id' is not known here"),
    ],
)
async def test_a_filter_that_will_not_do(
    api: Api, waiting: DrivenWaiting, audit: DrivenAudit, body: object, words: str
) -> None:
    """A misspelt one would match everybody."""
    status, answer = await post(api, "/retry", body)
    assert status == 400
    assert words in answer["error"]
    assert (waiting.asked, audit.rows) == ([], [])


# --- the pause ---------------------------------------------------------------------------------------------


async def shown(api: Api) -> Any:
    """What GET says."""
    async with api.get(f"{ADMIN}/pause") as answer:
        assert answer.status == 200
        return (await answer.json())["data"]["paused"]


async def test_a_pause_begins_and_is_ended(api: Api, pauses: DrivenPauses) -> None:
    """With an end, a reason and a name; there is one to be ended, or it is refused."""
    assert await shown(api) is None
    status, body = await post(api, "/pause", {"minutes": 30, "reason": "the backend moves"})
    assert (status, body["message"]) == (200, "Cleanups are paused")
    assert pauses.current == Paused(START_MS, START_MS + 30 * MINUTE_MS, "the backend moves", "ada")
    assert (
        await shown(api)
        == body["data"]["paused"]
        == {
            "since": iso(START_MS),
            "until": iso(START_MS + 30 * MINUTE_MS),
            "remaining_seconds": 1800.0,
            "reason": "the backend moves",
            "by": "ada",
        }
    )
    status, body = await post(api, "/resume", {})
    assert (status, body["message"], body["data"]) == (200, "Cleanups go on", {"paused": None})
    status, body = await post(api, "/resume", {})
    assert (status, body["code"]) == (409, "not_paused")


@pytest.mark.parametrize(
    ("wanted", "until_ms"),
    [
        ({"minutes": 1440}, DAY_MS),
        ({"minutes": 0.001}, 60),
        ({"until": iso(START_MS + 1)}, 1),
        ({"until": iso(START_MS + DAY_MS)}, DAY_MS),
        ({"until": "2027-01-15T09:30:00+01:00"}, 30 * MINUTE_MS),
    ],
)
async def test_an_end_that_will_do(api: Api, pauses: DrivenPauses, wanted: dict[str, Any], until_ms: int) -> None:
    """From the next millisecond to a day."""
    status, _ = await post(api, "/pause", {**wanted, "reason": "x"})
    assert status == 200
    assert pauses.current is not None
    assert pauses.current.until_ms == START_MS + until_ms


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"minutes": 5}, "Missing required fields: reason"),
        ({"reason": "x"}, "Missing required fields: minutes or until"),
        ({"reason": "x", "minutes": 0}, "Field 'minutes' must be a number of minutes greater than 0"),
        ({"reason": "x", "minutes": 1440.1}, "Field 'minutes' must be at most 1440 minutes"),
        ({"reason": "x", "minutes": 5, "until": iso(START_MS + 1)}, "Field 'until' must be absent"),
        ({"reason": "x", "until": iso(START_MS)}, "Field 'until' must be later than now, and by 1440 minutes at most"),
        ({"reason": "x", "until": iso(START_MS + DAY_MS + 1)}, "Field 'until' must be later than now"),
        ({"reason": "x", "until": "2027-01-15T09:00:00"}, "with an offset"),
        ({"reason": "x", "hours": 1}, "Field 'hours' is not known here"),
    ],
)
async def test_a_pause_that_will_not_do(api: Api, pauses: DrivenPauses, body: object, words: str) -> None:
    """None without an end, a near one, and a reason."""
    status, answer = await post(api, "/pause", body)
    assert status == 400
    assert words in answer["error"]
    assert pauses.current is None


async def test_resuming_takes_nothing(api: Api, pauses: DrivenPauses) -> None:
    """What it doesn't know, it refuses, and the pause stays."""
    await post(api, "/pause", {"minutes": 5, "reason": "x"})
    status, answer = await post(api, "/resume", {"reason": "x"})
    assert (status, answer["error"]) == (400, "Field 'reason' is not known here; known are: none")
    assert pauses.current is not None


async def test_it_is_described(api: Api) -> None:
    """Each example is accepted by its schema and by the route, and the answers are as they say."""
    async with api.get("/openapi.json") as answer:
        document = await answer.json()

    def conforms(schema: dict[str, Any], value: object) -> bool:
        return bool(Draft202012Validator({**schema, "components": document["components"]}).is_valid(value))

    for path in ("/retry", "/pause", "/resume"):
        operation = document["paths"][f"{ADMIN}{path}"]["post"]
        media = operation["requestBody"]["content"]["application/json"]
        assert conforms(media["schema"], media["example"])
        assert not conforms(media["schema"], {**media["example"], "unknown": 1})
        status, body = await post(api, path, media["example"])
        assert status == 200
        assert conforms(operation["responses"]["200"]["content"]["application/json"]["schema"], body), body
    pause = {"$ref": "#/components/schemas/Pause"}
    assert not conforms(pause, {"reason": "x"})
    assert not conforms(pause, {"reason": "x", "minutes": 5, "until": iso(START_MS)})
