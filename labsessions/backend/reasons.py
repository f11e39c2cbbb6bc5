"""Why a call failed, in words for an operator: one line, bounded, never with the token in it.

Nothing here decides whether a call failed. Texts of exceptions are not used, because some of them repeat what the
other side sent.
"""

import ssl
from typing import Final
from urllib.parse import quote

import aiohttp
from aiohttp import ClientResponse

EXCERPT_CHARS: Final = 200  # of what the backend says: enough for a message, too little to fill a log
REDACTED: Final = "[redacted]"

# The statuses that are about every lab: redirects (a wrong address), a token that is not accepted (by the backend or a
# proxy), "too slow" and "too many" (a probe now and then is what they ask for), and errors of the server. A 403 or a
# 404 may be about one VM.
OUTAGES: Final = frozenset({*range(300, 400), 401, 407, 408, 429, *range(500, 600)})


TIMED_OUT: Final = "timeout"
KINDS: Final = (TIMED_OUT, "tls", "dns", "refused", "unreachable", "dropped", "url", "not_http", "unexpected")
"""What stands for a status where there was none."""


class Outage(str):
    """A reason that concerns every lab alike: no answer at all, or one of the statuses in `OUTAGES`."""

    __slots__ = ()


def timed_out(seconds: float) -> Outage:
    """No answer within the time of the call."""
    return Outage(f"timed out after {round(seconds, 2):g} s")


def of_exception(error: Exception) -> Outage:
    """The reason behind what the client library raised: there was no answer."""
    return Outage(_of_exception(error)[1])


def kind_of(error: Exception) -> str:
    """Which of `KINDS` it is, by the same rules."""
    return _of_exception(error)[0]


def _of_exception(error: Exception) -> tuple[str, str]:
    match error:
        case ssl.CertificateError() | aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return "tls", "TLS error: check the certificate and the scheme of BACKEND_API_URL"
        case aiohttp.ClientConnectorDNSError():
            return "dns", "host not found"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "refused", "refused connection"
        case aiohttp.ClientConnectorError():
            return "unreachable", "cannot connect" + (f": {error.strerror}" if error.strerror else "")
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | aiohttp.UploadAbortedError():
            return "dropped", "connection dropped"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "url", "BACKEND_API_URL is not a valid http(s) URL"
        case aiohttp.ClientResponseError():
            return "not_http", "answer is not valid HTTP"
        case _:
            return "unexpected", f"unexpected {type(error).__name__}"


def of_answer(response: ClientResponse, body: bytes | None, secret: str) -> str:
    """The reason behind an answer that confirms nothing. `body` is None if it was not read whole.

    Only a whole body is quoted: the end of a cut one could be the first half of the secret. An `Outage` if it would
    have been the same for any lab.
    """
    reason = _of_answer(response, body, secret)
    return Outage(reason) if response.status in OUTAGES else reason


def _of_answer(response: ClientResponse, body: bytes | None, secret: str) -> str:
    status = response.status
    location = response.headers.get("Location")
    if 300 <= status < 400 and location is not None:  # noqa: PLR2004 - the 3xx
        target = location.partition("?")[0].partition("#")[0]  # a query may hold what is nobody's business
        return f"redirect to {excerpt(target, secret)} (HTTP {status})"
    reason = f"HTTP {status}"
    if status in (401, 403):
        reason += ": check BACKEND_API_TOKEN"
    if "Retry-After" in response.headers:
        reason += f", retry after {excerpt(response.headers['Retry-After'], secret)}"
    said = excerpt((body or b"").decode(errors="replace"), secret)
    return f"{reason} ({said})" if said else reason


def excerpt(text: str, secret: str) -> str:
    """The beginning of a foreign text as one printable line, at most 200 characters, without the secret.

    The secret is also recognised as it looks in a URL and in JSON with escaped slashes. It is taken out before
    the text is cut, so that no part of it stays behind.
    """
    line = one_line(text)
    if secret:
        for shape in {secret, quote(secret, safe=""), secret.replace("/", r"\/")}:
            line = line.replace(shape, REDACTED)
    return shorten(line, EXCERPT_CHARS)


def one_line(text: str) -> str:
    """The text with every unprintable character and run of blanks made one space."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def shorten(text: str, limit: int) -> str:
    """The text, cut to `limit` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
