"""One call over a real socket: signed as the library verifies it, and no answer can do us harm."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession, web
from standardwebhooks import Webhook, WebhookVerificationError
from unruly_backend import breaks_off, drips, huge, says
from webhook_receiver import SECRET, Receiver, webhook_receiver

from labsessions.webhooks.messages import USUAL, Message
from labsessions.webhooks.sender import MOST_BYTES, Endpoint, Sender, open_sender
from labsessions.webhooks.standing import Failure

TOLD = Message(7, "msg_7", "session.created", "2026-01-01T00:00:00.000Z", '{"type":"session.created","data":{"ü":1}}')
OTHER = base64.b64encode(b"another secret of thirty-two byt").decode()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """An endpoint."""
    async with webhook_receiver() as receiver:
        yield receiver


def at(url: str, **members: Any) -> Endpoint:
    """The endpoint there."""
    return Endpoint(**{"name": "ops", "url": url, "events": frozenset(USUAL), **members})


async def sent(url: str, secrets: tuple[str, ...] = (SECRET,), **members: Any) -> Failure | None:
    """What comes of one call."""
    async with open_sender({"ops": secrets}) as sender:
        return await sender.send(at(url, **members), TOLD)


async def test_what_arrives_is_what_the_library_verifies(receiver: Receiver) -> None:
    """The body to the byte, with its id, as JSON of ours."""
    assert await sent(receiver.url) is None
    (received,) = receiver.received
    assert received.body == TOLD.body.encode()
    assert (received.id, received.headers["content-type"]) == ("msg_7", "application/json")
    assert received.headers["user-agent"].startswith("labsessions/")


async def test_each_attempt_is_signed_anew(receiver: Receiver) -> None:
    """The same id and body, another timestamp and signature: receivers refuse what is older than five minutes."""
    now = datetime.now(UTC)
    async with ClientSession() as session:
        times = iter([now - timedelta(minutes=4), now])
        sender = Sender(session, {"ops": [SECRET]}, lambda: next(times))
        for _ in range(2):
            assert await sender.send(at(receiver.url), TOLD) is None
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 240
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_while_a_secret_is_replaced_both_sign(receiver: Receiver) -> None:
    """A receiver with either of them takes it, one with another does not."""
    assert await sent(receiver.url, (OTHER, SECRET)) is None
    (received,) = receiver.received
    for secret in (OTHER, SECRET):
        Webhook(secret).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"x" * 32).decode()).verify(received.body, received.headers)


async def test_new_secrets_sign_from_then_on(receiver: Receiver) -> None:
    """Without a restart."""
    async with open_sender({"ops": [OTHER]}) as sender:
        sender.reconfigure({"ops": [SECRET]})
        assert await sender.send(at(receiver.url), TOLD) is None


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_accepted(receiver: Receiver, status: int) -> None:
    """Any 2xx."""
    receiver.answers = [lambda: web.Response(status=status)]
    assert await sent(receiver.url) is None


@pytest.mark.parametrize(
    ("status", "gone", "absent"),
    [
        *((400, False, False), (401, False, False), (404, False, False), (409, False, False), (410, True, False)),
        *((408, False, True), (429, False, True), (500, False, False), (502, False, True), (503, False, True)),
        (504, False, True),
    ],
)
async def test_not_accepted(receiver: Receiver, status: int, gone: bool, absent: bool) -> None:  # noqa: FBT001 - pytest's
    """With what it said, on one line; and what may be concluded from it."""
    receiver.answers = [lambda: web.Response(status=status, text="no\n thanks")]
    assert await sent(receiver.url) == Failure(f"HTTP {status} (no thanks)", gone=gone, absent=absent)


async def test_retry_after(receiver: Receiver) -> None:
    """In seconds or as a date; nonsense is none, and no number is too large."""
    soon = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    for value, low, high in (("7", 7_000, 7_000), (soon, 590_000, 600_000), ("9" * 40, 1e12, 1e12)):
        receiver.answers = [lambda value=value: web.Response(status=429, headers={"Retry-After": value})]  # type: ignore[misc]
        failure = await sent(receiver.url)
        assert failure is not None
        assert failure.retry_after_ms is not None
        assert low <= failure.retry_after_ms <= high
    receiver.answers = [lambda: web.Response(status=429, headers={"Retry-After": "soon"})]
    assert await sent(receiver.url) == Failure("HTTP 429", absent=True)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    """An event goes where the operator says, and nowhere else; where to isn't told, as it may hold a key."""
    receiver.answers = [lambda: web.Response(status=status, headers={"Location": f"{receiver.url}?s3cret"})]
    assert await sent(receiver.url) == Failure(f"HTTP {status}, redirects are not followed")
    assert len(receiver.received) == 1


async def test_what_it_says_has_no_secret_in_it(receiver: Receiver) -> None:
    """With the prefix and without, nor the address that it was called at, as a server says what it doesn't find."""
    bare = SECRET.removeprefix("whsec_")
    receiver.answers = [lambda: web.Response(status=400, text=f"wrong: {SECRET} or {bare} at {receiver.url}")]
    failure = await sent(receiver.url)
    assert failure is not None
    assert bare not in failure.error
    assert "k3y" not in failure.error
    assert failure.error.startswith("HTTP 400 (wrong: whsec_[redacted] or [redacted] at http://127")


async def test_no_answer_in_time(receiver: Receiver) -> None:
    """Bounded by the endpoint's time, which is real here."""
    receiver.hangs = True
    assert await sent(receiver.url, timeout_seconds=0.2) == Failure("no answer within 0.2 s", absent=True)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:1/k3y", "refused connection"),
        ("http://nowhere.invalid/k3y", "host not found"),
    ],
)
async def test_nobody_there(url: str, error: str) -> None:
    """Said without the address."""
    assert await sent(url) == Failure(error, absent=True)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (says("200 OK", body=b"x" * (MOST_BYTES + 1)), None),
        (huge("200 OK"), None),
        (huge("400 No"), Failure("HTTP 400")),
        (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"), None),
        (drips(b"HTTP/1.1 500 No\r\nContent-Length: 9999999\r\n\r\n"), Failure("HTTP 500")),
        (breaks_off(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"), None),
        (breaks_off(b"HTTP/1.1 20"), Failure("connection dropped", absent=True)),
        (says("999999 s3cret"), Failure("answer is not valid HTTP", absent=True)),
    ],
)
async def test_unruly_answers(act: Any, expected: Failure | None) -> None:
    """The status line decides; no more than a few KiB of the rest is read, and not for long."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await act(writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await sent(f"http://127.0.0.1:{port}/k3y") == expected
