"""The load client: answers out of bytes however they are cut, and connections that end as real ones do."""

import asyncio
from collections.abc import Iterable
from typing import cast

import pytest
from bench_kit import http, scripted

from labsessions.bench.flood import Outcome, Request, flood, paced
from labsessions.bench.load import IDLE_SECONDS, Answer, AnswerReader, LoadError, Pool


def fed(pieces: Iterable[bytes]) -> list[Answer | None]:
    """What the reader says to each piece."""
    reader = AnswerReader()
    return [reader.feed(piece) for piece in pieces]


def test_an_answer_in_one_piece() -> None:
    """Status and body, nothing else."""
    assert fed([http(b'{"a":1}', 201)]) == [Answer(201, b'{"a":1}')]


@pytest.mark.parametrize("cut", range(1, len(http(b'{"a":1}', 201))))
def test_an_answer_in_two_pieces_wherever_it_is_cut(cut: int) -> None:
    """In the status, in a header's name, between the line ends, in the body."""
    whole = http(b'{"a":1}', 201)
    assert fed([whole[:cut], whole[cut:]]) == [None, Answer(201, b'{"a":1}')]


def test_an_answer_byte_by_byte_and_the_next_one() -> None:
    """Complete with its last byte and not before; nothing is left for the next."""
    first, second = http(b"first", 404), http(b"2nd")
    seen = fed([bytes([byte]) for byte in first + second])
    assert [(index, answer) for index, answer in enumerate(seen, 1) if answer] == [
        (len(first), Answer(404, b"first")),
        (len(first + second), Answer(200, b"2nd")),
    ]


def test_an_empty_body() -> None:
    """By its length, or because a 204 has none."""
    assert fed([http(b"")]) == [Answer(200, b"")]
    assert fed([b"HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n"]) == [Answer(204, b"")]


@pytest.mark.parametrize("name", [b"content-length", b"CONTENT-LENGTH", b"Content-Length"])
def test_the_name_of_the_length_in_any_case(name: bytes) -> None:
    """With or without a space behind the colon."""
    for space in (b"", b" "):
        assert fed([b"HTTP/1.1 200 OK\r\n" + name + b":" + space + b"2\r\n\r\n{}"]) == [Answer(200, b"{}")]


def test_a_length_in_the_body_is_no_length() -> None:
    """Headers end where they end."""
    with pytest.raises(LoadError, match="without Content-Length"):
        fed([b"HTTP/1.1 200 OK\r\nServer: test\r\n\r\n\r\ncontent-length: 2\r\n"])


def test_more_than_one_answer_is_an_error() -> None:
    """One request was sent; what is more belongs to none."""
    with pytest.raises(LoadError, match="more came"):
        fed([http() + b"H"])


async def test_a_pool_uses_a_connection_again_and_replaces_one_that_was_closed() -> None:
    """A server closes what it is tired of: with a request in flight that is an error, else nobody notices."""
    async with scripted([http(b"1"), http(b"2"), b"", http(b"4")]) as (url, received):
        pool = Pool(url)
        assert [(await pool.ask(b"a")).body, (await pool.ask(b"b")).body] == [b"1", b"2"]
        with pytest.raises(LoadError, match="closed by the server"):
            await pool.ask(b"c")
        assert (await pool.ask(b"d")).body == b"4"
        pool.close()
    assert received == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize(("idle", "connections"), [(IDLE_SECONDS - 0.001, 1), (IDLE_SECONDS, 2)])
async def test_a_connection_that_was_idle_for_long_is_not_used_again(idle: float, connections: int) -> None:
    """The server may be closing it, and then the request would be lost."""
    now = 100.0
    made: list[None] = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(None)
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            self.transport.write(http(data))

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    async with server:
        pool = Pool(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", clock=lambda: now)
        await pool.ask(b"a")
        now += idle
        await pool.ask(b"b")
        pool.close()
    assert len(made) == connections


async def test_an_answer_that_cannot_be_read_ends_its_connection_only() -> None:
    """The next request gets another one."""
    async with scripted([b"HTTP/1.1 200 OK\r\n\r\n", http(b"2")]) as (url, _):
        pool = Pool(url)
        with pytest.raises(LoadError, match="without Content-Length"):
            await pool.ask(b"a")
        assert (await pool.ask(b"b")).body == b"2"
        pool.close()


async def test_a_request_that_is_given_up_takes_its_connection_along() -> None:
    """Its late answer must not be taken for the next one's."""
    async with scripted([b"HTTP/1.1 200", http(b"2")]) as (url, received):
        pool = Pool(url)
        asked = asyncio.create_task(pool.ask(b"a"))
        while not received:  # noqa: ASYNC110 - a list sets no event
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert (await pool.ask(b"b")).body == b"2"
        pool.close()


async def test_without_a_server_there_is_an_error() -> None:
    """It names the address."""
    async with scripted([]) as (url, _):
        pass
    with pytest.raises(LoadError, match=url):
        await Pool(url).ask(b"a")
    with pytest.raises(LoadError, match=url):
        await flood(url, [])


@pytest.mark.parametrize("connections", [1, 3, 10])
async def test_a_flood_sends_each_request_once(connections: int) -> None:
    """With fewer, as many and more connections than requests; each answer has its latency."""
    requests = [Request(b"%d" % number, 200, b"ok") for number in range(3)]
    async with scripted([http(b"ok")] * 3) as (url, received):
        outcome = await flood(url, requests, connections)
    assert (sorted(received), len(outcome.latencies)) == ([b"0", b"1", b"2"], 3)
    assert outcome.seconds > 0
    assert outcome.faults("get") == []


async def test_wrong_answers_are_counted_and_the_first_is_shown() -> None:
    """A wrong status, and a body that is about somebody else."""
    requests = [Request(b"x", 200, b"ann")] * 3
    async with scripted([http(b"ann"), http(b"ann", 201), http(b"bob")]) as (url, _):
        outcome = await flood(url, requests, connections=1)
    assert outcome.faults("get") == ["get: 2 of 3 answers were wrong, the first: 201 b'ann'"]


async def test_a_flood_over_a_connection_that_is_lost_comes_to_its_end() -> None:
    """The request in flight has failed, the others go over the connections that are left."""
    async with scripted([http(b"ok"), b""]) as (url, received):
        outcome = await flood(url, [Request(b"x", 200, b"ok")] * 2, connections=1)
    assert (len(received), outcome.wrong) == (2, 1)
    assert "connection was lost" in outcome.first_wrong


async def test_paced_requests_are_all_sent_and_each_answer_is_seen() -> None:
    """In their order, as the rate is slower than the answers; what fails is counted."""
    seen: list[tuple[bytes, bytes]] = []
    requests = [Request(b"%d" % number, 200, b"ok") for number in range(4)]
    async with scripted([http(b"ok1"), http(b"ok2"), b"", http(b"no")]) as (url, received):
        pool = Pool(url)
        outcome = await paced(pool, requests, 50, lambda request, answer: seen.append((request.data, answer.body)))
        pool.close()
    assert received == [b"0", b"1", b"2", b"3"]
    assert seen == [(b"0", b"ok1"), (b"1", b"ok2"), (b"3", b"no")]
    assert (outcome.wrong, len(outcome.latencies)) == (2, 4)


def test_an_outcome_of_nothing() -> None:
    """No division by zero."""
    assert (Outcome().per_second, Outcome().latency_ms(0.99), Outcome().faults("get")) == (0, 0, [])
