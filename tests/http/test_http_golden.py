"""Each row of the tables in CONTRACT §1 as a request and the exact answer.

Each is sent to the core alone and to the real engine: they see the service through `api` and `engine` only.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_driven import BALANCER, NODE, SESSIONS, Api, DrivenSessions, EmbeddedSessions, lab_body

MINUTE_MS = 60_000
ME = f"{SESSIONS}/ada"

STORED = lab_body(
    id="session-1",
    vscode_domain=None,
    puku_domain=None,
    worker_nodes=None,
    loadBalancers=None,
    created_at="2027-01-15T08:00:00.000Z",
    updated_at="2027-01-15T08:00:00.000Z",
    status="active",
    expires_at="2027-01-15T09:00:00.000Z",
    remaining_seconds=3600.0,
    server_time="2027-01-15T08:00:00.000Z",
    max_expires_at="2027-02-14T08:00:00.000Z",
    extendable=True,
    why_not=None,
    time_factor=1,
)


MISSING = "Missing required fields: "
ALL_REQUIRED = (
    "labId, labTitle, labGroupID, moduleID, duration, activatedAt, counterID, configId, "
    "workerConfigId, lab_request_id, user_id, terminal_url, validation, vm"
)
NO_SESSION = "No active lab session found for this user"
NOT_AN_OBJECT = "Request body must be a JSON object, got "


@pytest.fixture(params=["core", "embedded"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[DrivenSessions | EmbeddedSessions]:
    """Both engines, one after the other."""
    if request.param == "core":
        yield DrivenSessions()
        return
    embedded = EmbeddedSessions()
    yield embedded
    await embedded.close()


def failure(text: str, code: str) -> dict[str, Any]:
    """The envelope of a failure of the request `golden`."""
    return {"success": False, "error": text, "code": code, "request_id": "golden"}


def success(data: Any, message: str) -> dict[str, Any]:
    """The envelope of a success."""
    return {"success": True, "data": data, "message": message}


def extended(minutes: float, expires_at: str, **extension: Any) -> dict[str, Any]:
    """The envelope of an answer to an extension, sent at the creation."""
    more = {"duration": minutes, "expires_at": expires_at, "remaining_seconds": minutes * 60, "extension": extension}
    return success(STORED | more, "Lab session extended successfully")


async def send(api: Api, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and body of the answer to the request `golden`; bytes are sent as they are."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    async with api.request(method, path, data=raw, headers={"X-Request-ID": "golden"}) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, await answer.json()


async def given(situation: str, api: Api, engine: DrivenSessions) -> None:
    """Bring the user's session about: `none`, `active`, or `cleaning` since this very instant."""
    if situation == "none":
        return
    status, _ = await send(api, "POST", SESSIONS, lab_body(id="session-1"))
    assert status == 201
    if situation == "cleaning":
        await engine.advance(60 * MINUTE_MS)


SUCCESSES = [
    pytest.param(
        ("none", "POST", SESSIONS, lab_body(id="session-1")),
        (201, success(STORED, "Lab session created successfully")),
        id="create",
    ),
    pytest.param(
        ("none", "POST", SESSIONS, lab_body(id="session-1", unknown={"a": 1}, status="stuck", created_at=0)),
        (201, success(STORED, "Lab session created successfully")),
        id="create-ignores-unknown-members",
    ),
    pytest.param(
        (
            "none",
            "POST",
            SESSIONS,
            lab_body(
                id="session-1",
                duration=0.05,
                vm={"name": "", "network_id": "", "netbird_ip": "", "cpu": {"cores": [1, 2.5, None, True]}},
                vscode_domain="code.example.test",
                puku_domain="",
                worker_nodes=[NODE | {"zone": "a"}],
                loadBalancers=[BALANCER | {"tls": False}],
            ),
        ),
        (
            201,
            success(
                STORED
                | {
                    "duration": 0.05,
                    "vm": {"name": "", "network_id": "", "netbird_ip": "", "cpu": {"cores": [1, 2.5, None, True]}},
                    "vscode_domain": "code.example.test",
                    "puku_domain": "",
                    "worker_nodes": [NODE | {"zone": "a"}],
                    "loadBalancers": [BALANCER | {"tls": False}],
                    "expires_at": "2027-01-15T08:00:03.000Z",
                    "remaining_seconds": 3.0,
                },
                "Lab session created successfully",
            ),
        ),
        id="create-with-everything",
    ),
    pytest.param(
        ("none", "POST", SESSIONS, lab_body(id="session-1", time_factor=1.5)),
        (
            201,
            success(
                STORED
                | {
                    "duration": 90,
                    "time_factor": 1.5,
                    "expires_at": "2027-01-15T09:30:00.000Z",
                    "remaining_seconds": 5400.0,
                    "max_expires_at": "2027-03-01T08:00:00.000Z",
                },
                "Lab session created successfully",
            ),
        ),
        id="create-with-extra-time",
    ),
    pytest.param(
        ("active", "GET", f"{SESSIONS}/user/ada", None),
        (200, success(STORED, "Lab session retrieved successfully")),
        id="show",
    ),
    pytest.param(
        ("active", "POST", f"{ME}/extend", {"minutes": 30, "until": None, "unknown": 1}),
        (
            200,
            extended(90, "2027-01-15T09:30:00.000Z", granted_seconds=1800.0, partial=False, left_seconds=2_586_600.0),
        ),
        id="extend-by-minutes",
    ),
    pytest.param(
        ("active", "POST", f"{ME}/extend", {"until": "2027-01-15T12:00:00+02:00"}),
        (
            200,
            extended(120, "2027-01-15T10:00:00.000Z", granted_seconds=3600.0, partial=False, left_seconds=2_584_800.0),
        ),
        id="extend-until",
    ),
    pytest.param(
        ("active", "POST", f"{ME}/extend", {"minutes": -59.95}),
        (
            200,
            extended(
                0.05, "2027-01-15T08:00:03.000Z", granted_seconds=-3597.0, partial=False, left_seconds=2_591_997.0
            ),
        ),
        id="extend-shortens",
    ),
    pytest.param(
        ("active", "POST", f"{ME}/extend", {"minutes": 10**400}),
        (
            200,
            success(
                STORED
                | {
                    "duration": 43_200,
                    "expires_at": "2027-02-14T08:00:00.000Z",
                    "remaining_seconds": 2_592_000.0,
                    "extendable": False,
                    "why_not": "limit_reached",
                    "extension": {"granted_seconds": 2_588_400.0, "partial": True, "left_seconds": 0.0},
                },
                "Lab session extended successfully",
            ),
        ),
        id="extend-in-part",
    ),
    pytest.param(
        ("cleaning", "GET", f"{SESSIONS}/user/ada", None),
        (
            200,
            success(
                STORED
                | {
                    "status": "cleaning",
                    "remaining_seconds": 0.0,
                    "server_time": "2027-01-15T09:00:00.000Z",
                    "extendable": False,
                    "why_not": "being_cleaned",
                    "attempts": 1,
                    "last_error": None,
                    "next_attempt_at": "2027-01-15T09:06:00.000Z",
                },
                "Lab session retrieved successfully",
            ),
        ),
        id="show-while-cleaning",
    ),
    pytest.param(
        ("active", "PUT", ME, {"duration": 90, "worker_nodes": [NODE], "user_id": "eve", "validation": "x"}),
        (
            200,
            success(
                STORED
                | {
                    "duration": 90,
                    "worker_nodes": [NODE],
                    "expires_at": "2027-01-15T09:30:00.000Z",
                    "remaining_seconds": 5400.0,
                },
                "Lab session updated successfully",
            ),
        ),
        id="update-ignores-what-it-cannot-change",
    ),
    pytest.param(
        (
            "active",
            "PUT",
            ME,
            {
                "terminal_url": "",
                "vscode_domain": "v",
                "puku_domain": "p",
                "loadBalancers": [BALANCER],
                "duration": None,
            },
        ),
        (
            200,
            success(
                STORED | {"terminal_url": "", "vscode_domain": "v", "puku_domain": "p", "loadBalancers": [BALANCER]},
                "Lab session updated successfully",
            ),
        ),
        id="update-null-means-absent",
    ),
    pytest.param(
        ("active", "DELETE", ME, None),
        (200, success({"user_id": "ada", "deleted": True}, "Lab session deleted successfully")),
        id="delete",
    ),
    pytest.param(
        ("cleaning", "DELETE", ME, None),
        (200, success({"user_id": "ada", "deleted": True}, "Lab session deleted successfully")),
        id="delete-while-cleaning",
    ),
]

EXISTS = failure("User already has an active lab session. Only one active lab per user is allowed.", "session_exists")
INVALID_JSON = failure("Invalid JSON in request body", "invalid_json")
NOT_FOUND = failure(NO_SESSION, "session_not_found")
EMPTY = failure("Request body cannot be empty", "empty_body")
NOTHING = failure("No valid fields to update", "no_valid_fields")
TOO_LARGE = failure("Request body too large", "body_too_large")
NO_ROUTE = failure("Route not found", "route_not_found")
WRONG_METHOD = failure("Method not allowed", "method_not_allowed")
BEING_CLEANED = failure("Lab session is being cleaned up", "session_being_cleaned") | {"why_not": "being_cleaned"}

FAILURES = [
    # POST
    (("none", "POST", SESSIONS, b"{"), (400, INVALID_JSON)),
    (("none", "POST", SESSIONS, b""), (400, INVALID_JSON)),
    (("none", "POST", SESSIONS, b'{"duration": NaN}'), (400, INVALID_JSON)),
    (("none", "POST", SESSIONS, b'{"labId": "\xff"}'), (400, INVALID_JSON)),
    (("none", "POST", SESSIONS, b"[]"), (400, failure(NOT_AN_OBJECT + "an array", "not_an_object"))),
    (("none", "POST", SESSIONS, b"null"), (400, failure(NOT_AN_OBJECT + "null", "not_an_object"))),
    (("none", "POST", SESSIONS, b"7"), (400, failure(NOT_AN_OBJECT + "7", "not_an_object"))),
    (("none", "POST", SESSIONS, {}), (400, failure(MISSING + ALL_REQUIRED, "missing_fields"))),
    (
        ("none", "POST", SESSIONS, lab_body(vm=None, labTitle=None, duration="x")),
        (400, failure(MISSING + "labTitle, vm", "missing_fields")),
    ),
    (
        ("none", "POST", SESSIONS, lab_body(duration="60")),
        (
            400,
            failure("Field 'duration' must be a number of minutes greater than 0, got a string", "invalid_field"),
        ),
    ),
    (
        ("none", "POST", SESSIONS, lab_body(lab_request_id="", user_id="")),
        (
            400,
            failure(
                "Field 'lab_request_id' must be a non-empty string, got an empty string; "
                "Field 'user_id' must be a string of 1 to 512 printable characters, got an empty string",
                "invalid_field",
            ),
        ),
    ),
    (("active", "POST", SESSIONS, lab_body()), (409, EXISTS)),
    (("cleaning", "POST", SESSIONS, lab_body()), (409, EXISTS)),
    # GET
    (("none", "GET", f"{SESSIONS}/user/ada", None), (404, NOT_FOUND)),
    (("active", "GET", f"{SESSIONS}/user/Ada", None), (404, NOT_FOUND)),
    # PUT
    (("active", "PUT", ME, None), (400, EMPTY)),
    (("active", "PUT", ME, {}), (400, EMPTY)),
    (("active", "PUT", ME, b"nope"), (400, INVALID_JSON)),
    (("active", "PUT", ME, b"[1]"), (400, failure(NOT_AN_OBJECT + "an array", "not_an_object"))),
    (("active", "PUT", ME, {"user_id": "eve", "foo": 1, "duration": None}), (400, NOTHING)),
    (
        ("active", "PUT", ME, {"duration": True, "vscode_domain": 5}),
        (
            400,
            failure(
                "Field 'duration' must be a number of minutes greater than 0, got a boolean; "
                "Field 'vscode_domain' must be a string, got 5",
                "invalid_field",
            ),
        ),
    ),
    (("none", "PUT", ME, {"duration": 1}), (404, NOT_FOUND)),
    (
        ("cleaning", "PUT", ME, {"duration": 1}),
        (409, BEING_CLEANED),
    ),
    (("none", "PUT", ME, {}), (400, EMPTY)),
    (("cleaning", "PUT", ME, {"foo": 1}), (400, NOTHING)),
    # extend
    (("active", "POST", f"{ME}/extend", None), (400, EMPTY)),
    (("active", "POST", f"{ME}/extend", {}), (400, EMPTY)),
    (("active", "POST", f"{ME}/extend", b"+5"), (400, INVALID_JSON)),
    (("active", "POST", f"{ME}/extend", b"5"), (400, failure(NOT_AN_OBJECT + "5", "not_an_object"))),
    (
        ("active", "POST", f"{ME}/extend", {"duration": 90, "minutes": None}),
        (400, failure(MISSING + "minutes or until", "missing_fields")),
    ),
    (
        ("active", "POST", f"{ME}/extend", {"minutes": 5, "until": "2027-01-15T10:00:00Z"}),
        (400, failure("Field 'until' must be absent where 'minutes' is given, got both", "invalid_field")),
    ),
    (
        ("active", "POST", f"{ME}/extend", {"minutes": 0}),
        (400, failure("Field 'minutes' must be a number of minutes other than 0, got 0", "invalid_field")),
    ),
    (("none", "POST", f"{ME}/extend", {"minutes": 5}), (404, NOT_FOUND)),
    (
        ("cleaning", "POST", f"{ME}/extend", {"minutes": 5}),
        (409, BEING_CLEANED),
    ),
    # DELETE
    (("none", "DELETE", ME, None), (404, NOT_FOUND)),
    # anything else
    (("none", "GET", "/nowhere", None), (404, NO_ROUTE)),
    (("none", "POST", f"{SESSIONS}/", lab_body()), (404, NO_ROUTE)),
    (("none", "GET", f"{SESSIONS}/user/ada/", None), (404, NO_ROUTE)),
    (("none", "GET", f"{SESSIONS}/user/a/b", None), (404, NO_ROUTE)),
    (("none", "GET", SESSIONS, None), (405, WRONG_METHOD)),
    (("none", "GET", ME, None), (405, WRONG_METHOD)),
    (("none", "DELETE", "/health", None), (405, WRONG_METHOD)),
    (("none", "POST", SESSIONS, b" " * 262_145), (413, TOO_LARGE)),
    (("active", "PUT", ME, b" " * 262_145), (413, TOO_LARGE)),
]


@pytest.mark.parametrize(("request_", "expected"), SUCCESSES)
async def test_success(
    api: Api, engine: DrivenSessions, request_: tuple[str, str, str, Any], expected: tuple[int, Any]
) -> None:
    """A request that fits is answered with the contract's status, message and body, and nothing else."""
    situation, method, path, body = request_
    await given(situation, api, engine)
    assert await send(api, method, path, body) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [pytest.param(*case, id=f"{index}-{case[0][1]}-{case[1][0]}") for index, case in enumerate(FAILURES)],
)
async def test_failure(
    api: Api, engine: DrivenSessions, request_: tuple[str, str, str, Any], expected: tuple[int, Any]
) -> None:
    """A request that doesn't fit is answered with the contract's status and words, a code and the request id."""
    situation, method, path, body = request_
    await given(situation, api, engine)
    assert await send(api, method, path, body) == expected


async def test_health(api: Api) -> None:
    """`/health` has exactly these members while nothing is wrong."""
    expected = {"status": "healthy", "service": "lab-sessions-api", "timestamp": "2027-01-15T08:00:00.000Z"}
    assert await send(api, "GET", "/health") == (200, expected)


async def test_id_is_made_if_absent(api: Api) -> None:
    """A session without an `id` gets a UUID."""
    _, body = await send(api, "POST", SESSIONS, lab_body(id=None))
    assert len(body["data"]["id"]) == 36


async def test_update_in_the_past_is_accepted(api: Api, engine: DrivenSessions) -> None:
    """A new deadline that has passed is no fault: the session is shown with nothing remaining."""
    await given("active", api, engine)
    await engine.advance(30 * MINUTE_MS)
    status, body = await send(api, "PUT", ME, {"duration": 1})
    assert (status, body["data"]["remaining_seconds"]) == (200, 0.0)
    assert body["data"]["updated_at"] == "2027-01-15T08:30:00.000Z"
    assert body["data"]["expires_at"] == "2027-01-15T08:01:00.000Z"


async def test_deleted_session_is_gone(api: Api, engine: DrivenSessions) -> None:
    """After a DELETE, GET answers 404, a second DELETE too, and a POST is allowed."""
    await given("active", api, engine)
    statuses = [
        (await send(api, method, path, body))[0]
        for method, path, body in (
            ("DELETE", ME, None),
            ("GET", f"{SESSIONS}/user/ada", None),
            ("DELETE", ME, None),
            ("POST", SESSIONS, lab_body()),
        )
    ]
    assert statuses == [200, 404, 404, 201]


async def test_nothing_is_left_at_the_limit(api: Api, engine: DrivenSessions) -> None:
    """What can be granted is granted, at last the limit itself; then it is a refusal that says why, and again."""
    await given("active", api, engine)
    assert (await send(api, "POST", f"{ME}/extend", {"minutes": 43_140}))[0] == 200
    refused = failure("Lab session cannot be extended any further", "extension_limit_reached")
    for body in ({"minutes": 1e-300}, {"until": "2027-02-14T08:00:00.001Z"}):
        assert await send(api, "POST", f"{ME}/extend", body) == (409, refused | {"why_not": "limit_reached"})
    assert (await send(api, "POST", f"{ME}/extend", {"until": "2027-02-14T08:00:00Z"}))[0] == 200


@pytest.mark.parametrize(("before_ms", "status"), [(1, 200), (0, 409)])
async def test_an_extension_is_kept_or_refused(api: Api, engine: DrivenSessions, before_ms: int, status: int) -> None:
    """A millisecond before the cleanup begins it is granted, and the lab runs on; once it has begun it is refused."""
    await given("active", api, engine)
    await engine.advance(60 * MINUTE_MS - before_ms)
    assert (await send(api, "POST", f"{ME}/extend", {"minutes": 5}))[0] == status
    await engine.advance(before_ms)
    _, shown = await send(api, "GET", f"{SESSIONS}/user/ada")
    assert shown["data"]["status"] == ("active" if status == 200 else "cleaning")
    assert shown["data"]["remaining_seconds"] == (300.0 if status == 200 else 0.0)


async def test_two_tabs_extend_at_once(api: Api, engine: DrivenSessions) -> None:
    """Minutes add up, whoever asks for them; the same instant twice is one change."""
    await given("active", api, engine)
    by = await asyncio.gather(*(send(api, "POST", f"{ME}/extend", {"minutes": 5}) for _ in range(3)))
    assert sorted(body["data"]["duration"] for _, body in by) == [65, 70, 75]
    until = {"until": "2027-01-15T10:00:00Z"}
    answers = await asyncio.gather(*(send(api, "POST", f"{ME}/extend", until) for _ in range(3)))
    assert sorted(body["data"]["extension"]["granted_seconds"] for _, body in answers) == [0.0, 0.0, 2700.0]


async def test_one_of_two_concurrent_posts_wins(api: Api) -> None:
    """Two POSTs for one user at the same time: one 201, one 409, and the 201's session is the one kept."""
    answers = await asyncio.gather(*(send(api, "POST", SESSIONS, lab_body(id=f"s{n}")) for n in range(2)))
    assert sorted(status for status, _ in answers) == [201, 409]
    created = next(body["data"] for status, body in answers if status == 201)
    _, shown = await send(api, "GET", f"{SESSIONS}/user/ada")
    assert shown["data"] == created


async def test_two_users_do_not_meet(api: Api) -> None:
    """The rule of one session is per user."""
    answers = await asyncio.gather(*(send(api, "POST", SESSIONS, lab_body(user_id=name)) for name in ("ada", "bob")))
    assert [status for status, _ in answers] == [201, 201]
