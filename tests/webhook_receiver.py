"""An endpoint of webhooks on a real socket: verifies what it is sent with the library, and answers as told."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(b"a webhook's s3cret of 33 bytes, ").decode()


class Received(NamedTuple):
    """One call: its headers, its body as it came, and the event that the library has made of it."""

    headers: dict[str, str]
    body: bytes
    event: dict[str, Any]

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]


class Receiver:
    """`answers`: what is answered next, one after the other, then 204. While `hangs`, nothing is answered at all."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], web.Response]] = []
        self.received: list[Received] = []
        self.hangs = False
        self.url = ""
        self._webhook = Webhook(SECRET)

    def events(self) -> list[tuple[str, str]]:
        """Type and user of each event that was sent, in order."""
        return [(each.event["type"], each.event["data"]["user_id"]) for each in self.received]

    async def receive(self, request: web.Request) -> web.Response:
        """The handler; a signature that is wrong fails loudly."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers, body, self._webhook.verify(body, headers)))
        if self.hangs:
            await asyncio.sleep(3600)
        return self.answers.pop(0)() if self.answers else web.Response(status=204)


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[Receiver]:
    """A receiver at its `url`, for as long as the block lasts."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/k3y", receiver.receive)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0)
    receiver.url = str(server.make_url("/k3y"))
    try:
        yield receiver
    finally:
        await server.close()
