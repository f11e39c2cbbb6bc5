"""`ETag` and `If-Match`: two tabs of a browser don't undo each other's work."""

import pytest
from http_driven import SESSIONS, Api, DrivenSessions, lab_body

ME = f"{SESSIONS}/ada"
MINE = f"{SESSIONS}/user/ada"


EXTEND = f"{ME}/extend"


async def ask(api: Api, method: str, path: str, tag: str | None = None) -> tuple[int, str, str | None]:
    """Status, error code (empty for none) and tag of the answer to a request with `If-Match: tag`."""
    body = {SESSIONS: lab_body(), EXTEND: {"minutes": 5}, ME: {"duration": 30}}.get(path)
    headers = {} if tag is None else {"If-Match": tag}
    async with api.request(method, path, json=body, headers=headers) as answer:
        return answer.status, (await answer.json()).get("code", ""), answer.headers.get("ETag")


async def test_every_session_that_is_shown_has_its_tag(api: Api) -> None:
    """POST, GET, PUT and extend; the same as long as nothing changes, another after a change; none on a failure."""
    _, _, created = await ask(api, "POST", SESSIONS)
    _, _, shown = await ask(api, "GET", MINE)
    _, _, updated = await ask(api, "PUT", ME)
    _, _, again = await ask(api, "GET", MINE)
    assert created is not None
    assert created.startswith('"')
    assert created.endswith('"')
    assert created == shown != updated == again
    _, _, extended = await ask(api, "POST", EXTEND)
    assert extended not in {None, again}
    assert await ask(api, "POST", SESSIONS) == (409, "session_exists", None)
    assert await ask(api, "DELETE", ME) == (200, "", None)


@pytest.mark.parametrize(("method", "path"), [("PUT", ME), ("POST", EXTEND), ("DELETE", ME)])
async def test_a_request_for_another_state_is_refused(api: Api, method: str, path: str) -> None:
    """412 and nothing has happened; with the tag in force it succeeds."""
    _, _, old = await ask(api, "POST", SESSIONS)
    _, _, now = await ask(api, "PUT", ME)
    assert old is not None
    assert now is not None
    assert await ask(api, method, path, old) == (412, "session_changed", None)
    assert await ask(api, method, path, f"W/{now}") == (412, "session_changed", None)
    assert (await ask(api, "GET", MINE))[2] == now
    assert (await ask(api, method, path, f'"other", {old} ,W/"weak", {now}'))[0] == 200


@pytest.mark.parametrize("tag", ["*", " * "])
async def test_any_state_will_do(api: Api, tag: str) -> None:
    """`*` asks only that there is a session: without one it is the 404 that it always is."""
    assert await ask(api, "DELETE", ME, tag) == (404, "session_not_found", None)
    await ask(api, "POST", SESSIONS)
    assert (await ask(api, "PUT", ME, tag))[0] == 200


@pytest.mark.parametrize(
    "tag", ["", "a", '"a', 'a"', '"a" "b"', '"a",', ',"a"', '"a"b"', "w/" + '"a"', '*, "a"', "*,*"]
)
async def test_what_cannot_be_read_is_said(api: Api, tag: str) -> None:
    """400, and nothing has happened: a condition that was meant must not be passed over."""
    _, _, before = await ask(api, "POST", SESSIONS)
    for method, path in (("PUT", ME), ("POST", EXTEND), ("DELETE", ME)):
        assert await ask(api, method, path, tag) == (400, "invalid_condition", None)
    assert (await ask(api, "GET", MINE))[2] == before


async def test_the_wake_up_is_a_change(api: Api, engine: DrivenSessions) -> None:
    """What was read a millisecond before the end doesn't delete what is being cleaned up by then."""
    _, _, before = await ask(api, "POST", SESSIONS)
    await engine.advance(60 * 60_000 - 1)
    assert (await ask(api, "GET", MINE))[2] == before
    await engine.advance(1)
    assert await ask(api, "DELETE", ME, before) == (412, "session_changed", None)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (None, "Content-Type, Authorization"),
        ("content-type", "Content-Type, Authorization"),
        ("if-match", "Content-Type, Authorization, If-Match"),
        ("authorization, If-Match ,x-other", "Content-Type, Authorization, If-Match"),
        ("x-if-match", "Content-Type, Authorization"),
    ],
)
async def test_a_browser_may_send_it_if_it_asks(api: Api, asked: str | None, allowed: str) -> None:
    """The contract's list for all others."""
    headers = {"Origin": "https://a.test"} | ({} if asked is None else {"Access-Control-Request-Headers": asked})
    async with api.options(ME, headers=headers) as answer:
        assert answer.headers["Access-Control-Allow-Headers"] == allowed
    async with api.get(MINE, headers={"Origin": "https://a.test"}) as answer:
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
