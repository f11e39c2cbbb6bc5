"""What every request passes: request id, CORS, token, route; and the one way out for failures."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from http_driven import SESSIONS, Api, DrivenSessions, exact, lab_body, send_raw
from multidict import CIMultiDictProxy
from pytest_aiohttp import AiohttpClient

from labsessions import log_lines
from labsessions.core.messages import Done, Show
from labsessions.core.policy import Policy
from labsessions.http import ApiOptions, make_app
from labsessions.http.dashboard import FILE
from labsessions.ports import EngineError, Readiness

ME = f"{SESSIONS}/ada"
EVERYWHERE = [
    ("GET", "/", 200),
    ("GET", "/health", 200),
    ("GET", "/nowhere", 404),
    ("PATCH", SESSIONS, 405),
    ("POST", SESSIONS, 400),
    ("GET", f"{SESSIONS}/user/ada", 404),
    ("OPTIONS", SESSIONS, 204),
    ("OPTIONS", "/nowhere", 204),
]
TOKENS = ("first-token", "second-tökén")


class Doors:
    """Makes front doors with other settings over the same engine."""

    def __init__(self, client: AiohttpClient, engine: DrivenSessions, readiness: Readiness) -> None:
        self._client, self._engine, self._readiness = client, engine, readiness

    async def open(self, **options: Any) -> Api:
        """A client of the door with these options."""
        return await self._client(make_app(self._engine, self._readiness, ApiOptions(version="1", **options)))


@pytest.fixture
def doors(aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: Readiness) -> Doors:
    """To open a door with settings of one's own."""
    return Doors(aiohttp_client, engine, readiness)


class Answer(NamedTuple):
    """An answer, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


async def ask(api: Api, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer to a request without a body."""
    async with api.request(method, path, headers=headers) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


# --- request id ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 128])
async def test_request_id_is_taken(api: Api, given: str) -> None:
    """A request id of 1 to 128 harmless characters is echoed, in a failure's body as well."""
    answer = await ask(api, "GET", "/nowhere", {"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "é", "a;b", "a/b"])
async def test_request_id_is_made(api: Api, given: str) -> None:
    """Any other is replaced by a fresh one."""
    answer = await ask(api, "GET", "/nowhere", {"X-Request-ID": given})
    made = answer.headers["X-Request-ID"]
    assert made != given
    assert len(made) == 32
    assert answer.json()["request_id"] == made


@pytest.mark.parametrize(("method", "path", "status"), EVERYWHERE)
async def test_every_answer_has_an_id_of_its_own(api: Api, method: str, path: str, status: int) -> None:
    """Two answers on one connection never share a made id."""
    first, second = await ask(api, method, path), await ask(api, method, path)
    assert (first.status, second.status) == (status, status)
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


async def test_log_lines_carry_the_id(api: Api, log_lines_seen: list[Any]) -> None:
    """Each line of a request has its id, and no other request's."""
    for number in range(2):
        async with api.post(SESSIONS, json=lab_body(), headers={"X-Request-ID": f"r{number}"}) as answer:
            await answer.read()
    assert [(line["event"], line["request_id"]) for line in log_lines_seen] == [
        (log_lines.CREATED, "r0"),
        (log_lines.REFUSED, "r1"),
    ]


# --- CORS ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "status"), EVERYWHERE)
async def test_every_answer_allows_any_origin(api: Api, method: str, path: str, status: int) -> None:
    """By default, every answer, failures included, may be read by a page of any origin."""
    answer = await ask(api, method, path, {"Origin": "https://app.example.test"})
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    exposed = "X-Request-ID, ETag, Date, Retry-After, Idempotency-Replayed"
    assert answer.headers["Access-Control-Expose-Headers"] == exposed
    assert "Vary" not in answer.headers


async def test_internal_faults_allow_any_origin(api: Api, engine: DrivenSessions) -> None:
    """So may a 500."""
    engine.fault = EngineError("disk full")
    answer = await ask(api, "DELETE", ME)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (500, "*")


@pytest.mark.parametrize("path", ["/", "/health", SESSIONS, ME, f"{SESSIONS}/user/ada", "/nowhere"])
async def test_preflight(doors: Doors, path: str) -> None:
    """Preflight is answered on every route, known or not, without a token, an empty 204."""
    api = await doors.open(tokens=TOKENS)
    answer = await ask(api, "OPTIONS", path, {"Origin": "https://a.test", "Access-Control-Request-Method": "PUT"})
    assert answer.status == 204
    assert answer.body == b""
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, DELETE, OPTIONS"
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization"
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_preflight_of_the_whole_server(api: Api) -> None:
    """`OPTIONS *` is answered as any other."""
    assert (await send_raw(api, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 204


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://a.test", "https://a.test"),
        ("https://b.test", "https://b.test"),
        ("https://c.test", None),
        ("https://a.test.evil", None),
        ("null", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_listed_origins(doors: Doors, method: str, origin: str | None, allowed: str | None) -> None:
    """With a list, exactly its origins are allowed, and caches are told that the answer depends on it."""
    api = await doors.open(cors_origins=("https://a.test", "https://b.test"))
    answer = await ask(api, method, "/nowhere", {} if origin is None else {"Origin": origin})
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert answer.headers["Vary"] == "Origin"


# --- tokens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["Bearer first-token", "bearer first-token", "BEARER  first-token ", "Bearer second-tökén"]
)
async def test_tokens_open_the_door(doors: Doors, header: str) -> None:
    """Each of several tokens will do; the scheme's case doesn't matter."""
    api = await doors.open(tokens=TOKENS)
    answer = await ask(api, "GET", f"{SESSIONS}/user/ada", {"Authorization": header})
    assert answer.status == 404


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer first-toke",
        "Bearer first-token2",
        "Bearer first-token second-token",
        "Basic first-token",
        "first-token",
        "Bearer First-Token",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", SESSIONS),
        ("GET", f"{SESSIONS}/user/ada"),
        ("PUT", ME),
        ("DELETE", ME),
        ("POST", f"{ME}/extend"),
        ("GET", "/nowhere"),
        ("PATCH", SESSIONS),
    ],
)
async def test_no_or_wrong_token(
    doors: Doors, engine: DrivenSessions, method: str, path: str, header: str | None
) -> None:
    """Without one of the tokens every route, known or not, answers 401 and the engine isn't asked."""
    api = await doors.open(tokens=TOKENS)
    answer = await ask(api, method, path, {} if header is None else {"Authorization": header})
    body = answer.json()
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (body["error"], body["code"]) == ("Invalid or missing authentication token", "unauthorized")
    assert engine.asked == []


async def test_a_token_of_raw_bytes_is_wrong(doors: Doors) -> None:
    """Bytes that are no UTF-8 are a wrong token, not a fault."""
    api = await doors.open(tokens=TOKENS)
    head = f"GET {ME} HTTP/1.1\r\nHost: x\r\n".encode()
    status, _ = await send_raw(api, head + b"Authorization: Bearer \xff\xfe\r\n\r\n")
    assert status == 401


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/health/ready"])
async def test_watchers_need_no_token(doors: Doors, path: str) -> None:
    """Whoever watches the service needs no token."""
    assert (await ask(await doors.open(tokens=TOKENS), "GET", path)).status == 200


@pytest.mark.parametrize("path", [f"/health/..{ME}", f"/health/%2E%2E{ME}", f"//health{ME}"])
async def test_no_way_around_the_token(doors: Doors, engine: DrivenSessions, path: str) -> None:
    """A path that only looks like a watcher's reaches no session."""
    api = await doors.open(tokens=TOKENS)
    async with api.session.delete(exact(api, path)) as answer:
        assert answer.status in {401, 404}
    assert engine.asked == []


def test_tokens_are_secrets() -> None:
    """An empty token is a mistake; a token is not shown."""
    with pytest.raises(ValueError, match="empty"):
        ApiOptions(version="1", tokens=("good", ""))
    assert "first-token" not in repr(ApiOptions(version="1", tokens=TOKENS))


# --- routes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", SESSIONS, "OPTIONS, POST"),
        ("PATCH", ME, "DELETE, OPTIONS, PUT"),
        ("GET", f"{ME}/extend", "OPTIONS, POST"),
        ("POST", f"{SESSIONS}/user/ada", "GET, HEAD, OPTIONS"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_method(api: Api, method: str, path: str, allow: str) -> None:
    """A known path names the methods that it has."""
    answer = await ask(api, method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allow)


async def test_head_is_a_get_without_its_body(api: Api) -> None:
    """HEAD answers as GET does, headers only."""
    async with api.post(SESSIONS, json=lab_body()) as answer:
        assert answer.status == 201
    path = f"{SESSIONS}/user/ada"
    got, head = await ask(api, "GET", path), await ask(api, "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_routes_are_the_contracts(api: Api) -> None:
    """The router has the contract's, the detail of health, the API's description, the dashboard, and no others."""
    assert api.app is not None
    found = {
        (route.method, route.resource.canonical)
        for route in api.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert found == {
        ("POST", SESSIONS),
        ("GET", SESSIONS + "/user/{user_id}"),
        ("GET", SESSIONS + "/user/{user_id}/events"),
        ("GET", SESSIONS + "/user/{user_id}/last"),
        ("PUT", SESSIONS + "/{user_id}"),
        ("DELETE", SESSIONS + "/{user_id}"),
        ("POST", SESSIONS + "/{user_id}/extend"),
        ("GET", "/health"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/dashboard"),
        ("GET", FILE),
    }


# --- faults and log lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [EngineError("secret path /var/x"), ZeroDivisionError("secret"), TimeoutError()])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", SESSIONS, lab_body()),
        ("GET", f"{SESSIONS}/user/ada", None),
        ("PUT", ME, {"duration": 1}),
        ("POST", f"{ME}/extend", {"minutes": 1}),
        ("DELETE", ME, None),
    ],
)
async def test_faults(api: Api, engine: DrivenSessions, method: str, path: str, body: Any, fault: Exception) -> None:
    """Any fault of the service is a 500 that says nothing but the request id."""
    engine.fault = fault
    async with api.request(method, path, json=body, headers={"X-Request-ID": "r1"}) as answer:
        assert answer.status == 500
        assert await answer.json() == {
            "success": False,
            "error": "Internal server error",
            "code": "internal_error",
            "request_id": "r1",
        }


async def test_line_of_a_fault(api: Api, engine: DrivenSessions, log_lines_seen: list[Any]) -> None:
    """The request id finds the fault's log line, with its traceback and without the query."""
    engine.fault = EngineError("disk full")
    await ask(api, "DELETE", f"{ME}?token=secret", {"X-Request-ID": "r1"})
    assert log_lines_seen == [
        {
            "event": log_lines.UNHANDLED,
            "log_level": "error",
            "request_id": "r1",
            "method": "DELETE",
            "path": ME,
            "exc_info": True,
        }
    ]


async def test_an_answer_that_is_none_is_a_fault(api: Api, engine: DrivenSessions) -> None:
    """`Done` answers no question of a client's: a bug of the engine."""
    engine.answer = Done()
    assert (await ask(api, "DELETE", ME)).status == 500


async def test_an_extension_without_its_answer_is_a_fault(api: Api, engine: DrivenSessions) -> None:
    """A session alone doesn't say what was granted."""
    async with api.post(SESSIONS, json=lab_body()) as answer:
        assert answer.status == 201
    engine.answer = await engine.ask("ada", Show())
    async with api.post(f"{ME}/extend", json={"minutes": 5}) as answer:
        assert answer.status == 500


async def test_lines_of_a_session(api: Api, log_lines_seen: list[Any]) -> None:
    """Create, update, extend and delete leave the operators' lines, with user and lab; a look leaves none."""
    for method, path, body in (
        ("POST", SESSIONS, lab_body()),
        ("GET", f"{SESSIONS}/user/ada", None),
        ("PUT", ME, {"duration": 1}),
        ("POST", f"{ME}/extend", {"minutes": 0.1}),
        ("DELETE", ME, None),
    ):
        async with api.request(method, path, json=body) as answer:
            assert answer.ok
    expected = (
        log_lines.CREATED,
        log_lines.UPDATED,
        log_lines.EXTENDED,
        log_lines.CANCELLED,
        log_lines.DELETED,
    )
    seen = [(line["event"], line["log_level"], line["user"], line["lab"]) for line in log_lines_seen]
    assert seen == [(event, "info", "ada", "lab-master") for event in expected]
    assert [line["granted_seconds"] for line in log_lines_seen if line["event"] == log_lines.EXTENDED] == [6.0]


async def test_a_delete_that_leaves_obligations_cancels_nothing(
    api: Api, engine: DrivenSessions, log_lines_seen: list[Any]
) -> None:
    """With `manual_delete = "ensure"` the cleanup still comes: the line that says otherwise is not written."""
    engine.policy = Policy(owed_after_ms=0)
    async with api.post(SESSIONS, json=lab_body()) as created, api.delete(ME) as deleted:
        assert (created.status, deleted.status) == (201, 200)
        assert await deleted.json() == {
            "success": True,
            "data": {"user_id": "ada", "deleted": True},
            "message": "Lab session deleted successfully",
        }
    assert [line["event"] for line in log_lines_seen] == [log_lines.CREATED, log_lines.DELETED]


async def test_lines_of_refusals(api: Api, log_lines_seen: list[Any]) -> None:
    """A refusal says status and reason, the path without its query, and the user where it is known."""
    await ask(api, "GET", f"{SESSIONS}/user/%E2%9C%85?x=secret", {"X-Request-ID": "r1"})
    await ask(api, "GET", "/nowhere?x=secret", {"X-Request-ID": "r2"})
    common = {"event": log_lines.REFUSED, "log_level": "warning", "method": "GET", "status": 404}
    assert log_lines_seen == [
        common
        | {
            "request_id": "r1",
            "reason": "No active lab session found for this user",
            "path": f"{SESSIONS}/user/%E2%9C%85",
            "user": "✅",
        },
        common | {"request_id": "r2", "reason": "Route not found", "path": "/nowhere"},
    ]
