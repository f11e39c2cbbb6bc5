"""All endpoints of a process: begins them, tells them of news, and answers operators (`ports.Webhooks`)."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import msgspec

from actors.errors import ActorError, StoppedError
from actors.mailbox import ReplyFuture
from actors.runtime import Runtime
from labsessions.core.projection import iso
from labsessions.log_lines import bound_logger
from labsessions.ports import EngineError, WebhookRefusedError
from labsessions.webhooks import lines
from labsessions.webhooks.actor import NAMESPACE, Begin, Enable, News, Refused, Replay, Show, WebhookActor
from labsessions.webhooks.address import without_secrets
from labsessions.webhooks.courier import Courier, Sends
from labsessions.webhooks.sender import Endpoint
from labsessions.webhooks.source import Extent, Letter, Source
from labsessions.webhooks.standing import Standing

# After an endpoint's actor could not be spoken to, as the store was in trouble.
AGAIN_SECONDS: Final = 5.0

_NEWS = News()


class Webhooks:
    """Made for each process, also without endpoints: those that were taken out may have alarms left.

    `start` before the first request is accepted, `stop` at the end, before the runtime's.
    """

    def __init__(
        self, runtime: Runtime, endpoints: Sequence[Endpoint], source: Source, sender: Sends, rng: random.Random
    ) -> None:
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._source = source
        self._log = bound_logger()
        self._fresh: set[str] = set()
        self.tallies = {name: Counter({"delivered": 0, "failed": 0, "given_up": 0}) for name in self._endpoints}
        """What has become of the calls to each endpoint, since the start of the process."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        courier = Courier(source, sender, rng)
        self._actors = runtime.namespace(
            NAMESPACE,
            lambda actor_id: WebhookActor(
                actor_id,
                runtime,
                endpoint=self._endpoints.get(actor_id.name),
                courier=courier,
                fresh=self._fresh,
                tally=self.tallies.get(actor_id.name, Counter()),
                log=self._log,
            ),
        )

    async def start(self) -> None:
        """Have each endpoint go on where it was, and new ones begin now, or with the oldest event that is stored."""
        if self._endpoints:
            extent = await self._source.extent()
            for endpoint in self._endpoints.values():
                cursor = extent.pruned if endpoint.from_beginning else extent.newest
                await self._tell(endpoint.name, Begin(cursor))

    async def stop(self) -> None:
        """Tell nobody any more. What is not sent yet has its cursor."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def announce(self) -> None:
        """More events are durable. Returns at once, and costs next to nothing while the endpoints are busy."""
        if len(self._fresh) < len(self._endpoints) and not self._stopped:
            for name in self._endpoints.keys() - self._fresh:
                self._nudge(name)

    def _nudge(self, name: str) -> None:
        self._fresh.add(name)
        try:
            reply = self._actors.ask(name, _NEWS)
        except StoppedError:
            return  # the next process looks for itself
        self._in_background(self._heard(name, reply))

    async def _heard(self, name: str, reply: ReplyFuture) -> None:
        """Whether it was; an actor that could not be loaded or written is told again."""
        try:
            await reply
        except ActorError as error:
            self._log.warning(lines.TROUBLE, endpoint=name, reason=str(error))
            await asyncio.sleep(AGAIN_SECONDS)
            self._nudge(name)

    async def _tell(self, name: str, message: Begin) -> None:
        """Until it was heard; the first time at once, as an endpoint that is new must not miss what comes next."""
        try:
            await self._actors.ask(name, message)
        except ActorError as error:  # a damaged cell must not keep the service from its work
            self._log.error(lines.BROKEN, endpoint=name, reason=str(error))
            self._in_background(self._later(name, message))

    async def _later(self, name: str, message: Begin) -> None:
        await asyncio.sleep(60)
        await self._tell(name, message)

    def _in_background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- for operators -------------------------------------------------------------------------------------

    async def endpoints(self) -> list[dict[str, Any]]:
        """See `ports.Webhooks`."""
        if not self._endpoints:
            return []
        extent, letters = await self._source.extent(), await self._source.letter_counts()
        return [
            _shown(endpoint, await self._standing(name), extent, letters.get(name, 0))
            for name, endpoint in self._endpoints.items()
        ]

    async def dead_letters(self, name: str, after: int, limit: int) -> list[dict[str, Any]] | None:
        """See `ports.Webhooks`."""
        if name not in self._endpoints:
            return None
        return [_shown_letter(letter) for letter in await self._source.letters(name, after, limit)]

    async def replay(self, name: str, from_seq: int | None, *, dead_letters: bool) -> dict[str, Any] | None:
        """See `ports.Webhooks`."""
        if name not in self._endpoints:
            return None
        extent = await self._source.extent()
        oldest = None if from_seq is None else max(from_seq, extent.pruned + 1)
        reply = await self._ask(name, Replay(oldest, dead_letters))
        if isinstance(reply, Refused):
            raise WebhookRefusedError(reply.why)
        letters = (await self._source.letter_counts()).get(name, 0) if dead_letters else 0
        events = 0 if oldest is None else extent.newest - oldest + 1
        return {"from_seq": oldest, "events": events, "dead_letters": letters}

    async def enable(self, name: str) -> dict[str, Any] | None:
        """See `ports.Webhooks`."""
        if name not in self._endpoints:
            return None
        await self._ask(name, Enable())
        return next(shown for shown in await self.endpoints() if shown["name"] == name)

    async def problems(self) -> list[str]:
        """What an operator should look at, in words."""
        return list(_problems(await self.endpoints()))

    async def _standing(self, name: str) -> Standing | str | None:
        """Or why it cannot be read."""
        try:
            return cast("Standing | None", await self._actors.ask(name, Show()))
        except ActorError as error:
            return str(error)

    async def _ask(self, name: str, message: Replay | Enable) -> Any:
        try:
            return await self._actors.ask(name, message)
        except ActorError as error:
            raise EngineError(str(error)) from error


def _shown(endpoint: Endpoint, standing: Standing | str | None, extent: Extent, letters: int) -> dict[str, Any]:
    known = standing if isinstance(standing, Standing) else Standing(cursor=extent.newest)
    disabled = known.disabled_ms is not None
    retrying = known.failures > 0 and not disabled
    return {
        "name": endpoint.name,
        "url": without_secrets(endpoint.url),
        "events": sorted(endpoint.events),
        "state": "disabled" if disabled else "retrying" if retrying or isinstance(standing, str) else "active",
        "cursor": known.cursor,
        "lag": extent.newest - known.cursor,
        "attempts": known.failures,
        "failing_since": _iso(known.failing_since_ms),
        "last_error": standing if isinstance(standing, str) else known.last_error,
        "next_attempt_at": _iso(known.due_ms) if retrying else None,
        "disabled_at": _iso(known.disabled_ms),
        "last_delivered_at": _iso(known.delivered_ms),
        "lost": known.lost,
        "dead_letters": letters,
    }


def _shown_letter(letter: Letter) -> dict[str, Any]:
    shown = letter._asdict()
    del shown["endpoint"]
    return shown | {"payload": msgspec.json.decode(letter.payload)}


def _problems(endpoints: Sequence[dict[str, Any]]) -> Iterator[str]:
    for shown in endpoints:
        name, letters = shown["name"], shown["dead_letters"]
        if shown["state"] == "disabled":
            yield f"the webhook {name} is disabled: its endpoint wants no more ({shown['last_error']})"
        if letters:
            yield f"the webhook {name} has dead letters: {letters}; replay them once its endpoint takes them"


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
