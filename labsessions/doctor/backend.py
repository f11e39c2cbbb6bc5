"""The lab backend: does it answer, and does it take the token? Asked without touching anything there.

The contract has two routes, and both delete. So the doctor sends OPTIONS, which by HTTP's own rules changes nothing
and has no body that could name a VM: once with the token and once without. Only if the two answers differ the token
can be judged.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from labsessions.backend import reasons
from labsessions.doctor.findings import Finding, fault, ok, warning

CHECK: Final = "backend"
PATH: Final = "/api/v1/labs/delete"
REFUSED: Final = frozenset({401, 403})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


async def check(url: str | None, token: str | None, seconds: float) -> list[Finding]:
    """Two harmless requests, each within `seconds`."""
    missing = [name for name, value in (("BACKEND_API_URL", url), ("BACKEND_API_TOKEN", token)) if not value]
    if url is None or token is None or missing:
        todo = "set it and restart the service: cleanups are only retried until then"
        return [warning(CHECK, f"{name} is not set", todo) for name in missing]
    found = list(_in_the_open(url))
    try:
        with_token, without = await _ask(url + PATH, token, seconds), await _ask(url + PATH, None, seconds)
    except TimeoutError:
        return [*found, fault(CHECK, reasons.timed_out(seconds), _down(url))]
    except Exception as error:  # noqa: BLE001 - whatever keeps us from an answer is the finding
        return [*found, fault(CHECK, reasons.of_exception(error), _down(url))]
    return [*found, ok(CHECK, f"{url} answers (HTTP {with_token})"), _verdict(with_token, without)]


async def _ask(url: str, token: str | None, seconds: float) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
        session.options(url, allow_redirects=False) as response,
    ):
        return response.status


def _verdict(with_token: int, without: int) -> Finding:
    """What the two answers to OPTIONS say of token and address."""
    if 300 <= with_token < 400:  # noqa: PLR2004 - the 3xx
        return fault(CHECK, f"it redirects (HTTP {with_token})", "set BACKEND_API_URL to the final address")
    if with_token not in REFUSED and without in REFUSED:
        return ok(CHECK, f"it takes the token, and nobody without one (HTTP {without})")
    if with_token == 401:  # noqa: PLR2004 - Unauthorized
        return fault(CHECK, "it refuses the token (HTTP 401)", "check BACKEND_API_TOKEN, then restart the service")
    if with_token in REFUSED:
        found = f"it refuses (HTTP {with_token}), with the token as without: the token, or this harmless request"
        return warning(CHECK, found, "check BACKEND_API_TOKEN; a lab that is cleaned up is the proof")
    if with_token >= 500:  # noqa: PLR2004 - the 5xx
        return warning(CHECK, f"it is in trouble (HTTP {with_token})", "see the backend's log; cleanups are retried")
    found = f"whether it takes the token cannot be told: with and without one it says HTTP {with_token}"
    return ok(CHECK, f"{found}. A lab that is cleaned up is the proof")


def _in_the_open(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        yield warning(CHECK, "the token goes to it without encryption", "use https:// unless the network is yours")


def _down(url: str) -> str:
    return f"is the backend up, and {url} its address? Sessions are kept and cleanups retried until it answers"
