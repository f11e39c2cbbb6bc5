"""A lab backend of bare sockets that misbehaves as each VM's name says: what no proper HTTP server would do.

`FAULTS` is the table of `troubleshooting.md`, fault by fault: how it is acted out and what has to come of it.
"""

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

# Far more than the client reads of an answer (64 KiB), in pieces.
HUGE_PIECES = 2000
PIECE = b"x" * 1024
# Between two bytes of a slow drip: each comes long before any timeout, the whole never does.
DRIP_SECONDS = 0.05

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """What the backend does to a deletion, and what `last_error` then says; None: it is a confirmation."""

    act: Act
    error: str | None


def says(status: str, *headers: str, body: bytes = b'{"error": "no"}') -> Act:
    """A whole, proper answer."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)
        await writer.drain()

    return act


def breaks_off(sent: bytes) -> Act:
    """Sends this much and, when it has arrived, resets the connection."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await asyncio.sleep(DRIP_SECONDS)
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
        writer.transport.abort()

    return act


def drips(head: bytes) -> Act:
    """Sends this at once, and then a byte at a time for ever."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)

    return act


def huge(status: str) -> Act:
    """Two megabytes of body."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {HUGE_PIECES * len(PIECE)}\r\n\r\n".encode())
        for _ in range(HUGE_PIECES):
            writer.write(PIECE)
            await writer.drain()

    return act


async def hangs(_: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


HEAD_202 = b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n"

# Those that an answer, or the lack of one, tells: each VM of a test meets one of them.
FAULTS: dict[str, Fault] = {
    "reset before the answer": Fault(breaks_off(b""), "connection dropped"),
    "reset inside the head": Fault(breaks_off(b"HTTP/1.1 202 Acc"), "connection dropped"),
    "reset inside the body of a 2xx": Fault(breaks_off(HEAD_202 + b"half"), None),
    "hang": Fault(hangs, "timed out after"),
    "slow drip of the head": Fault(drips(b"HTTP/1.1 202 Accepted\r\nX-Slow: "), "timed out after"),
    "slow drip of the body of a 2xx": Fault(drips(HEAD_202), None),
    "huge body of a 2xx": Fault(huge("200 OK"), None),
    "huge body of an error": Fault(huge("409 Conflict"), "HTTP 409"),
    "redirect": Fault(says("307 Temporary Redirect", "Location: /elsewhere?t=1"), "redirect to /elsewhere (HTTP 307)"),
    "401": Fault(says("401 Unauthorized"), "HTTP 401: check BACKEND_API_TOKEN"),
    "403": Fault(says("403 Forbidden"), "HTTP 403: check BACKEND_API_TOKEN"),
    "404": Fault(says("404 Not Found"), "HTTP 404"),
    "409": Fault(says("409 Conflict"), "HTTP 409"),
    "410": Fault(says("410 Gone"), None),
    "429 with `Retry-After`": Fault(says("429 Too Many", "Retry-After: 3600"), "HTTP 429, retry after 3600"),
    "5xx": Fault(says("503 Service Unavailable"), "HTTP 503"),
    "invalid JSON in a 2xx": Fault(says("202 Accepted", "Content-Type: application/json", body=b'{"a'), None),
    "wrong content type of a 2xx": Fault(says("200 OK", "Content-Type: text/html", body=b"<html>"), None),
    "not HTTP": Fault(breaks_off(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "answer is not valid HTTP"),
}
# Those of the connection itself, before there is a VM to choose by.
CONNECTION_FAULTS = {"refused": "refused connection", "TLS error": "TLS error: check the certificate and the scheme"}


@dataclass
class UnrulyBackend:
    """What arrived, by VM, and whether the faults are over. `deleted` are the VMs that were confirmed properly.

    `more` are a test's own faults.
    """

    more: dict[str, Fault] = field(default_factory=dict)
    port: int = 0
    healed: bool = False
    asked: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    elsewhere: list[str] = field(default_factory=list)
    """Paths that were asked for and that nobody should ask for."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                _, path, _ = head.split(" ", 2)
                (length,) = re.findall(r"content-length: (\d+)", head.lower())
                await self._answer(path, await reader.readexactly(int(length)), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has what it wanted

    async def _answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        if path == "/api/v1/expose/":
            await says("200 OK", body=b"{}")(writer)
        elif path == "/api/v1/labs/delete":
            vm = json.loads(body)["lab_request_id"]
            self.asked[vm] = self.asked.get(vm, 0) + 1
            if not self.healed and (fault := self.more.get(vm) or FAULTS.get(vm)):
                await fault.act(writer)
            else:
                self.deleted.add(vm)
                await says("202 Accepted", body=b"{}")(writer)
        else:
            self.elsewhere.append(path)


@asynccontextmanager
async def unruly_backend(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[UnrulyBackend]:
    """Listen as long as the block lasts; connections that still hang are cut at its end."""
    # Not asyncio's server: what it accepts in the moment of its closing, it leaves open.
    listener = socket.create_server(("127.0.0.1", port))
    backend = UnrulyBackend(port=listener.getsockname()[1])
    talks: dict[asyncio.Task[None], socket.socket] = {}

    def accept() -> None:
        connection, _ = listener.accept()
        connection.settimeout(0)
        talks[asyncio.create_task(_serve(backend, connection, tls))] = connection

    loop = asyncio.get_running_loop()
    loop.add_reader(listener, accept)
    try:
        yield backend
    finally:
        loop.remove_reader(listener)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        for connection in (listener, *talks.values()):
            connection.close()  # also those whose task was cancelled before it had begun


async def _serve(backend: UnrulyBackend, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=tls)
    except OSError:
        return  # no handshake
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        await backend.talk(reader, writer)
    finally:
        transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
