"""The public keys of an identity provider, fetched from its JWKS URL (RFC 7517) without stopping anybody else.

A set is good for ten minutes, then it is fetched again beside the requests. A key that isn't in it has perhaps just
been made: then it is fetched at once, but no more than once a minute, or anybody could make us flood the provider.
While the URL fails the last good set is kept.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, Final

import jwt
import msgspec
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from labsessions.http.keys import KeysUnavailableError

LIFETIME_S: Final = 600.0  # so long a key may be trusted that the provider has withdrawn
PAUSE_S: Final = 60.0  # between two fetches, whatever the reason
TIMEOUT_S: Final = 5.0  # so long a request with an unknown key may have to wait
MAX_BYTES: Final = 262_144  # a set of ten keys with their certificates has 30 KiB

# Public keys only. A key for HS256 (`oct`) that anybody can fetch would let anybody sign.
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


class UnusableError(Exception):
    """What the URL answered is no set of keys for signatures; the text says why."""


class KeySet:
    """`keys.Keys` behind a URL. Made by `open_key_set`; `now` is monotonic, in seconds."""

    def __init__(self, url: str, http: ClientSession, now: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._http = http
        self._now = now
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._stale_at = self._pause_until = now()
        self._failing = True  # until the first set is there, nobody can say what is in it
        self._fetch: asyncio.Task[None] | None = None

    async def key_of(self, token: str) -> jwt.PyJWK | None:
        """See `Keys`. Waits only for a key that isn't known, and only while a fetch is under way."""
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(kid) if kid is not None else None
        if key is None and kid is not None:
            if (fetch := self._refresh()) is not None:
                await asyncio.wait([fetch])
            key = self._keys.get(kid)
            if key is None and self._failing:
                raise KeysUnavailableError
        elif self._now() >= self._stale_at:
            self._refresh()
        return key

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])

    def _refresh(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, or a new one; None if the last one was a short while ago."""
        if self._fetch is None and self._now() >= self._pause_until:
            self._pause_until = self._now() + PAUSE_S
            # Not in the context of the request that happens to be the first: it is for all.
            self._fetch = asyncio.get_running_loop().create_task(self._replace(), context=Context())
        return self._fetch

    async def _replace(self) -> None:
        try:
            self._keys = usable(await self._fetched())
        except (ClientError, TimeoutError, UnusableError) as error:
            self._failing = True
            why = str(error) or type(error).__name__
            _log.warning("the keys of users' tokens cannot be fetched", url=self._url, reason=why, kept=len(self._keys))
        else:
            self._failing = False
            self._stale_at = self._now() + LIFETIME_S
            _log.info("keys of users' tokens fetched", url=self._url, kids=sorted(self._keys))
        finally:
            self._fetch = None

    async def _fetched(self) -> bytes:
        async with self._http.get(self._url, allow_redirects=False) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise UnusableError(f"HTTP {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise UnusableError(f"more than {MAX_BYTES} bytes")
            return bytes(body)


def usable(document: bytes) -> dict[str, jwt.PyJWK]:
    """The keys for signatures in a JWKS, by their ids; others are left out. UnusableError if there are none."""
    try:
        keys = msgspec.json.decode(document, type=_Document).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnusableError("not a JSON Web Key Set") from None
    found = {kid: key for each in keys if isinstance(kid := each.get("kid"), str) and (key := _usable(each))}
    if not found:
        raise UnusableError("no public key for signatures with an id among them")
    return found


def _usable(described: dict[str, Any]) -> jwt.PyJWK | None:
    if described.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(described)
    except Exception:  # noqa: BLE001 - foreign JSON, read by code that trusts it: any exception may come
        return None
    return key if key.algorithm_name in ALGORITHMS else None


@asynccontextmanager
async def open_key_set(url: str) -> AsyncIterator[KeySet]:
    """The keys behind the URL, with a connection of their own, as long as the block lasts. Fetches nothing yet."""
    session = ClientSession(
        headers={
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },  # else it could unpack to anything
        auto_decompress=False,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=TIMEOUT_S),
    )
    async with session:
        keys = KeySet(url, session)
        try:
            yield keys
        finally:
            await keys.close()
