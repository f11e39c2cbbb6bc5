"""The words for failures, the excerpts of foreign texts, and the header that says when to come back."""

import asyncio
import errno
import random
import socket
import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st

from labsessions.backend import reasons
from labsessions.backend.answers import retry_after_seconds
from labsessions.backend.retry import QuickRetry

KEY = ConnectionKey("backend.test", 80, False, True, None, None, None)  # noqa: FBT003 - aiohttp's own tuple
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def answer(**headers: str) -> aiohttp.ClientResponse:
    """As much of an answer as its headers are; underscores are dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cast("aiohttp.ClientResponse", SimpleNamespace(headers=named))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known")), "host not found"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "Connect call failed")), "refused connection"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ENETUNREACH, "Unreachable")), "cannot connect: Unreachable"),
        (aiohttp.ClientConnectorError(KEY, OSError()), "cannot connect"),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("self-signed")),
            "TLS error: check the certificate and the scheme of BACKEND_API_URL",
        ),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")),
            "TLS error: check the certificate and the scheme of BACKEND_API_URL",
        ),
        (aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer"), "connection dropped"),
        (aiohttp.ServerDisconnectedError(), "connection dropped"),
        (aiohttp.ClientPayloadError("secret"), "connection dropped"),
        (aiohttp.InvalidURL("backend"), "BACKEND_API_URL is not a valid http(s) URL"),
        (RuntimeError("Session is closed, secret"), "unexpected RuntimeError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_kind_of_exception_has_its_words(error: Exception, expected: str) -> None:
    """An operator reads what happened, not the library's text, which may repeat what the backend sent."""
    assert reasons.of_exception(error) == expected


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known")), "dns"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "Connect call failed")), "refused"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ENETUNREACH, "Unreachable")), "unreachable"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")), "tls"),
        (aiohttp.ServerDisconnectedError(), "dropped"),
        (aiohttp.InvalidURL("backend"), "url"),
        (RuntimeError("Session is closed, secret"), "unexpected"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_kind_of_exception_has_a_short_name(error: Exception, kind: str) -> None:
    """For metrics: one of few words, none of which the backend has made up."""
    assert reasons.kind_of(error) == kind
    assert kind in reasons.KINDS


@pytest.mark.parametrize(("seconds", "expected"), [(15, "15 s"), (14.998, "15 s"), (0.05, "0.05 s"), (7.5, "7.5 s")])
def test_a_timeout_says_how_long_it_was(seconds: float, expected: str) -> None:
    """Two decimals at most."""
    assert reasons.timed_out(seconds) == f"timed out after {expected}"


@pytest.mark.parametrize(("length", "expected"), [(199, 199), (200, 200), (201, 200)])
def test_an_excerpt_is_cut_at_200_characters(length: int, expected: int) -> None:
    """An ellipsis shows that there was more."""
    text = reasons.excerpt("x" * length, "secret")
    assert len(text) == expected
    assert text.endswith("…") == (length > 200)


def test_no_secret_hides_nothing() -> None:
    """An empty secret is in every text; it must not spoil one."""
    assert reasons.excerpt("plain", "") == "plain"


@given(before=st.text(max_size=300), after=st.text(max_size=300))
def test_no_excerpt_has_the_secret_in_it(before: str, after: str) -> None:
    """Wherever it stands, and however the text around it is cut, not even its first half gets through."""
    text = reasons.excerpt(f"{before}t0p-s3cr3t-token{after}", "t0p-s3cr3t-token")
    assert "t0p-s3cr" not in text
    assert len(text) <= reasons.EXCERPT_CHARS
    assert text.isprintable()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, float("inf")),
        ("Sun, 01 Jun 2025 12:00:30 GMT", 30.0),
        ("Sun, 01 Jun 2025 12:00:30 -0000", 30.0),
        ("Sun, 01 Jun 2025 14:00:30 +0200", 30.0),
        ("Sun, 01 Jun 2025 11:59:59 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("0 Jan 2147483648 0:0", None),
        ("0 Jan 0 2147483648:0", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    """Both forms of RFC 9110; the past is now, and nonsense is nothing."""
    assert retry_after_seconds(answer(Retry_After=value), NOW) == expected
    assert retry_after_seconds(answer(), NOW) is None


@given(st.text(alphabet="0123456789 :,+-GMTSunJa", max_size=40))
def test_no_retry_after_breaks_the_client(value: str) -> None:
    """Whatever the header says, it is a number of seconds or nothing."""
    wanted = retry_after_seconds(answer(Retry_After=value), NOW)
    assert wanted is None or wanted >= 0


class _Fixed(random.Random):
    """No chance: always this far from the lower to the upper bound."""

    def __init__(self, where: float) -> None:
        super().__init__()
        self._where = where

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self._where


def quick(where: float, deadline_in: float, now: float) -> QuickRetry:
    """The options of a call that ends so many seconds from now."""
    return QuickRetry(retries=2, deadline=now + deadline_in, max_bytes=10, rng=_Fixed(where))


async def test_the_pause_doubles_from_a_tenth_of_a_second_with_jitter() -> None:
    """0.1, 0.2, 0.4 s, each by half shorter to half longer."""
    now = _loop_time()
    pauses: list[Any] = [[quick(where, 1e6, now).get_timeout(n) for n in (1, 2, 3)] for where in (0, 0.5, 1)]
    assert pauses == [
        pytest.approx([0.05, 0.1, 0.2]),
        pytest.approx([0.1, 0.2, 0.4]),
        pytest.approx([0.15, 0.3, 0.6]),
    ]


async def test_a_pause_leaves_half_of_the_time_for_the_try_behind_it() -> None:
    """Unless the backend asked for more."""
    retry = quick(0.5, 100, _loop_time())
    assert retry.get_timeout(20) == pytest.approx(50, abs=1)
    assert retry.get_timeout(1, answer(Retry_After="99")) == 99.0
    assert quick(0.5, -1, _loop_time()).get_timeout(1) == 0.0


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def test_dates_are_measured_from_now() -> None:
    """One second more is one second later."""
    later = answer(Retry_After="Sun, 01 Jun 2025 12:01:00 GMT")
    assert retry_after_seconds(later, NOW + timedelta(seconds=1)) == 59.0
