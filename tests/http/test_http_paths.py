"""The id in a path is the user_id, percent-decoded; any printable Unicode is a valid id (CONTRACT §1)."""

import json
from urllib.parse import quote

import pytest
from http_driven import SESSIONS, Api, DrivenSessions, exact, lab_body, send_raw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

IDS = [
    "a",
    ".",
    "..",
    "a/b",
    "/",
    "//",
    "%",
    "%2F",
    "%25",
    "%FF",
    "a b",
    "a+b",
    "a?b#c&d=e",
    "{user_id}",
    "user",
    "user/ada",
    "extend",
    "ada/extend",
    "ada@example.test",
    "日本語",
    "é",
    "e\u0301",
    "😀👍🏽",
    "\\",
    "'\";--",
    "x" * 512,
]


async def call(api: Api, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Status and, from the data, the user of the answer, or else the error's text."""
    data = None if body is None else json.dumps(body).encode()
    async with api.session.request(method, exact(api, path), data=data) as answer:
        content = await answer.json()
        return answer.status, content["data"]["user_id"] if content["success"] else content["error"]


async def round_trip(api: Api, user_id: str, encoded: str) -> None:
    """Create, show, update, extend, delete by the path."""
    assert await call(api, "POST", SESSIONS, lab_body(user_id=user_id)) == (201, user_id)
    assert await call(api, "GET", f"{SESSIONS}/user/{encoded}") == (200, user_id)
    assert await call(api, "PUT", f"{SESSIONS}/{encoded}", {"duration": 1}) == (200, user_id)
    assert await call(api, "POST", f"{SESSIONS}/{encoded}/extend", {"minutes": 1}) == (200, user_id)
    assert await call(api, "DELETE", f"{SESSIONS}/{encoded}") == (200, user_id)


@pytest.mark.parametrize("user_id", IDS)
async def test_ids(api: Api, user_id: str) -> None:
    """With everything reserved escaped, each id finds its session on every route."""
    await round_trip(api, user_id, quote(user_id, safe=""))


@pytest.mark.parametrize("user_id", IDS)
async def test_ids_escaped_throughout(api: Api, user_id: str) -> None:
    """Escapes that aren't needed, in either case, change nothing."""
    await round_trip(api, user_id, "".join(f"%{byte:02x}" for byte in user_id.encode()))


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.text(min_size=1, max_size=20).filter(str.isprintable))
async def test_any_id(api: Api, user_id: str) -> None:
    """Not only the ids that we thought of."""
    await round_trip(api, user_id, quote(user_id, safe=""))


@pytest.mark.parametrize("user_id", ["..", ".", "%", "%zz", "a:b@c", "{a}|[b]"])
async def test_ids_sent_as_they_are(api: Api, user_id: str) -> None:
    """Clients that don't escape are understood where it is unambiguous."""
    async with api.post(SESSIONS, json=lab_body(user_id=user_id)) as answer:
        assert answer.status == 201
    status, _ = await send_raw(api, f"GET {SESSIONS}/user/{user_id} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert status == 200


async def test_absolute_form(api: Api) -> None:
    """A request line with the whole URL, as proxies send it, means the same."""
    async with api.post(SESSIONS, json=lab_body(user_id="a/b")) as answer:
        assert answer.status == 201
    line = f"GET http://x.test{SESSIONS}/user/a%2Fb?q HTTP/1.1\r\nHost: x.test\r\n\r\n"
    assert (await send_raw(api, line.encode()))[0] == 200


@pytest.mark.parametrize("encoded", ["%FF", "%ED%A0%80", "%0A", "a%00", "%E2%80%AE", "%C2%A0", "x" * 513, "%C3"])
async def test_ids_that_nobody_has(api: Api, engine: DrivenSessions, encoded: str) -> None:
    """An id that no session can have is simply not found; not even a user of the same spelling is hit."""
    assert await call(api, "POST", SESSIONS, lab_body(user_id="%FF")) == (201, "%FF")
    engine.asked.clear()
    not_found = (404, "No active lab session found for this user")
    assert await call(api, "GET", f"{SESSIONS}/user/{encoded}") == not_found
    assert await call(api, "PUT", f"{SESSIONS}/{encoded}", {"duration": 1}) == not_found
    assert await call(api, "POST", f"{SESSIONS}/{encoded}/extend", {"minutes": 1}) == not_found
    assert await call(api, "DELETE", f"{SESSIONS}/{encoded}") == not_found
    assert engine.asked == []


async def test_body_is_judged_before_the_id(api: Api) -> None:
    """On PUT and to extend, what is wrong with the body is said first."""
    assert await call(api, "PUT", f"{SESSIONS}/%FF", {}) == (400, "Request body cannot be empty")
    assert await call(api, "POST", f"{SESSIONS}/%FF/extend", {}) == (400, "Request body cannot be empty")
