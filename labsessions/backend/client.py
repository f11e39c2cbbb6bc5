"""One call to the lab backend at a time: sends it, tries it again quickly, and says whether it was confirmed.

The status line is the answer: no body decides anything, so a 2xx whose body is no JSON, is huge, breaks off or
never comes is a confirmation all the same. (Only what isn't HTTP at all has no status line.) The module knows
nothing of attempts, their order and their log lines.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, NamedTuple

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp_retry import RetryClient
from msgspec.json import encode

from labsessions.backend import reasons
from labsessions.backend.answers import read_bounded
from labsessions.backend.reasons import Outage
from labsessions.backend.retry import DRAIN_SECONDS, QuickRetry

SUCCESS: Final = range(200, 300)
OK: Final = 200

# aiohttp-retry logs the repr of exceptions, and some of those repeat what the backend sent. A logger outside of the
# tree stays silent however logging is configured.
SILENT: Final = logging.Logger("aiohttp_retry", level=logging.CRITICAL + 1)  # noqa: LOG001 - see above


Called = Callable[[str, str, float], None]
"""Told of each call that has ended: its path, the status or one of `reasons.KINDS`, the seconds that it took."""


def _nobody(path: str, code: str, seconds: float) -> None:
    """For who isn't interested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """What a client needs to know. `url` may have a path and a slash at its end; empty means not set.

    `quick_retries` are further tries of one call after the first; `max_response_bytes` is the most that is read of
    an answer; `max_connections` bounds the connections that are open at the same time (0: nothing does).
    """

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    call_timeout_seconds: float = 15.0
    gone_statuses: tuple[int, ...] = (410,)
    quick_retries: int = 2
    max_response_bytes: int = 65_536
    max_connections: int = 0


class Document(NamedTuple):
    """What was read; `goes_on`: the backend says that there is a next page."""

    body: bytes
    goes_on: bool


class BackendClient:
    """The two calls of CONTRACT §2. Each returns None if it was confirmed, else the reason why not.

    Neither raises but on cancellation, and neither takes longer than `seconds` or the call timeout. `document` is for
    what a backend may offer beside them.
    """

    def __init__(
        self, settings: BackendSettings, session: ClientSession, rng: random.Random, called: Called | None = None
    ) -> None:
        self._called = called or _nobody
        self._http = RetryClient(session, logger=SILENT)
        self._rng = rng
        self.reconfigure(settings)

    def reconfigure(self, settings: BackendSettings) -> None:
        """Make calls by other settings from the next one on; the number of connections stays."""
        self._settings = settings
        self._base = (settings.url or "").rstrip("/")
        self._headers = {"Authorization": f"Bearer {settings.token}"}

    @property
    def missing(self) -> str | None:
        """What has to be set before a call makes sense, or None."""
        for name, value in (("BACKEND_API_URL", self._settings.url), ("BACKEND_API_TOKEN", self._settings.token)):
            if not value:
                return f"{name} is not set"
        return None

    async def delete_services(self, master: str, seconds: float) -> str | None:
        """Step 1: remove the services that the lab exposes."""
        return await self._call("DELETE", "/api/v1/expose/", {"lab_request_id": master}, seconds)

    async def delete_vm(self, vm: str, user_id: str, seconds: float) -> str | None:
        """Step 2: delete one VM."""
        return await self._call("POST", "/api/v1/labs/delete", {"lab_request_id": vm, "user_id": user_id}, seconds)

    async def document(self, path: str, max_bytes: int) -> Document | str:
        """GET a document, whole and of at most so many bytes; or the reason why there is none."""
        settings = self._settings  # there may be others when the answer comes
        limit = settings.call_timeout_seconds
        retry = self._retry(settings, limit)
        response = await self._send("GET", path, limit, retry)
        if isinstance(response, str):
            return response
        body = await read_bounded(response, max_bytes, retry.remaining)
        if response.status != OK:
            short = None if body is None or len(body) > settings.max_response_bytes else body
            return reasons.of_answer(response, short, secret=settings.token or "")
        if body is None:
            return f"the answer broke off, took too long, or is longer than {max_bytes} bytes"
        return Document(body, goes_on="next" in response.links)

    async def _call(self, method: str, path: str, body: dict[str, str], seconds: float) -> str | None:
        settings = self._settings
        limit = min(seconds, settings.call_timeout_seconds)
        retry = self._retry(settings, limit)
        response = await self._send(method, path, limit, retry, encode(body))
        if isinstance(response, str):
            return response
        return await _verdict(response, min(DRAIN_SECONDS, retry.remaining), settings)

    def _retry(self, settings: BackendSettings, limit: float) -> QuickRetry:
        return QuickRetry(
            retries=settings.quick_retries,
            deadline=asyncio.get_running_loop().time() + limit,
            max_bytes=settings.max_response_bytes,
            rng=self._rng,
        )

    async def _send(
        self, method: str, path: str, limit: float, retry: QuickRetry, body: bytes | None = None
    ) -> ClientResponse | Outage:
        """The answer, its body still to be read; or the reason why there is none."""
        began = perf_counter()
        try:
            async with asyncio.timeout(limit):
                response = await self._http.request(
                    method,
                    self._base + path,
                    retry_options=retry,
                    headers=self._headers,
                    data=body,
                    allow_redirects=False,
                )
        except TimeoutError:
            code, reason = reasons.TIMED_OUT, reasons.timed_out(limit)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this call's failure and not the cleaner's
            code, reason = reasons.kind_of(error), reasons.of_exception(error)
        else:
            self._called(path, str(response.status), perf_counter() - began)
            return response
        self._called(path, code, perf_counter() - began)
        return reason


async def _verdict(response: ClientResponse, seconds: float, settings: BackendSettings) -> str | None:
    """None for a confirmation. The body is read for the sake of the connection and of the words in an error."""
    body = await read_bounded(response, settings.max_response_bytes, seconds)
    if response.status in SUCCESS or response.status in settings.gone_statuses:
        return None
    return reasons.of_answer(response, body, secret=settings.token or "")


@asynccontextmanager
async def open_client(
    settings: BackendSettings, rng: random.Random | None = None, called: Called | None = None
) -> AsyncIterator[BackendClient]:
    """A client with its pool of connections, for as long as the block lasts. `rng` draws the jitter of retries."""
    session = ClientSession(
        connector=TCPConnector(limit=settings.max_connections),
        headers={
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # answers are short, and a compressed one could unpack to anything
        },
        auto_decompress=False,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=None),  # each call has its own
    )
    async with session:
        yield BackendClient(settings, session, rng or random.Random(), called)  # noqa: S311 - jitter is no secret
