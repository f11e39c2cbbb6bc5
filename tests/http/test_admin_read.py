"""What operators look at: who may, how they ask, and that the answers are as they are described."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from admin_world import ADMIN, AdminWorld, admin_world
from http_driven import START_MS
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pytest_aiohttp import AiohttpClient

from labsessions.core.projection import iso
from labsessions.http import ApiOptions
from labsessions.http.admin import endpoints_read
from labsessions.http.admin.parameters import cursor_of
from labsessions.http.admin.schemas_read import SCHEMAS
from labsessions.http.endpoints import Endpoint
from labsessions.http.scopes import Scope
from labsessions.ports import BusyError, Key

ENDPOINTS = [each for each in vars(endpoints_read).values() if isinstance(each, Endpoint)]
ENVELOPED = [each for each in ENDPOINTS if each.answers[0].enveloped]


@pytest.fixture
def options() -> ApiOptions:
    """No tokens."""
    return ApiOptions(version="1.2.3")


@pytest.fixture
async def world(aiohttp_client: AiohttpClient, options: ApiOptions, tmp_path: Path) -> AsyncIterator[AdminWorld]:
    """A service on a new file."""
    async with admin_world(tmp_path, aiohttp_client, options) as found:
        yield found


async def refused(world: AdminWorld, path: str) -> tuple[int, str, str]:
    """Status, code and text of a refusal."""
    async with world.api.get(f"{ADMIN}{path}") as answer:
        body = await answer.json()
        return answer.status, body["code"], body["error"]


async def description(world: AdminWorld) -> dict[str, Any]:
    """The whole document."""
    async with world.api.get("/openapi.json") as answer:
        return dict(await answer.json())


class TestScope:
    """Operators only."""

    @pytest.fixture
    def options(self) -> ApiOptions:
        """Both kinds of tokens."""
        return ApiOptions(version="1", tokens=("platform",), admin_tokens=("operator",))

    @pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.path)
    async def test_a_route_opens_with_the_operators_token_only(self, world: AdminWorld, endpoint: Endpoint) -> None:
        """Not with that of the platform, nor with none."""
        assert endpoint.scope is Scope.ADMIN
        path = endpoint.path.replace("{user_id}", "ada")
        for token, status in ((None, 401), ("platform", 403), ("operator", 200)):
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with world.api.head(path, headers=headers) as answer:
                assert answer.status == status


async def test_the_description_stays_valid(world: AdminWorld) -> None:
    """With every route of operators, its parameters, and an example of each answer that its own schema accepts."""
    document = await description(world)
    validate(document)
    assert {each.path for each in ENDPOINTS} <= set(document["paths"])
    for schema in SCHEMAS.values():
        for example in schema["examples"]:
            Draft202012Validator(schema).validate(example)


async def test_answers_are_as_described(world: AdminWorld) -> None:
    """Each route with nothing stored, and with a session that fails, one that is active, and one that has ended."""
    document = await description(world)
    await _validate(world, document)
    world.error = "1 of 1 VMs not deleted: lab-master (master): HTTP 503"
    await world.create("ada", duration=1)
    await world.create("bob")
    await world.create("eve")
    await world.delete("eve")
    world.clock.advance(61_000)
    async with asyncio.timeout(30):
        while (await world.get("/failures"))["groups"] == []:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0)
    await _validate(world, document)


async def _validate(world: AdminWorld, document: Mapping[str, Any]) -> None:
    for endpoint in ENVELOPED:
        async with world.api.get(endpoint.path.replace("{user_id}", "ada")) as answer:
            assert answer.status == 200
            body = await answer.json()
        described = document["paths"][endpoint.path]["get"]["responses"]["200"]["content"]["application/json"]
        Draft202012Validator(described["schema"] | {"components": document["components"]}).validate(body)


async def test_a_user_and_what_has_happened_to_it(world: AdminWorld) -> None:
    """From the first event on; a user that nobody knows, or can have, has nothing."""
    await world.create()
    await world.extend()
    user = await world.get("/sessions/ada")
    assert (user["session"]["user_id"], user["session"]["duration"]) == ("ada", 61)
    assert [event["type"] for event in user["events"]] == ["session.updated", "session.created"]
    page = await world.get("/sessions/ada/events?limit=1")
    assert ([event["seq"] for event in page["events"]], page["next_before"]) == ([2], 2)
    page = await world.get("/sessions/ada/events?limit=1&before=2")
    assert ([event["seq"] for event in page["events"]], page["next_before"]) == ([1], None)
    for nobody in ("bob", "%0A", "%FF"):
        assert await world.get(f"/sessions/{nobody}") == {"session": None, "owed": [], "events": [], "last_ended": None}
        assert await world.get(f"/sessions/{nobody}/events") == {"events": [], "next_before": None}


async def test_a_list_is_paged_by_its_cursor(world: AdminWorld) -> None:
    """In either order, with the filters repeated; the last page has none."""
    for name in ("a", "b", "c/ö", "d"):
        await world.create(name, duration=60 if name in "ab" else 50)
    for order, names in (("user_id", ["a", "b", "c/ö", "d"]), ("expires_at", ["c/ö", "d", "a", "b"])):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await world.get(f"/sessions?order={order}&limit=3&status=active&cursor={cursor}")
            seen += [item["user_id"] for item in page["sessions"]]
            cursor = page["next_cursor"]
            assert page["total"] == 4
        assert seen == names


async def test_every_filter_of_the_list_is_heeded(world: AdminWorld) -> None:
    """By the names that the parameters have."""
    await world.create("ada", labId="k8s", labGroupID="blue", duration=30)
    await world.create("bob", labId="sql", labGroupID="red")
    for asked in (
        "lab_id=k8s",
        "group_id=blue",
        "q=ad",
        "ending_within=30.5",
        "overdue=false&q=a",
        "status=active&q=ada",
    ):
        assert [item["user_id"] for item in (await world.get(f"/sessions?{asked}"))["sessions"]] == ["ada"], asked
    for asked in ("error=x", "status=stuck", "status=cleaning", "overdue=true"):
        assert (await world.get(f"/sessions?{asked}"))["sessions"] == [], asked
    assert len((await world.get("/sessions?status=&lab_id=&overdue=&limit=&cursor="))["sessions"]) == 2


async def test_the_history_is_paged_and_filtered(world: AdminWorld) -> None:
    """By the names that the parameters have."""
    for name in ("ada", "bob", "eve"):
        await world.create(name, labId=f"lab-{name}")
        await world.delete(name)
        world.clock.advance(1000)
    page = await world.get("/history?limit=2")
    assert [item["user_id"] for item in page["ended"]] == ["eve", "bob"]
    page = await world.get(f"/history?limit=2&cursor={page['next_cursor']}")
    assert ([item["user_id"] for item in page["ended"]], page["next_cursor"]) == (["ada"], None)
    later = quote(iso(START_MS + 1000))
    for asked, names in (
        ("user_id=bob", ["bob"]),
        ("reason=deleted", ["eve", "bob", "ada"]),
        ("reason=expired", []),
        ("lab_id=lab-eve", ["eve"]),
        (f"since={later}", ["eve", "bob"]),
        (f"until={later}", ["ada"]),
        ("since=2027-01-15&until=2027-01-16", ["eve", "bob", "ada"]),
        ("until=2027-01-15", []),
        ("since=2027-01-15T09:00:01+01:00", ["eve", "bob"]),
    ):
        assert [item["user_id"] for item in (await world.get(f"/history?{asked}"))["ended"]] == names, asked


async def test_analytics_are_of_the_last_week_unless_told_otherwise(world: AdminWorld) -> None:
    """By day, or by lab."""
    await world.create()
    await world.delete()
    assert [row["key"] for row in (await world.get("/analytics"))["rows"]] == ["2027-01-15"]
    assert [row["key"] for row in (await world.get("/analytics?by=lab"))["rows"]] == ["k8s-101"]
    world.clock.advance(7 * 86_400_000 - 1)
    assert len((await world.get("/analytics"))["rows"]) == 1
    world.clock.advance(1)
    assert (await world.get("/analytics"))["rows"] == []
    assert len((await world.get("/analytics?since=2027-01-01"))["rows"]) == 1
    assert (await world.get("/analytics?until=2027-01-15"))["rows"] == []


LIMIT = "a whole number from 1 to 500"
INSTANT = "an ISO 8601 instant with an offset, e.g. 2027-01-15T09:00:00Z, or a date"
CURSOR = "a next_cursor of an answer to the same question"


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        *((f"/sessions?limit={value}", "limit", LIMIT) for value in ("0", "501", "-1", "1.0", "x", "١", "9" * 19)),
        ("/sessions?status=gone", "status", "one of active, cleaning, stuck"),
        ("/sessions?overdue=1", "overdue", "true or false"),
        *(
            (f"/sessions?ending_within={value}", "ending_within", "a number above 0 and up to 527040")
            for value in ("0", "-1", "nan", "inf", "1e3", "527041")
        ),
        ("/sessions?order=id", "order", "one of expires_at, user_id"),
        ("/sessions?q=%0A", "q", "1 to 512 printable characters"),
        (f"/sessions?lab_id={'x' * 513}", "lab_id", "1 to 512 printable characters"),
        *((f"/sessions?cursor={value}", "cursor", CURSOR) for value in ("x", "%C3%B6", "WyJhIl0", "e30")),
        (f"/sessions?cursor={cursor_of('user_id', Key('', 'a'))}", "cursor", CURSOR),
        (f"/history?cursor={cursor_of('user_id', Key('', 'a'))}", "cursor", CURSOR),
        (f"/history?cursor={cursor_of('ended_at', Key('', 'a'))}", "cursor", CURSOR),
        (f"/history?cursor={cursor_of('ended_at', Key('', '9' * 19))}", "cursor", CURSOR),
        ("/history?reason=tired", "reason", "one of expired, deleted"),
        *(
            (f"/history?since={value}", "since", INSTANT)
            for value in ("now", "2027-01-15T09:00:00", "2027-13-01", "0001-01-01T00:00:00%2B14:00", "1969-12-31")
        ),
        ("/analytics?by=week", "by", "one of day, lab"),
        ("/expiries?hours=24.1", "hours", "a number above 0 and up to 24"),
        ("/sessions/ada/events?before=0", "before", "a whole number from 1 to 999999999999999999"),
    ],
)
async def test_what_is_no_such_value_is_refused(world: AdminWorld, path: str, name: str, expected: str) -> None:
    """With the parameter's name, and what it must be."""
    status, code, text = await refused(world, path)
    assert (status, code) == (400, "invalid_parameter")
    assert text.startswith(f"Query parameter '{name}' must be {expected}")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/overview?x=1", "Query parameter 'x' is unknown; known are: none"),
        ("/expiries?hour=1", "Query parameter 'hour' is unknown; known are: hours"),
        ("/sessions?limit=1&limit=2", "Query parameter 'limit' must be there once, got it again"),
        (
            "/sessions?overdue=true&ending_within=5",
            "Query parameter 'ending_within' must be absent with overdue=true, got both",
        ),
        ("/history?since=2027-01-15&until=2027-01-15", "Query parameter 'until' must be later than 'since'"),
        ("/analytics?since=2027-01-16&until=2027-01-15", "Query parameter 'until' must be later than 'since'"),
    ],
)
async def test_what_makes_no_sense_together_is_refused(world: AdminWorld, path: str, text: str) -> None:
    """A word that is misspelt would be a filter that isn't there."""
    assert await refused(world, path) == (400, "invalid_parameter", text)


async def test_every_default_is_accepted(world: AdminWorld) -> None:
    """Given as it is described, each parameter's bounds and words are those that are taken."""
    for path in (
        "/sessions?limit=1&order=user_id&ending_within=527040",
        "/sessions?limit=500&status=stuck&overdue=true",
        "/expiries?hours=24",
        "/sessions/ada/events?before=999999999999999999&limit=500",
        f"/history?cursor={cursor_of('ended_at', Key('x', '9' * 18))}",
    ):
        await world.get(path)


async def test_a_question_that_would_keep_others_waiting_is_put_off(
    world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the words that say what helps, and when to come again."""

    async def busy() -> list[dict[str, Any]]:
        raise BusyError("that takes longer than 10 s to find out: ask for less")

    monkeypatch.setattr(world.survey, "failures", busy)
    async with world.api.get(f"{ADMIN}/failures") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        body = await answer.json()
    assert (body["code"], body["error"]) == ("busy", "that takes longer than 10 s to find out: ask for less")
