"""What operators do over HTTP with one user's session: words in, words out, and who is told of it."""

from typing import Any

import pytest
from builders import GENERATION
from http_driven import Api, DrivenAudit, DrivenPauses, DrivenReadiness, DrivenSessions, DrivenWaiting, lab_body
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pytest_aiohttp import AiohttpClient

from labsessions.core.messages import AttemptEnded, Create, EndNow, ExtendBy, Forget, Operated, RetryNow
from labsessions.core.model import Session
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.act import act_routes
from labsessions.http.admin.operator import LONGEST_NAME, LONGEST_REASON
from labsessions.http.fields import SessionFields

ADMIN = "/api/v1/admin"
ADA = f"{ADMIN}/sessions/ada"
HOUR_MS = 3_600_000


@pytest.fixture
def audit() -> DrivenAudit:
    """What `api` shows of the past."""
    return DrivenAudit()


@pytest.fixture
async def api(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness, audit: DrivenAudit
) -> Api:
    """An open door with the routes of operators; ada has a session of an hour."""
    options = ApiOptions(version="1")
    await engine.ask("ada", Create(GENERATION, SessionFields(1440, 1440).lab(lab_body(), "lab-id")))
    engine.asked.clear()
    client: Api = await aiohttp_client(
        make_app(
            engine,
            readiness,
            options,
            groups=(act_routes(engine, audit, DrivenPauses(), DrivenWaiting(), options),),
        )
    )
    return client


async def post(api: Api, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """The status and the body of an answer."""
    async with api.post(path, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()}) as a:
        return a.status, await a.json()


def session(engine: DrivenSessions) -> Session | None:
    """Ada's, as stored."""
    return engine.states["ada"].session


async def fail_an_attempt(engine: DrivenSessions) -> None:
    """Ada's session expires, and its first attempt fails."""
    await engine.advance(HOUR_MS)
    await engine.ask("ada", AttemptEnded(GENERATION, 1, (), "503"))


async def test_extend(api: Api, engine: DrivenSessions) -> None:
    """As the user's own route, and the message says who it was and why."""
    status, body = await post(api, f"{ADA}/extend", {"minutes": 30, "reason": "exam"}, X_Operator="Grace H.")
    assert status == 200
    assert body["message"] == "Lab session extended successfully"
    assert body["data"]["duration"] == 90
    assert body["data"]["extension"]["granted_seconds"] == 1800
    assert engine.asked == [("ada", Operated("Grace H.", "exam", ExtendBy(30)))]


async def test_end(api: Api, engine: DrivenSessions) -> None:
    """The deadline is now, and the session is being cleaned; a second time there is nothing to end."""
    engine.now += 60_000
    status, body = await post(api, f"{ADA}/end")
    assert status == 200
    assert body["message"] == "Lab session ends now"
    data = body["data"]
    assert (data["status"], data["duration"], data["remaining_seconds"], data["attempts"]) == ("cleaning", 1, 0, 0)
    assert data["expires_at"] == data["next_attempt_at"] == data["server_time"]
    assert engine.asked == [("ada", Operated("operator", None, EndNow()))]
    status, body = await post(api, f"{ADA}/end", {"reason": "again"})
    assert (status, body["code"]) == (409, "session_being_cleaned")


async def test_retry(api: Api, engine: DrivenSessions) -> None:
    """The next attempt is due now; not while one runs, and not if none is to be made."""
    assert (await post(api, f"{ADA}/retry", {}))[1]["code"] == "nothing_to_retry"
    await engine.advance(HOUR_MS)
    status, body = await post(api, f"{ADA}/retry", {})
    assert (status, body["code"]) == (409, "attempt_running")
    await engine.ask("ada", AttemptEnded(GENERATION, 1, (), "503"))
    status, body = await post(api, f"{ADA}/retry", {"reason": "the backend is up"})
    assert (status, body["message"]) == (200, "Next cleanup attempt is due now")
    assert body["data"] == {"user_id": "ada", "session_ids": ["lab-id"], "vms": ["lab-master"]}
    stored = session(engine)
    assert stored is not None
    assert stored.due_ms == engine.now
    assert engine.asked[-1] == ("ada", Operated("operator", "the backend is up", RetryNow()))


async def test_forget(api: Api, engine: DrivenSessions) -> None:
    """The session is gone without a call; the answer names the VMs that may still run."""
    await fail_an_attempt(engine)
    status, body = await post(api, f"{ADA}/forget", {"reason": "gone by hand", "session_id": "lab-id"})
    assert (status, body["message"]) == (200, "Lab session forgotten, its VMs may still run")
    assert body["data"] == {"user_id": "ada", "session_ids": ["lab-id"], "vms": ["lab-master"]}
    assert session(engine) is None
    assert engine.asked[-1] == ("ada", Operated("operator", "gone by hand", Forget("lab-id")))


async def test_another_session_than_the_one_meant_is_not_forgotten(api: Api, engine: DrivenSessions) -> None:
    """What the operator has looked at is over, and a new one runs."""
    status, body = await post(api, f"{ADA}/forget", {"reason": "x", "session_id": "yesterday"})
    assert (status, body["code"]) == (412, "session_changed")
    assert session(engine) is not None


@pytest.mark.parametrize("action", ["extend", "end", "retry", "forget"])
async def test_of_whom_there_is_nothing(api: Api, engine: DrivenSessions, action: str) -> None:
    """The engine is asked, so that the audit has it; an id that nobody can have is nobody's."""
    body = {"reason": "x"} | ({"minutes": 5} if action == "extend" else {})
    for user in ("bob", "%00"):
        status, answer = await post(api, f"{ADMIN}/sessions/{user}/{action}", body)
        assert (status, answer["code"]) == (404, "session_not_found")
    assert [user for user, _ in engine.asked] == ["bob"]


@pytest.mark.parametrize(
    ("action", "body", "code", "words"),
    [
        ("end", {"reson": "typo"}, "invalid_field", "Field 'reson' is not known here; known are: reason"),
        ("end", [1], "not_an_object", "Request body must be a JSON object, got an array"),
        (
            "end",
            {"reason": 5},
            "invalid_field",
            "Field 'reason' must be a string of 1 to 500 printable characters, got 5",
        ),
        ("end", {"reason": ""}, "invalid_field", "got an empty string"),
        ("end", {"reason": "x" * (LONGEST_REASON + 1)}, "invalid_field", "got 501 characters"),
        ("end", {"reason": "two\nlines"}, "invalid_field", "not printable"),
        ("retry", {"minutes": 5}, "invalid_field", "Field 'minutes' is not known here"),
        ("forget", {}, "missing_fields", "Missing required fields: reason"),
        ("forget", {"reason": None}, "missing_fields", "Missing required fields: reason"),
        ("forget", {"reason": "x", "session_id": ""}, "invalid_field", "Field 'session_id' must be a non-empty string"),
        ("extend", {}, "empty_body", "Request body cannot be empty"),
        ("extend", {"reason": "x"}, "empty_body", "Request body cannot be empty"),
        ("extend", {"minutes": 0}, "invalid_field", "Field 'minutes' must be a number of minutes other than 0"),
        ("extend", {"minutes": 5, "until": "2027-01-15T09:00:00Z"}, "invalid_field", "'until' must be absent"),
    ],
)
async def test_a_body_that_will_not_do(
    api: Api, engine: DrivenSessions, action: str, body: object, code: str, words: str
) -> None:
    """Nothing is done, and the answer names the field; a member that is misspelt is no member that is absent."""
    status, answer = await post(api, f"{ADA}/{action}", body)
    assert (status, answer["code"]) == (400, code)
    assert words in answer["error"]
    assert engine.asked == []


@pytest.mark.parametrize("reason", ["x", "x" * LONGEST_REASON, "ünï 🧪"])
async def test_a_reason_that_will_do(api: Api, engine: DrivenSessions, reason: str) -> None:
    """From one character to the most."""
    assert (await post(api, f"{ADA}/end", {"reason": reason}))[0] == 200
    assert engine.asked == [("ada", Operated("operator", reason, EndNow()))]


async def test_no_body_is_an_empty_one(api: Api) -> None:
    """Where nothing has to be said."""
    async with api.post(f"{ADA}/end") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(("name", "status"), [("a", 200), ("x" * LONGEST_NAME, 200), ("x" * 65, 400), ("", 400)])
async def test_the_operators_name(api: Api, engine: DrivenSessions, name: str, status: int) -> None:
    """1 to 64 characters, or none is given."""
    answer = await post(api, f"{ADA}/end", {}, X_Operator=name)
    assert answer[0] == status
    assert status == 200 or answer[1]["code"] == "invalid_operator"
    assert len(engine.asked) == (status == 200)


async def test_two_names_are_none(api: Api, engine: DrivenSessions) -> None:
    """Whichever the audit would have, it might be the wrong one."""
    async with api.post(f"{ADA}/end", headers=[("X-Operator", "a"), ("X-Operator", "b")]) as answer:
        assert (await answer.json())["code"] == "invalid_operator"
    assert engine.asked == []


async def test_what_was_done_is_logged(api: Api, log_lines_seen: list[Any]) -> None:
    """With who, what and how it went."""
    await post(api, f"{ADA}/retry", {}, X_Operator="grace")
    (line,) = [line for line in log_lines_seen if line["event"] == "[Handler] Operator's action"]
    assert (line["user"], line["who"], line["action"], line["outcome"]) == ("ada", "grace", "retry", "nothing_waits")


# --- the audit ---------------------------------------------------------------------------------------------


async def pages(api: Api, query: str = "") -> tuple[list[int], str | None]:
    """The numbers on a page, and the cursor of the next."""
    async with api.get(f"{ADMIN}/audit{query}") as answer:
        assert answer.status == 200
        data = (await answer.json())["data"]
        return [entry["seq"] for entry in data["entries"]], data["next_cursor"]


async def test_the_audit_in_pages(api: Api, audit: DrivenAudit) -> None:
    """The newest first, and each entry once, though more are written meanwhile."""
    audit.rows = [{"seq": number} for number in range(1, 6)]
    assert await pages(api, "?limit=2") == ([5, 4], "4")
    audit.rows.append({"seq": 6})
    assert await pages(api, "?limit=2&cursor=4") == ([3, 2], "2")
    assert await pages(api, "?limit=2&cursor=2") == ([1], None)
    assert await pages(api) == ([6, 5, 4, 3, 2, 1], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=", "limit=x", "limit=1&limit=2", "cursor=-1"])
async def test_a_page_that_cannot_be(api: Api, query: str) -> None:
    """A parameter that cannot be read isn't taken for its absence."""
    async with api.get(f"{ADMIN}/audit?{query}") as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize("query", ["?limit=1", "?limit=500", "?cursor=999999999999999999"])
async def test_a_page_that_can_be(api: Api, query: str) -> None:
    """The smallest, the largest, the furthest."""
    assert await pages(api, query) == ([], None)


# --- the description ---------------------------------------------------------------------------------------


async def test_it_is_described(api: Api, engine: DrivenSessions) -> None:
    """Valid OpenAPI; each example is accepted by its schema and by the route, and the answers are as they say."""
    async with api.get("/openapi.json") as answer:
        document = await answer.json()
    validate(document)

    def conforms(schema: dict[str, Any], value: object) -> bool:
        whole = {**schema, "components": document["components"]}
        return bool(Draft202012Validator(whole).is_valid(value))

    await fail_an_attempt(engine)
    for action in ("extend", "end", "retry", "forget"):
        operation = document["paths"][f"{ADMIN}/sessions/{{user_id}}/{action}"]["post"]
        media = operation["requestBody"]["content"]["application/json"]
        assert conforms(media["schema"], media["example"])
        assert not conforms(media["schema"], {**media["example"], "unknown": 1})
        status, body = await post(
            api,
            f"{ADA}/{action}",
            media["example"] | {"session_id": "lab-id"} if action == "forget" else media["example"],
        )
        said = operation["responses"][str(status)]["content"]["application/json"]["schema"]
        assert conforms(said, body), (action, body)
    operation = document["paths"][f"{ADMIN}/audit"]["get"]
    async with api.get(f"{ADMIN}/audit") as answer:
        assert conforms(operation["responses"]["200"]["content"]["application/json"]["schema"], await answer.json())
