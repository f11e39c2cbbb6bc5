"""`Idempotency-Key`: a POST that may be sent again."""

import asyncio
from typing import Any

import pytest
from http_driven import SESSIONS, Api, DrivenSessions, lab_body

EXTEND = f"{SESSIONS}/ada/extend"


async def post(api: Api, path: str, body: Any, *keys: str) -> tuple[int, str | None, bytes]:
    """Status, whether it says that it was given before, and the body."""
    async with api.post(path, json=body, headers=[("Idempotency-Key", key) for key in keys]) as answer:
        return answer.status, answer.headers.get("Idempotency-Replayed"), await answer.read()


@pytest.mark.parametrize(("path", "status"), [(SESSIONS, 201), (EXTEND, 200)])
async def test_the_same_answer_again(api: Api, engine: DrivenSessions, path: str, status: int) -> None:
    """To the byte, though time has passed; the second time it says so."""
    body = lab_body() if path == SESSIONS else {"minutes": 5}
    if path != SESSIONS:
        await post(api, SESSIONS, lab_body())
    first = await post(api, path, body, "k")
    await engine.advance(1234)
    again = await post(api, path, body, "k")
    assert first[:2] == (status, None)
    assert again == (status, "true", first[2])


async def test_a_late_retry_makes_no_second_lab(api: Api) -> None:
    """After the end the answer is the old one, and there is still no session."""
    first = await post(api, SESSIONS, lab_body(), "k")
    async with api.delete(f"{SESSIONS}/ada") as answer:
        assert answer.status == 200
    assert await post(api, SESSIONS, lab_body(), "k") == (201, "true", first[2])
    async with api.get(f"{SESSIONS}/user/ada") as answer:
        assert answer.status == 404


async def test_at_once_one_of_them_does_it(api: Api) -> None:
    """All get the same answer, and only one of them is the first."""
    answers = await asyncio.gather(*(post(api, SESSIONS, lab_body(), "k") for _ in range(5)))
    assert len({(status, body) for status, _, body in answers}) == 1
    assert sorted(str(replayed) for _, replayed, _ in answers) == ["None", *["true"] * 4]


@pytest.mark.parametrize(
    ("path", "body"), [(SESSIONS, lab_body(labTitle="other")), (EXTEND, {"minutes": 5}), (SESSIONS, lab_body(id="x"))]
)
async def test_another_request_with_the_same_key(api: Api, path: str, body: Any) -> None:
    """422, whether the body or the path is another."""
    await post(api, SESSIONS, lab_body(), "k")
    status, replayed, content = await post(api, path, body, "k")
    assert (status, replayed) == (422, None)
    assert b'"code":"key_reused"' in content


async def test_keys_are_the_users_own(api: Api) -> None:
    """Two users may have the same one."""
    assert (await post(api, SESSIONS, lab_body(), "k"))[0] == 201
    assert (await post(api, SESSIONS, lab_body(user_id="bob"), "k"))[:2] == (201, None)


async def test_a_refusal_is_not_given_again(api: Api) -> None:
    """What was refused may succeed later."""
    assert (await post(api, EXTEND, {"minutes": 5}, "k"))[0] == 404
    await post(api, SESSIONS, lab_body())
    assert (await post(api, EXTEND, {"minutes": 5}, "k"))[:2] == (200, None)


@pytest.mark.parametrize("keys", [("",), ("two words",), ("x" * 256,), ("ä",), ("a", "b"), ("a", "a")])
async def test_what_is_no_key(api: Api, engine: DrivenSessions, keys: tuple[str, ...]) -> None:
    """400 that names the header, and the engine isn't asked."""
    status, _, content = await post(api, SESSIONS, lab_body(), *keys)
    assert status == 400
    assert b'"code":"invalid_key"' in content
    assert b"Header 'Idempotency-Key' must be" in content
    assert engine.asked == []


@pytest.mark.parametrize("key", ["a", "x" * 255, '"quoted"', "!~"])
async def test_what_is_a_key(api: Api, key: str) -> None:
    """1 to 255 visible ASCII characters."""
    assert (await post(api, SESSIONS, lab_body(), key))[0] == 201


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("idempotency-key", "Content-Type, Authorization, Idempotency-Key"),
        ("content-type, if-match, Idempotency-Key", "Content-Type, Authorization, If-Match, Idempotency-Key"),
        ("idempotency-key-2", "Content-Type, Authorization"),
    ],
)
async def test_a_page_of_another_origin_may_send_it(api: Api, asked: str, allowed: str) -> None:
    """The preflight allows the header to who asks for it."""
    async with api.options(SESSIONS, headers={"Access-Control-Request-Headers": asked}) as answer:
        assert answer.headers["Access-Control-Allow-Headers"] == allowed
