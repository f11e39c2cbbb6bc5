"""Whatever comes over the wire is answered in the envelope or ends the connection, and the log stays small."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from processes import DEADLINE_SECONDS, SESSION, Process, lab_body, world

ME: Final = f"{SESSION}/odd"
FLOOD: Final = 10_000
# Of what one client at a time sends: a line of the log for each of a few, and a little for what else is said.
LOG_BYTES: Final = 10_000


class Odd(NamedTuple):
    """What is sent, and what comes of it: status and code; no status: the connection is closed without a word."""

    name: str
    sent: bytes
    status: int | None
    code: str | None = None


def head(line: str, *headers: str) -> bytes:
    """A head with a host."""
    return "\r\n".join([line, "Host: x", *headers, "", ""]).encode()


def post(body: bytes, *headers: str, path: str = SESSION) -> bytes:
    """A whole request."""
    return head(f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", *headers) + body


def lab(field: str, value: bytes) -> bytes:
    """A POST of a lab, of which one value is written just so."""
    return post(json.dumps({**lab_body("odd"), field: "@@"}).encode().replace(b'"@@"', value))


def malformed(name: str, sent: bytes) -> Odd:
    """It is no HTTP: 400."""
    return Odd(name, sent, 400, "malformed_request")


BODY: Final = json.dumps(lab_body("odd")).encode()
BOMB: Final = gzip.compress(bytes(50_000_000))
VM: Final = b'{"name":"m","network_id":"n","netbird_ip":"i","more":%s}'

ODD: Final = (
    # --- where does a request end? Two readers must not come to different answers -------------------------
    malformed(
        "length and chunks",
        head(f"POST {SESSION} HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked")
        + b"0\r\n\r\nDELETE /x HTTP/1.1\r\n\r\n",
    ),
    malformed("two lengths", head(f"POST {SESSION} HTTP/1.1", "Content-Length: 2", "Content-Length: 6") + b"{}    "),
    malformed("a length twice", head(f"POST {SESSION} HTTP/1.1", "Content-Length: 2", "Content-Length: 2") + b"{}"),
    malformed("a list of lengths", head(f"POST {SESSION} HTTP/1.1", "Content-Length: 2, 2") + b"{}"),
    malformed("a negative length", head(f"POST {SESSION} HTTP/1.1", "Content-Length: -1") + b"{}"),
    malformed("a length with a sign", head(f"POST {SESSION} HTTP/1.1", "Content-Length: +2") + b"{}"),
    malformed("a length in Arabic digits", head(f"POST {SESSION} HTTP/1.1", "Content-Length: ٢") + b"{}"),
    malformed("an endless length", head(f"POST {SESSION} HTTP/1.1", "Content-Length: " + "9" * 30)),
    malformed("chunks of garbage", head(f"POST {SESSION} HTTP/1.1", "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n"),
    malformed("an endless chunk", head(f"POST {SESSION} HTTP/1.1", "Transfer-Encoding: chunked") + b"F" * 18 + b"\r\n"),
    malformed(
        "chunks that aren't last", head(f"POST {SESSION} HTTP/1.1", "Transfer-Encoding: chunked, identity") + b"0\r\n"
    ),
    malformed("another encoding", head(f"POST {SESSION} HTTP/1.1", "Transfer-Encoding: xchunked") + b"0\r\n\r\n"),
    malformed("a space before the colon", head(f"POST {SESSION} HTTP/1.1", "Content-Length : 2") + b"{}"),
    malformed("a folded header", head("GET /health HTTP/1.1", "X-A: 1\r\n more")),
    malformed("lines without CR", b"GET /health HTTP/1.1\nHost: x\n\n"),
    malformed("lines without LF", b"GET /health HTTP/1.1\rHost: x\r\r"),
    Odd("three at once", head("GET /nowhere HTTP/1.1") * 3, 404, "route_not_found"),
    # --- other protocols ----------------------------------------------------------------------------------
    malformed("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    malformed("HTTP/3.0", head("GET /health HTTP/3.0")),
    malformed("HTTP/1.2", head("GET /health HTTP/1.2")),
    Odd("HTTP/0.9", b"GET /nowhere\r\n\r\n", 404, "route_not_found"),
    malformed("TLS", bytes.fromhex("16030100c8010000c40303") + bytes(180)),
    malformed("SSH", b"SSH-2.0-OpenSSH_9\r\n"),
    malformed("zeros", bytes(100)),
    Odd("an upgrade", head("GET /nowhere HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"), 404, "route_not_found"),
    # --- heads --------------------------------------------------------------------------------------------
    malformed("no host", b"GET /health HTTP/1.1\r\n\r\n"),
    malformed("two hosts", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    malformed("NUL in a header", head("GET /health HTTP/1.1", "X-A: a\0b")),
    malformed("an unknown method", head("BREW /health HTTP/1.1")),
    Odd("a method for others", head("TRACE /health HTTP/1.1"), 405, "method_not_allowed"),
    Odd("a proxy's method", head("CONNECT x:443 HTTP/1.1"), 404, "route_not_found"),
    Odd("a long line", head("GET /" + "a" * 9000 + " HTTP/1.1"), 431, "head_too_large"),
    Odd("an endless line", b"GET /" + b"a" * 100_000, 431, "head_too_large"),
    Odd("a long header", head("GET /health HTTP/1.1", "X-A: " + "a" * 9000), 431, "head_too_large"),
    Odd("a long name", head("GET /health HTTP/1.1", "A" * 9000 + ": 1"), 431, "head_too_large"),
    Odd("many headers", b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 20_000, 431, "head_too_large"),
    Odd(
        "another method in a header", post(b"{}", "X-HTTP-Method-Override: DELETE", path=ME), 405, "method_not_allowed"
    ),
    Odd("an expectation", head("GET /nowhere HTTP/1.1", "Expect: wonders"), 417),
    # --- paths --------------------------------------------------------------------------------------------
    malformed("NUL in the path", b"GET /health\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("bytes in the path", b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n"),
    malformed("a backslash", head("GET \\health HTTP/1.1")),
    malformed("a wrong port", head("GET http://x:99999999/health HTTP/1.1")),
    malformed("a wrong host", head("GET http://[::1/health HTTP/1.1")),
    malformed("a star", head("GET * HTTP/1.1")),
    Odd("NUL in the id", head(f"GET {SESSION}/user/a%00 HTTP/1.1"), 404, "session_not_found"),
    Odd("dots", head("GET /health/../../etc/passwd HTTP/1.1"), 404, "route_not_found"),
    Odd("escaped dots", head("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1"), 404, "route_not_found"),
    Odd("escaped slashes", head(f"GET {SESSION}%2Fuser%2Fodd HTTP/1.1"), 404, "route_not_found"),
    Odd("two slashes", head("GET //health HTTP/1.1"), 404, "route_not_found"),
    Odd("a slash at the end", head("GET /health/ HTTP/1.1"), 404, "route_not_found"),
    # --- bodies -------------------------------------------------------------------------------------------
    Odd("a large body", head(f"POST {SESSION} HTTP/1.1", "Content-Length: 10000000"), 413, "body_too_large"),
    Odd("a bomb", post(BOMB, "Content-Encoding: gzip"), 413, "body_too_large"),
    Odd("no gzip", post(b"{}", "Content-Encoding: gzip"), 400, "body_unreadable"),
    Odd("depth", post(b"[" * 100_000), 400, "invalid_json"),
    Odd("depth in an object", lab("vm", b'{"a":' * 1500 + b"1" + b"}" * 1500), 400, "invalid_json"),
    Odd("1e400", lab("duration", b"1e400"), 400, "invalid_json"),
    Odd("10**400", lab("duration", b"1" + b"0" * 400), 400, "invalid_field"),
    Odd("10**200000", lab("validation", b"1" + b"0" * 200_000), 400, "invalid_json"),
    Odd("10**5000 in a VM", lab("vm", VM % (b"1" + b"0" * 5000)), 400, "invalid_json"),
    Odd("-0", lab("duration", b"-0"), 400, "invalid_field"),
    Odd("-0.0", lab("duration", b"-0.0"), 400, "invalid_field"),
    Odd("1e308 minutes", lab("duration", b"1e308"), 400, "invalid_field"),
    Odd("1e308 minutes more", post(b'{"minutes":1e308}', path=f"{ME}/extend"), 404, "session_not_found"),
    Odd("NaN", lab("duration", b"NaN"), 400, "invalid_json"),
    Odd("Infinity", lab("duration", b"-Infinity"), 400, "invalid_json"),
    Odd("a field twice", post(BODY[:-1] + b',"duration":5}'), 400, "invalid_field"),
    Odd("half a character", lab("labTitle", rb'"\ud800"'), 400, "invalid_json"),
    Odd("half a character as id", lab("user_id", rb'"\udfff"'), 400, "invalid_json"),
    Odd("no UTF-8", lab("labTitle", b'"\xff"'), 400, "invalid_json"),
    Odd("a byte order mark", post(b"\xef\xbb\xbf" + BODY), 400, "invalid_json"),
    Odd("UTF-16", post(BODY.decode().encode("utf-16")), 400, "invalid_json"),
    Odd("more behind the end", post(BODY + b"x"), 400, "invalid_json"),
    Odd("a long id", lab("user_id", b'"' + b"x" * 513 + b'"'), 400, "invalid_field"),
)


async def answer_to(service: Process, sent: bytes) -> tuple[int | None, dict[str, str], Any]:
    """Status, headers and body of the first answer; (None, {}, b"") if the connection is closed without one."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            writer.write(sent)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:-2])
            return int(lines[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None, {}, b""
    finally:
        writer.close()


async def test_odd_requests(tmp_path: Path) -> None:
    """Each has its answer, in the envelope and with a request id; none makes a session, a traceback or many lines."""
    async with world(tmp_path) as (service, client, _):
        seen = {}
        for odd in ODD:
            status, headers, body = await answer_to(service, odd.sent)
            seen[odd.name] = (status, json.loads(body)["code"] if odd.code else None)
            if odd.code:
                assert headers["x-request-id"] == json.loads(body)["request_id"], odd.name
        assert seen == {odd.name: (odd.status, odd.code) for odd in ODD}
        assert await client.gone("odd")
        assert "Traceback" not in service.log()
        assert max(map(len, service.log().splitlines())) < 1000


async def test_what_a_malformed_request_said_stands_nowhere(tmp_path: Path) -> None:
    """Neither in the answer nor in the log: it may have been a token."""
    secret = b"Bearer a-token-of-somebody"
    async with world(tmp_path) as (service, _, _):
        for sent in (
            b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: " + secret + b"\0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: " + secret * 400 + b"\r\n\r\n",
        ):
            _, _, body = await answer_to(service, sent)
            assert b"token-of-somebody" not in body
        assert "token-of-somebody" not in service.log()


@pytest.mark.slow
async def test_ten_thousand_malformed_requests_leave_a_few_lines(tmp_path: Path) -> None:
    """Not one for each, and the service goes on."""
    async with world(tmp_path) as (service, client, _):
        before = len(service.log())
        for _ in range(FLOOD):
            assert (await answer_to(service, b"nonsense\r\n\r\n"))[0] == 400
        assert (await client.create("ada"))[0] == 201
        assert len(service.log()) - before < LOG_BYTES
