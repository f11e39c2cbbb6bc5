"""The admin API of a running service, as commands use it: answers or one of two errors, pages, and streams.

It knows no route and no shape; those are said by the commands.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

ADMIN: Final = "/api/v1/admin"
LARGEST_PAGE: Final = 500
# A bulk of work is answered when it is done; of a stream this is how long it may be silent, heartbeats included.
ANSWER_SECONDS: Final = 300.0
CONNECT_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 60.0
_LONGEST_LINE: Final = 4 * 1_048_576  # of a stream: a log line with a long traceback has some KiB

Progress = Callable[[int, int | None], None]
"""How much is done, and how much there is in all; None if nobody knows."""


class UnreachableError(Exception):
    """There was no answer of a labsessions service; the text says why, and what to do."""


class AnsweredError(Exception):
    """The service has refused; `code` is for programs, the text for people."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Told(NamedTuple):
    """An event of a stream."""

    event: str
    data: Any


class Service:
    """A service at `url`. Made by `connected`."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/")
        self._http = http

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """What a GET of this path below the admin API answers; a member that is None isn't asked for."""
        return await self._ask("GET", path, query, None)

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What a POST answers; a member that is None isn't sent."""
        return await self._ask("POST", path, {}, {name: each for name, each in body.items() if each is not None})

    async def pages(
        self, path: str, member: str, query: Mapping[str, Any], progress: Progress | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """All pages of a list, one after the other; `member` has the items of each."""
        cursor, done = None, 0
        while True:
            page = await self.get(path, **{**query, "limit": LARGEST_PAGE, "cursor": cursor})
            done += len(page[member])
            if progress is not None:
                progress(done, page.get("total"))
            yield page
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    @asynccontextmanager
    async def stream(self, path: str, **query: Any) -> AsyncIterator[AsyncIterator[Told]]:
        """The events of a stream, until the service ends it."""
        silent = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        async with self._answer("GET", path, query, None, silent) as answer:
            yield _events(answer)

    async def _ask(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> dict[str, Any]:
        patience = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self._answer(method, path, query, body, patience) as answer:
            return _data(await answer.read(), self._url)

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, query: Mapping[str, Any], body: Any, patience: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A success whose body is still to be read. Raises UnreachableError and AnsweredError."""
        url = URL(f"{self._url}{ADMIN}{path}", encoded=True).with_query(_text(query))
        content = None if body is None else msgspec.json.encode(body)
        try:
            async with self._http.request(method, url, data=content, timeout=patience, allow_redirects=False) as answer:
                if answer.status != 200:  # noqa: PLR2004 - all of the admin API answer so
                    raise _refusal(answer, await answer.read(), self._url)
                yield answer
        except TimeoutError:
            raise UnreachableError(f"{self._url} does not answer in time") from None
        except aiohttp.ClientError as error:
            raise UnreachableError(f"{self._url} cannot be reached: {_why(error)}") from None


@asynccontextmanager
async def connected(url: str, token: str | None, operator: str) -> AsyncIterator[Service]:
    """The service at this address, as long as the block lasts. `operator` is who asks, for its audit."""
    headers = {"X-Operator": operator, "Accept": "application/json, text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # The environment's proxies are not for a service that usually listens on the loopback address.
    async with aiohttp.ClientSession(
        headers=headers, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=_LONGEST_LINE
    ) as http:
        yield Service(url, http)


def segment(text: str) -> str:
    """As a part of a path, whatever is in it."""
    return quote(text, safe="")


def _text(query: Mapping[str, Any]) -> dict[str, str]:
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }


def _data(body: bytes, url: str) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(body)["data"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        data = None
    if not isinstance(data, dict):
        raise UnreachableError(f"what answers at {url} is not labsessions: set --url or LABSESSIONS_URL")
    return data


def _refusal(answer: aiohttp.ClientResponse, body: bytes, url: str) -> Exception:
    try:
        said = msgspec.json.decode(body)
        return AnsweredError(answer.status, str(said["code"]), str(said["error"]))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return UnreachableError(
            f"what answers at {url} is not labsessions (HTTP {answer.status}): set --url or LABSESSIONS_URL"
        )


def _why(error: aiohttp.ClientError) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "host not found"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "connection refused – is the service running?"
        case aiohttp.ClientConnectorError():
            return (error.strerror or "no connection").lower()
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "that is no http:// or https:// address"
        case _:
            return "the connection broke off"


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    """The messages of an event stream, of which each has its data on one line."""
    event, data = "message", None
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            data = value
        elif not name and not line.strip():
            if data is not None:
                yield Told(event, msgspec.json.decode(data))
            event, data = "message", None
