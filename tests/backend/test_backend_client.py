"""One call against servers of every temper: what confirms, what fails and why, what is tried again, what is read."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from pytest_aiohttp import AiohttpServer

from labsessions.backend import BackendClient, BackendSettings
from labsessions.backend.client import open_client
from labsessions.mockbackend import (
    Drop,
    Fault,
    Hang,
    Huge,
    Lost,
    MockBackend,
    NonJson,
    Redirect,
    Slow,
    Status,
    make_app,
    running,
)

TOKEN = "s3cret/token+x"
CALL_SECONDS = 1.0


@asynccontextmanager
async def client_for(url: str, **settings: object) -> AsyncIterator[BackendClient]:
    """A client with the test's token and a seeded jitter."""
    options = BackendSettings(**({"url": url, "token": TOKEN} | settings))  # type: ignore[arg-type]
    async with open_client(options, random.Random(3)) as client:  # noqa: S311 - jitter, seeded
        yield client


async def verdict(url: str, seconds: float = CALL_SECONDS, **settings: object) -> str | None:
    """What one deletion at this address comes to."""
    async with client_for(url, **settings) as client:
        return await client.delete_vm("vm-1", "ann", seconds)


@pytest.fixture
async def mock() -> AsyncIterator[MockBackend]:
    """A lab backend where all goes well until a fault is added."""
    async with running(token=TOKEN) as mock:
        yield mock


@asynccontextmanager
async def raw_server(answer: bytes, *, then_hang: bool = False) -> AsyncIterator[str]:
    """A server that sends these bytes to every request and then closes the connection, or keeps it open."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"}")
            writer.write(answer)
            await writer.drain()
            if then_hang:
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*talks)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (None, None),
        (Status(status=200), None),
        (Status(status=299), None),
        (Status(status=410), None),
        (NonJson(), None),
        (Huge(bytes=2_000_000), None),
        (Status(status=300), 'HTTP 300 ({"error": "scripted 300"})'),
        (Status(status=404), 'HTTP 404 ({"error": "scripted 404"})'),
        (Status(status=403), 'HTTP 403: check BACKEND_API_TOKEN ({"error": "scripted 403"})'),
        (Redirect(location="/moved?to=x"), "redirect to /moved (HTTP 307)"),
        (Drop(), "connection dropped"),
        (Lost(), "connection dropped"),
        (Status(status=503), 'HTTP 503 ({"error": "scripted 503"})'),
        (Hang(), "timed out after 1 s"),
    ],
    ids=str,
)
async def test_what_confirms_and_what_does_not(mock: MockBackend, fault: Fault | None, expected: str | None) -> None:
    """Any 2xx and 410 confirm, whatever the body; everything else has a readable reason."""
    if fault is not None:
        mock.add_fault(fault)
    assert await verdict(mock.url) == expected


async def test_what_counts_as_gone_is_configured(mock: MockBackend) -> None:
    """404 confirms only if the operator says so, and 410 only as long as he does."""
    mock.add_fault(Status(status=404, times=1), Status(status=410))
    assert await verdict(mock.url, gone_statuses=(404,)) is None
    assert await verdict(mock.url, gone_statuses=()) == 'HTTP 410 ({"error": "scripted 410"})'


async def test_both_calls_are_made_as_the_contract_says(mock: MockBackend) -> None:
    """Method, path, body and bearer of each; an odd id arrives as it is."""
    async with client_for(mock.url) as client:
        assert await client.delete_services("vm ü/1", 1) is None
        assert await client.delete_vm("vm ü/1", "ann\u2028", 1) is None
    assert [(call.route, call.method, call.lab_request_id, call.user_id, call.authorized) for call in mock.calls()] == [
        ("expose", "DELETE", "vm ü/1", None, True),
        ("delete", "POST", "vm ü/1", "ann\u2028", True),
    ]


@pytest.mark.parametrize("suffix", ["", "/", "/base", "/base/"])
async def test_the_url_may_have_a_path_and_a_slash(aiohttp_server: AiohttpServer, suffix: str) -> None:
    """The routes are appended to it with exactly one slash."""
    app = make_app()
    if "base" in suffix:
        app = web.Application()
        app.add_subapp("/base/", make_app())
    server = await aiohttp_server(app)
    assert await verdict(str(server.make_url("")).rstrip("/") + suffix) is None


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (Status(status=500), 3),
        (Status(status=599), 3),
        (Status(status=429), 3),
        (Drop(), 3),
        (Status(status=428), 1),
        (Status(status=430), 1),
        (Status(status=499), 1),
        (Status(status=401), 1),
        (Redirect(), 1),
        (Hang(), 1),
        (NonJson(), 1),
    ],
    ids=str,
)
async def test_what_is_tried_again_quickly(mock: MockBackend, fault: Fault, tries: int) -> None:
    """Connection errors, 429 and 5xx, twice more; nothing else."""
    mock.add_fault(fault)
    await verdict(mock.url)
    assert len(mock.calls()) == tries


async def test_quick_retries_can_be_turned_off(mock: MockBackend) -> None:
    """Zero retries are one try."""
    mock.add_fault(Status(status=503))
    await verdict(mock.url, quick_retries=0)
    assert len(mock.calls()) == 1


async def test_many_quick_retries_stay_within_the_time_of_the_call(mock: MockBackend) -> None:
    """However many are allowed, the call ends in time."""
    mock.add_fault(Status(status=503))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await verdict(mock.url, seconds=0.1, quick_retries=1000) is not None
    assert loop.time() - began < 5  # the limit, and patience with a busy machine; without it minutes


async def test_retry_after_within_the_time_is_waited_for(mock: MockBackend) -> None:
    """Not a moment before the second that the backend asked for."""
    mock.add_fault(Status(status=429, retry_after=1, times=1))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await verdict(mock.url, seconds=5) is None
    assert 1 <= loop.time() - began < 2
    assert [call.status for call in mock.calls()] == [429, 202]


@pytest.mark.parametrize(
    "retry_after",
    [1, 3600, format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)],
    ids=["soon", "later", "later, as a date"],  # the same in every process that collects them
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_beyond_the_time_fails_at_once(
    mock: MockBackend, status: int, retry_after: int | str
) -> None:
    """Waiting would only use up the time of the call; the reason says when the backend wants us back."""
    mock.add_fault(Status(status=status, retry_after=retry_after))
    loop = asyncio.get_running_loop()
    began = loop.time()
    reason = await verdict(mock.url, seconds=0.9)
    assert loop.time() - began < 0.5
    assert reason == f'HTTP {status}, retry after {retry_after} ({{"error": "scripted {status}"}})'
    assert len(mock.calls()) == 1


@pytest.mark.parametrize(
    "retry_after",
    [0, "soon", format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)],
    ids=["at once", "nonsense", "in the past"],
)
async def test_retry_after_that_says_nothing_is_the_usual_pause(mock: MockBackend, retry_after: int | str) -> None:
    """Zero, nonsense and a date that has passed delay nothing and hinder nothing."""
    mock.add_fault(Status(status=429, retry_after=retry_after, times=1))
    assert await verdict(mock.url, seconds=1) is None


async def test_no_answer_keeps_its_connection(mock: MockBackend) -> None:
    """With one connection for all: answers that were retried, redirected, huge or hung leave it to the next call."""
    async with client_for(mock.url, max_connections=1) as client:
        mock.add_fault(Status(status=503))
        assert None not in [await client.delete_vm("vm-1", "ann", 0.05) for _ in range(6)]
        mock.clear_faults()
        for fault in (Redirect(times=1), Huge(bytes=2_000_000, times=1), Hang(times=1)):
            mock.add_fault(fault)
            await client.delete_vm("vm-1", "ann", 0.05)
        mock.clear_faults()
        assert await client.delete_vm("vm-1", "ann", 1) is None


async def test_calls_wait_their_turn_for_a_connection(mock: MockBackend) -> None:
    """The limit of connections holds, and everybody gets through."""
    async with client_for(mock.url, max_connections=2) as client:
        results = await asyncio.gather(*(client.delete_vm(f"vm-{n}", "ann", 5) for n in range(20)))
    assert results == [None] * 20
    assert mock.max_concurrent_deletes <= 2


async def test_cancelled_calls_give_their_connections_back(mock: MockBackend) -> None:
    """One connection for all: it is free again after a call was cancelled while it hung."""
    mock.add_fault(Hang(times=1))
    async with client_for(mock.url, max_connections=1) as client:
        task = asyncio.create_task(client.delete_vm("vm-1", "ann", 60))
        await mock.wait_for_calls(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.delete_vm("vm-1", "ann", 1) is None


async def test_redirects_are_not_followed(mock: MockBackend) -> None:
    """The token goes to the configured address only; the reason names where it was to be sent."""
    async with running() as elsewhere:
        mock.add_fault(Redirect(status=308, location=f"{elsewhere.url}/api/v1/labs/delete"))
        assert await verdict(mock.url) == f"redirect to {elsewhere.url}/api/v1/labs/delete (HTTP 308)"
        assert elsewhere.calls() == []


OK_HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n"
BAD_HEAD = b"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "then_hang", "expected"),
    [
        (OK_HEAD, True, None),
        (OK_HEAD + b"half", True, None),
        (OK_HEAD + b"half", False, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", False, None),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnogz", False, None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, False, None),
        (BAD_HEAD + b"half", True, "HTTP 400"),
        (BAD_HEAD + b"half", False, "HTTP 400"),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, False, "HTTP 400"),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 8\r\n\r\na\nb\tc\x00\xffd", False, "HTTP 400 (a b c \ufffdd)"),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", False, "HTTP 400"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", False, "HTTP 304"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", False, "answer is not valid HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", False, "answer is not valid HTTP"),
        (b"HTTP/1.1 202 Acc", False, "connection dropped"),
        (b"HTTP/1.1 202 Acc", True, "timed out after 1 s"),
        (b"", False, "connection dropped"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_the_status_line_is_the_answer(answer: bytes, then_hang: bool, expected: str | None) -> None:  # noqa: FBT001 - a table
    """A 2xx whose body hangs, breaks off or is nonsense is a confirmation; only a whole error body is quoted."""
    async with raw_server(answer, then_hang=then_hang) as url:
        assert await verdict(url, quick_retries=0) == expected


async def test_a_body_that_hangs_costs_little_time() -> None:
    """A confirmation doesn't wait for the rest of its answer until the time of the call is over."""
    async with raw_server(OK_HEAD, then_hang=True) as url:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await verdict(url, seconds=30) is None
        assert loop.time() - began < 1


@pytest.mark.parametrize(
    "echo",
    [TOKEN, f"Bearer {TOKEN}", "x" * 195 + TOKEN, TOKEN.replace("/", r"\/"), "s3cret%2Ftoken%2Bx", f"\n{TOKEN}\n" * 9],
)
async def test_a_token_that_the_backend_repeats_is_redacted(echo: str) -> None:
    """Neither a body nor a header of the backend brings the token into a reason, not even its first half."""
    body = echo.encode()
    answers = [
        b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
        b"HTTP/1.1 302 Found\r\nLocation: http://x.test/%s\r\nContent-Length: 0\r\n\r\n" % body.replace(b"\n", b""),
        b"HTTP/1.1 429 Slow\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n" % body.replace(b"\n", b""),
    ]
    for answer in answers:
        async with raw_server(answer) as url:
            reason = await verdict(url, quick_retries=0)
        assert reason is not None
        assert "s3cret" not in reason
        assert reason.isprintable()
        assert len(reason) < 240


async def test_nobody_listens() -> None:
    """A refused connection is tried again quickly, and says what it is."""
    assert await verdict(f"http://127.0.0.1:{unused_port()}") == "refused connection"


async def test_a_backend_that_comes_up_in_the_meantime_is_found() -> None:
    """Quick retries bridge the moment in which a backend restarts."""
    port = unused_port()
    async with client_for(f"http://127.0.0.1:{port}", quick_retries=50) as client:
        task = asyncio.create_task(client.delete_vm("vm-1", "ann", 5))
        async with running(token=TOKEN, port=port):
            assert await task is None


async def test_a_backend_that_was_restarted_is_found_again() -> None:
    """The connections to the old process are no hindrance."""
    port = unused_port()
    async with client_for(f"http://127.0.0.1:{port}") as client:
        for _ in range(2):
            async with running(token=TOKEN, port=port):
                assert await client.delete_vm("vm-1", "ann", 1) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://127.0.0.1/", "BACKEND_API_URL is not a valid http(s) URL"),
        ("http://", "BACKEND_API_URL is not a valid http(s) URL"),
        ("backend", "BACKEND_API_URL is not a valid http(s) URL"),
    ],
)
async def test_a_url_that_is_none(url: str, reason: str) -> None:
    """It is a failure like others, and names the setting."""
    assert await verdict(url) == reason


async def test_tls_against_a_plain_server_is_a_tls_error(mock: MockBackend) -> None:
    """The reason points at the certificate and the scheme."""
    reason = await verdict(mock.url.replace("http://", "https://"), quick_retries=0)
    assert reason == "TLS error: check the certificate and the scheme of BACKEND_API_URL"


async def test_a_token_that_fits_no_header_is_a_failure_and_no_crash(mock: MockBackend) -> None:
    """What the client library refuses is a reason too, and doesn't repeat the token."""
    assert await verdict(mock.url, token="s3cret\r\nX: y") == "unexpected ValueError"
    assert mock.calls() == []


async def test_nothing_is_kept_between_calls(aiohttp_server: AiohttpServer) -> None:
    """No cookie of the backend is sent back to it."""
    seen: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        response = web.Response(status=202)
        response.set_cookie("track", "me")
        return response

    app = web.Application()
    app.router.add_post("/api/v1/labs/delete", handle)
    server = await aiohttp_server(app)
    async with client_for(f"http://localhost:{server.port}") as client:
        calls: list[Callable[[], Awaitable[str | None]]] = [lambda: client.delete_vm("vm-1", "ann", 1)] * 2
        assert [await call() for call in calls] == [None, None]
    assert seen == [None, None]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (None, "202"),
        (Status(status=410), "410"),
        (Status(status=503), "503"),
        (Status(status=503, times=1), "202"),
        (Drop(), "dropped"),
        (Hang(), "timeout"),
    ],
    ids=str,
)
async def test_each_call_is_told_once_with_its_outcome(mock: MockBackend, fault: Fault | None, code: str) -> None:
    """With its path and its time, however many quick retries are in it."""
    told: list[tuple[str, str]] = []

    def called(path: str, code: str, seconds: float) -> None:
        assert seconds > 0
        told.append((path, code))

    if fault is not None:
        mock.add_fault(fault)
    settings = BackendSettings(url=mock.url, token=TOKEN, call_timeout_seconds=1)
    async with open_client(settings, called=called) as client:
        await client.delete_vm("vm-1", "ann", 1)
    assert told == [("/api/v1/labs/delete", code)]


async def test_other_settings_count_from_the_next_call_on(mock: MockBackend) -> None:
    """Address, token and what confirms; a call that is under way ends as it has begun."""
    async with running(token="other") as other, client_for("", token=None) as client:
        assert await client.delete_vm("vm-0", "ann", CALL_SECONDS) is not None
        client.reconfigure(BackendSettings(url=mock.url, token=TOKEN, quick_retries=0))
        assert client.missing is None
        mock.add_fault(Slow(seconds=0.2, times=1))
        under_way = asyncio.create_task(client.delete_vm("vm-1", "ann", CALL_SECONDS))
        await mock.wait_for_calls(1)
        client.reconfigure(BackendSettings(url=f"{other.url}/", token="other", gone_statuses=(404,), quick_retries=0))
        other.add_fault(Status(status=404, times=1))
        assert await client.delete_vm("vm-2", "ann", CALL_SECONDS) is None
        assert await client.delete_vm("vm-3", "ann", CALL_SECONDS) is None
        assert await under_way is None
        assert [call.lab_request_id for call in mock.calls()] == ["vm-1"]
        assert [(call.lab_request_id, call.authorized) for call in other.calls()] == [("vm-2", True), ("vm-3", True)]


async def test_a_call_that_is_under_way_hides_the_token_that_it_was_made_with() -> None:
    """Though there is another one by now: a backend may repeat what it was sent."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def repeat(request: web.Request) -> web.Response:
        asked.set()
        await go_on.wait()
        return web.json_response({"error": request.headers["Authorization"]}, status=400)

    app = web.Application()
    app.router.add_post("/api/v1/labs/delete", repeat)
    async with TestServer(app) as server, client_for(str(server.make_url("/"))) as client:
        under_way = asyncio.create_task(client.delete_vm("vm-1", "ann", CALL_SECONDS))
        await asked.wait()
        client.reconfigure(BackendSettings(url="http://127.0.0.1:1", token="other", gone_statuses=(400,)))
        go_on.set()
        reason = await under_way
    assert reason is not None
    assert "HTTP 400" in reason
    assert TOKEN not in reason
