"""A little world for webhooks under virtual time: a disk, the real runtime, and receivers that answer from a script."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from actors.admission import Limits
from actors.ids import ActorId
from actors.runtime import Residency, Runtime
from actors.storage import Append, DueAlarm, Operation, Prune, Put, Write
from actors.testing import EPOCH_MS, MemoryDisk, MemoryStore, VirtualClock
from labsessions.core.projection import iso
from labsessions.engines.tables import EVENTS
from labsessions.webhooks.actor import NAMESPACE
from labsessions.webhooks.messages import USUAL, Message
from labsessions.webhooks.sender import Endpoint
from labsessions.webhooks.service import Webhooks
from labsessions.webhooks.source import LETTERS, PAGE, Extent, Letter
from labsessions.webhooks.standing import Failure, Standing, decode

T = TypeVar("T")

DAY_MS = 86_400_000
BUSY = Failure("HTTP 503", absent=True)
NO = Failure("HTTP 400")
GONE = Failure("HTTP 410", gone=True)


def endpoint(name: str = "ops", **members: Any) -> Endpoint:
    """An endpoint that is told of the usual events."""
    return Endpoint(**{"name": name, "url": "https://hooks.test/", "events": frozenset(USUAL), **members})


class MemorySource:
    """`Source` of what is on a memory disk; `broken`: it cannot be read.

    A read takes `seconds`, and answers with what was there at its beginning.
    """

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self.broken = False
        self.seconds = 0.001
        self.reads = 0

    async def extent(self) -> Extent:
        """See `Source`."""
        newest = self._disk.numbers.get(EVENTS.name, 0)
        rows: list[dict[str, Any]] = [dict(row) for row in self._disk.rows(EVENTS.name)]
        return await self._read(Extent(min((row["seq"] for row in rows), default=newest + 1) - 1, newest))

    async def events(self, after: int) -> Sequence[Mapping[str, Any]]:
        """See `Source`."""
        rows: list[dict[str, Any]] = [dict(row) for row in self._disk.rows(EVENTS.name)]
        return await self._read([row for row in rows if row["seq"] > after][:PAGE])

    async def letters(self, endpoint: str, after: int, limit: int = PAGE) -> Sequence[Letter]:
        """See `Source`."""
        rows: list[dict[str, Any]] = [dict(row) for row in self._disk.rows(LETTERS.name)]
        letters = [Letter(**row) for row in rows if row["endpoint"] == endpoint and row["seq"] > after]
        return await self._read(sorted(letters, key=lambda letter: letter.seq)[:limit])

    async def letter_counts(self) -> Mapping[str, int]:
        """See `Source`."""
        names = [str(row["endpoint"]) for row in self._disk.rows(LETTERS.name)]
        return await self._read({name: names.count(name) for name in names})

    async def _read(self, found: T) -> T:
        await asyncio.sleep(self.seconds)
        self.reads += 1
        if self.broken:
            raise OSError("the disk is gone")
        return found


class Receivers:
    """What is behind the endpoints: answers from `script` – a failure, or None for "accepted" –, then `usual`.

    `calls` has each call with its instant, `accepted` what was taken, in order. A call takes `seconds`.
    """

    def __init__(self) -> None:
        self.script: list[Failure | None] = []
        self.usual: Failure | None = None
        self.refuses: set[int] = set()
        self.seconds = 0.01
        self.calls: list[tuple[int, str, Message]] = []
        self.accepted: list[Message] = []

    async def send(self, endpoint: Endpoint, message: Message) -> Failure | None:
        """See `Sends`."""
        self.calls.append((round(asyncio.get_running_loop().time() * 1000), endpoint.name, message))
        await asyncio.sleep(self.seconds)
        failure = self.script.pop(0) if self.script else NO if message.seq in self.refuses else self.usual
        if failure is None:
            self.accepted.append(message)
        return failure

    def numbers(self) -> list[int]:
        """Those of the events that were accepted."""
        return [message.seq for message in self.accepted]


class StumblingStore(MemoryStore):
    """A memory store of which one commit fails: the `stumbles`-th from when that was set."""

    stumbles = 0

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        self.stumbles -= 1
        if self.stumbles == 0:
            self.fail(1)
        await super().apply(operations)


class World:
    """One process on a disk that outlives it; a second one on the same disk is the next process."""

    def __init__(
        self,
        *endpoints: Endpoint,
        disk: MemoryDisk | None = None,
        since_ms: int = 0,
        receivers: Receivers | None = None,
        limits: Limits | None = None,
        idle_seconds: float = 10.0,
    ) -> None:
        self.store = StumblingStore(disk)
        self.disk = self.store.disk
        self.clock = VirtualClock(EPOCH_MS + since_ms)
        self.runtime = Runtime(
            self.store, self.clock, limits=limits, residency=Residency(idle_seconds=idle_seconds, max_resident=100)
        )
        self.source = MemorySource(self.disk)
        self.receivers = receivers or Receivers()
        self.webhooks = Webhooks(self.runtime, endpoints, self.source, self.receivers, random.Random(1))  # noqa: S311 - jitter

    async def __aenter__(self) -> Self:
        await self.webhooks.start()
        self.runtime.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.webhooks.stop()
        await self.runtime.stop(0)

    async def happen(self, *kinds: str, user: str = "ada", data: str = "{}") -> None:
        """Events of these types are committed, and announced as the engine does."""
        now = iso(self.clock.now_ms())
        rows = [Append(EVENTS, (now, user, f"generation-{user}", f"session-{user}", kind, data)) for kind in kinds]
        await self.store.apply([Write(ActorId("SessionManager", "nobody"), None, None, rows)])
        self.webhooks.announce()

    async def prune(self, through: int) -> None:
        """Events up to this number are deleted by age."""
        await self.store.apply([Prune(EVENTS, through)])

    def standing(self, name: str = "ops") -> Standing:
        """What the endpoint's cell holds."""
        standing = decode(self.disk.cells[ActorId(NAMESPACE, name)])
        assert standing is not None
        return standing

    def alarm(self, name: str = "ops") -> DueAlarm | None:
        """The endpoint's alarm."""
        return self.disk.armed.get(ActorId(NAMESPACE, name))

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return [dict(row) for row in self.disk.rows(LETTERS.name)]

    async def shown(self, name: str = "ops") -> dict[str, Any]:
        """As operators see the endpoint."""
        return next(each for each in await self.webhooks.endpoints() if each["name"] == name)


def put_letter(disk: MemoryDisk, seq: int, name: str = "ops") -> None:
    """A dead letter, as an earlier process has left it."""
    letter = Letter(name, seq, f"msg_{seq}", "session.created", iso(EPOCH_MS), "{}", 9, iso(EPOCH_MS), "HTTP 400")
    kept = letter.kept()
    assert isinstance(kept, Put)
    disk.tables.setdefault(LETTERS.name, {})[(name, seq)] = dict(zip(LETTERS.columns, kept.values, strict=True))
