"""Engines for tests of the front door, on a clock that the test moves: the core alone, and the real one."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient
from yarl import URL

from actors.runtime import Runtime
from actors.testing import ManualClock, MemoryDisk, MemoryStore
from labsessions.core.audit import Entry, line
from labsessions.core.machine import decide, wake_at
from labsessions.core.messages import AttemptEnded, Clean, Message, Reply, Wake
from labsessions.core.model import State
from labsessions.core.policy import Policy
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.ports import Paused, Span, StoredEvent

Api = TestClient[web.Request, web.Application]

START_MS = 1_800_000_000_000  # 2027-01-15T08:00:00.000Z
SESSIONS = "/api/v1/labs/sessions"

NODE = {"name": "w1", "worker_lab_request_id": "lab-w1", "network_id": "net-1", "netbird_ip": "100.64.0.2"}
BALANCER = {"id": "lb-1", "domain": "app.example.test", "port": 8080}


def lab_body(**changes: Any) -> dict[str, Any]:
    """A POST body with all required members, and `changes` to it."""
    body: dict[str, Any] = {
        "labId": "k8s-101",
        "labTitle": "Pods – first steps",
        "labGroupID": "group-7",
        "moduleID": "module-3",
        "duration": 60,
        "activatedAt": "2027-01-15T08:00:00.000Z",
        "counterID": "counter-1",
        "configId": "config-1",
        "workerConfigId": "config-2",
        "lab_request_id": "lab-master",
        "user_id": "ada",
        "terminal_url": "https://terminal.example.test/ada",
        "validation": 0,
        "vm": {"name": "m1", "network_id": "net-1", "netbird_ip": "100.64.0.1"},
    }
    return body | changes


class DrivenSessions:
    """`ports.Sessions` as the engine keeps it, without storage, runtime and backend.

    `advance` moves the clock and delivers the wake-ups that are due. If set, `fault` is raised by every `ask` and
    `answer` returned instead of the core's reply. `policy` is what the core decides by.
    """

    def __init__(self) -> None:
        self.now = START_MS
        self.fault: BaseException | None = None
        self.answer: Reply | None = None
        self.asked: list[tuple[str, Message]] = []
        self.policy = Policy()
        self.states: dict[str, State] = {}

    async def ask(self, user_id: str, message: Message) -> Reply:
        """Decide with the real core; yields to the loop once, as an engine would."""
        self.asked.append((user_id, message))
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        decision = decide(self.states.get(user_id, State()), message, self.now, self.policy)
        self.states[user_id] = decision.state
        return self.answer or decision.reply

    def now_ms(self) -> int:
        """The driven clock."""
        return self.now

    async def advance(self, ms: int) -> None:
        """Let `ms` pass; sessions whose deadline is then reached enter cleanup and stay there."""
        self.now += ms
        for user_id, state in tuple(self.states.items()):
            due = wake_at(state)
            if due is not None and due <= self.now:
                await self.ask(user_id, Wake())


class EmbeddedSessions:
    """The real engine on a driven clock, with a backend that never answers; `advance` as in `DrivenSessions`."""

    def __init__(self) -> None:
        self._clock = ManualClock(START_MS)
        self._disk = MemoryDisk()
        self._runtime = Runtime(MemoryStore(self._disk), self._clock)
        self.policy = Policy()
        self._engine = EmbeddedEngine(self._runtime, self, self.policy)
        self._runtime.start()
        self._begun = asyncio.Event()

    async def ask(self, user_id: str, message: Message) -> Reply:
        """See `ports.Sessions`."""
        return await self._engine.ask(user_id, message)

    def now_ms(self) -> int:
        """See `ports.Sessions`."""
        return self._engine.now_ms()

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`: says that it has begun, and then nothing."""
        self._begun.set()
        await asyncio.Event().wait()
        raise AssertionError(effect)

    async def advance(self, ms: int) -> None:
        """Let `ms` pass; if that brings a deadline, return when its cleanup has begun."""
        self._begun.clear()
        self._clock.advance(ms)
        if any(alarm.due_ms <= self.now_ms() for alarm in self._disk.armed.values()):
            async with asyncio.timeout(5):
                await self._begun.wait()

    async def close(self) -> None:
        """Stop the runtime."""
        await self._runtime.stop(0)


class DrivenRecord:
    """`ports.Record` of users of whom one session has ended, and nothing else happens."""

    async def span(self) -> Span:
        """Nothing was ever stored."""
        return Span(0, 0)

    async def events_after(self, user_id: str, seq: int) -> list[StoredEvent]:  # noqa: ARG002 - the port's
        """None."""
        return []

    async def last_ended(self, user_id: str) -> dict[str, Any] | None:  # noqa: ARG002 - the port's
        """Everybody's."""
        return {"id": "session-1"}

    def watch(self, user_id: str) -> AbstractContextManager[asyncio.Event]:  # noqa: ARG002 - the port's
        """No news."""
        return nullcontext(asyncio.Event())


class DrivenAudit:
    """`ports.Audit` in memory: `rows` are as the database has them, the oldest first."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    async def note(self, entry: Entry) -> None:
        """Kept at once."""
        noted = line(entry, START_MS)
        self.rows.append({"seq": len(self.rows) + 1, **noted, "detail": entry.detail})

    async def entries(self, before: int | None, limit: int) -> list[dict[str, Any]]:
        """The newest first."""
        return [row for row in reversed(self.rows) if before is None or row["seq"] < before][:limit]


class DrivenPauses:
    """`ports.Pauses` that last until they are ended."""

    def __init__(self) -> None:
        self.current: Paused | None = None

    async def begin(self, until_ms: int, reason: str, who: str) -> Paused:
        """At once."""
        self.current = Paused(START_MS, until_ms, reason, who)
        return self.current

    async def end(self, who: str) -> bool:  # noqa: ARG002 - the port's
        """At once."""
        ended, self.current = self.current is not None, None
        return ended


class DrivenWaiting:
    """`ports.Waiting`: those whom the test says, whatever the filter; `asked` keeps the filters."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.asked: list[tuple[str | None, str | None, Sequence[str] | None]] = []

    async def users(self, status: str | None, error: str | None, user_ids: Sequence[str] | None) -> list[str]:
        """As set."""
        self.asked.append((status, error, user_ids))
        return self.waiting


class DrivenReadiness:
    """`ports.Readiness` that reports what the test says."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"ready": True, "problems": []}

    async def check(self) -> dict[str, Any]:
        """The state as set."""
        return self.state


def exact(api: Api, path: str) -> URL:
    """The URL of `path` on the server under test, its escapes left as they are."""
    return URL(f"http://{api.host}:{api.port}{path}", encoded=True)


async def send_raw(api: Api, request: bytes) -> tuple[int, bytes]:
    """Write bytes to the server's socket; the status and the body (empty, if it has no length) of the answer."""
    reader, writer = await asyncio.open_connection(api.host, api.port)
    try:
        async with asyncio.timeout(5):
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"]
            return int(head.split(b" ", 2)[1]), await reader.readexactly(sum(lengths))
    finally:
        writer.close()
        await writer.wait_closed()
