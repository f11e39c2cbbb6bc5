"""One message to one endpoint: signs it, posts it, and says whether it was accepted. Never raises but on cancellation.

Signed by the rules of Standard Webhooks, anew for each attempt: receivers refuse old timestamps. What is said of a
failure never has the address in it, as addresses of webhooks often hold a key of the receiver's.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from standardwebhooks import Webhook as Signer

from labsessions import __version__
from labsessions.backend.answers import read_bounded, retry_after_seconds
from labsessions.backend.reasons import excerpt
from labsessions.webhooks.messages import Message
from labsessions.webhooks.standing import Failure

SUCCESS: Final = range(200, 300)
REDIRECT: Final = range(300, 400)
GONE: Final = 410
# Those that say "not now", whatever the message is. (503 is what a proxy says of a receiver that is down.)
NOT_NOW: Final = frozenset({408, 429, 502, 503, 504})
# What is read of an answer, and how long: the status line has decided already.
MOST_BYTES: Final = 4096
DRAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where messages go, and which. `give_up_ms`: how long a message is tried before it is a dead letter."""

    name: str
    url: str
    events: frozenset[str]
    from_beginning: bool = False
    timeout_seconds: float = 15.0
    give_up_ms: int = 2 * 86_400_000


class Sender:
    """Posts over `session`. `secrets`: those of each endpoint by its name; all of them sign. `now` is the real time."""

    def __init__(
        self,
        session: ClientSession,
        secrets: Mapping[str, Sequence[str]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = session
        self._now = now
        self.reconfigure(secrets)

    def reconfigure(self, secrets: Mapping[str, Sequence[str]]) -> None:
        """From now on with these."""
        self._hidden = {name: [secret.removeprefix("whsec_") for secret in each] for name, each in secrets.items()}
        self._signers = {name: [Signer(secret) for secret in each] for name, each in secrets.items()}

    async def send(self, endpoint: Endpoint, message: Message) -> Failure | None:
        """None if it was accepted: by a 2xx, within the endpoint's time."""
        try:
            async with asyncio.timeout(endpoint.timeout_seconds):
                response = await self._session.post(
                    endpoint.url,
                    data=message.body.encode(),
                    headers=self._headers(endpoint.name, message),
                    allow_redirects=False,
                )
        except TimeoutError:
            return Failure(f"no answer within {endpoint.timeout_seconds:g} s", absent=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this call's failure
            return Failure(_of_exception(error), absent=True)
        return await self._verdict(endpoint, response)

    def _headers(self, name: str, message: Message) -> dict[str, str]:
        at = self._now()
        signatures = [signer.sign(message.id, at, message.body) for signer in self._signers[name]]
        return {
            "webhook-id": message.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    async def _verdict(self, endpoint: Endpoint, response: ClientResponse) -> Failure | None:
        body = await read_bounded(response, MOST_BYTES, DRAIN_SECONDS)
        status = response.status
        if status in SUCCESS:
            return None
        said = (body or b"").decode(errors="replace")
        for hidden in (*self._hidden[endpoint.name], response.url.raw_path_qs.strip("/")):
            said = excerpt(said, hidden)
        words = f"HTTP {status}, redirects are not followed" if status in REDIRECT else f"HTTP {status}"
        wanted_seconds = retry_after_seconds(response, self._now())
        return Failure(
            f"{words} ({said})" if said and status not in REDIRECT else words,
            gone=status == GONE,
            absent=status in NOT_NOW,
            retry_after_ms=None if wanted_seconds is None else round(min(wanted_seconds, 1e9) * 1000),
        )


@asynccontextmanager
async def open_sender(secrets: Mapping[str, Sequence[str]]) -> AsyncIterator[Sender]:
    """A sender with its connections, for as long as the block lasts."""
    session = ClientSession(
        connector=TCPConnector(limit=0),  # each endpoint has one call at a time
        headers={
            "Content-Type": "application/json",
            "User-Agent": f"labsessions/{__version__}",
            "Accept-Encoding": "identity",  # a compressed answer could unpack to anything
        },
        auto_decompress=False,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=None),  # each call has its own
    )
    async with session:
        yield Sender(session, secrets)


def _of_exception(error: Exception) -> str:
    match error:
        case ssl.CertificateError() | aiohttp.ClientSSLError():
            return "TLS error: check the endpoint's certificate"
        case aiohttp.ClientConnectorDNSError():
            return "host not found"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "refused connection"
        case aiohttp.ClientConnectorError():
            return "cannot connect"
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            return "connection dropped"
        case aiohttp.ClientResponseError():
            return "answer is not valid HTTP"
        case _:
            return f"unexpected {type(error).__name__}"
