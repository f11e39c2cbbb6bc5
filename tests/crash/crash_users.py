"""The users: each has one short lab after the other, changes it, ends it by hand or lets it end, and remembers all.

A user asks one thing at a time and asks again, the same, when the answer was lost.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import aiohttp
from crash_memory import Exchange, Kind, Memory, Shown
from processes import SESSION, lab_body, workers

MS_PER_MINUTE: Final = 60_000
FAR_MINUTES: Final = 600
# No answer for so long although the process lives: the run is broken off, for nobody knows what will come of it.
ANSWER_SECONDS: Final = 60
CREATED, GONE = 201, 404


class Desk:
    """What the users share: where the service is, whether it may be asked, and the backend's number of calls."""

    def __init__(self, http: aiohttp.ClientSession, calls_so_far: Callable[[], Awaitable[int]]) -> None:
        self._http = http
        self.calls_so_far = calls_so_far
        self.url = ""
        self.serving = asyncio.Event()
        self.ending = asyncio.Event()
        self._stirred = asyncio.Event()

    async def ask(self, method: str, path: str, body: Any) -> tuple[int, Any] | None:
        """Status and body, or None if the answer was lost. Waits while nobody serves."""
        await self.serving.wait()
        try:
            async with self._http.request(method, self.url + path, json=body) as response:
                return response.status, await response.json(content_type=None)
        except aiohttp.ClientError:
            return None

    def stir(self) -> None:
        """Everybody who is thinking asks now."""
        self._stirred.set()
        self._stirred = asyncio.Event()

    def end(self) -> None:
        """The end is near: no new labs."""
        self.ending.set()
        self.stir()

    async def pause(self, seconds: float) -> None:
        """Think for so long, if nobody stirs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()


class User:
    """One user, with chances and a memory of its own. A patient one has one long lab, and keeps it."""

    def __init__(self, desk: Desk, name: str, rng: random.Random, *, patient: bool) -> None:
        self.memory = Memory(name)
        self._desk = desk
        self._rng = rng
        self._patient = patient
        self._number = 0
        self._id = ""
        self._workers: tuple[str, ...] = ()
        self._minutes = 0.0

    async def live(self) -> None:
        """One lab after the other until the end is near, then ask until the last one is over."""
        while not self._desk.ending.is_set():
            if await self._start():
                await self._change()
        if self._patient:
            await self._until_answered(self._get)
        else:
            await self._over()

    async def _start(self) -> bool:
        """Create until there is a lab of ours; False if the end came before."""
        while not self._desk.ending.is_set():
            self._plan()
            if await self._create() == CREATED:
                return True
            # The one before is still there, or the answer was lost.
            await self._until_answered(self._get)
            if self._here():
                return True
            await self._desk.pause(self._rng.uniform(0.1, 0.4))
        return False

    async def _change(self) -> None:
        """Ask for this and that, then let it end, or start over while it may be there."""
        changes = self._rng.randrange(6)
        while (changes or self._patient) and not self._desk.ending.is_set():
            await self._desk.pause(self._rng.uniform(0, 0.7))
            if await self._until_answered(self._some_request()) == GONE:
                return
            changes -= 1
        if not self._patient and self._rng.random() < 0.5:
            await self._over()

    async def _over(self) -> None:
        """Ask until the session is gone."""
        while await self._until_answered(self._get) != GONE:  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(self._rng.uniform(0.1, 0.5))

    def _plan(self) -> None:
        """Another lab. No id comes twice, so that whatever happens is about one session."""
        self._id = f"{self.memory.user}-{self._number}"
        self._number += 1
        self._workers = tuple(f"{self._id}-w{n}" for n in range(self._rng.choice((0, 0, 1, 2))))
        self._minutes = self._some_minutes()

    def _here(self) -> bool:
        return any(life is not None and life.id == self._id for life in self.memory.worlds)

    def _some_minutes(self) -> float:
        return FAR_MINUTES + self._rng.random() if self._patient else self._rng.randrange(300, 3500) / MS_PER_MINUTE

    def _some_request(self) -> Callable[[], Awaitable[int | None]]:
        requests = (self._get, self._move, self._add_worker, self._intrude, self._delete)
        request = self._rng.choices(requests, weights=(3, 3, 3, 1, 0 if self._patient else 2))[0]
        if request == self._move:
            self._minutes = self._some_minutes()
        if request == self._add_worker:
            # The oldest one is named no longer, and is owed all the same.
            self._workers = (*self._workers[-1:], f"{self._id}-x{self._rng.randrange(10**6)}")
        return request

    async def _intrude(self) -> int | None:
        """Try to have a second lab beside the first."""
        mine = self._id, self._workers, self._minutes
        self._plan()
        status = await self._create()
        if status != CREATED:
            status = await self._until_answered(self._get)
            if not self._here():
                self._id, self._workers, self._minutes = mine
        return status

    async def _until_answered(self, request: Callable[[], Awaitable[int | None]]) -> int:
        while (status := await request()) is None:
            pass
        return status

    async def _create(self) -> int | None:
        body = lab_body(self.memory.user) | {"id": self._id, "lab_request_id": self._id, "duration": self._minutes}
        body["worker_nodes"] = workers(*self._workers)
        return await self._exchange("create", "POST", SESSION, body, minutes=self._minutes, workers=self._workers)

    async def _get(self) -> int | None:
        return await self._exchange("get", "GET", f"{SESSION}/user/{self.memory.user}", None)

    async def _move(self) -> int | None:
        body = {"duration": self._minutes}
        return await self._exchange("put", "PUT", self._path, body, minutes=self._minutes)

    async def _add_worker(self) -> int | None:
        body = {"worker_nodes": workers(*self._workers)}
        return await self._exchange("put", "PUT", self._path, body, workers=self._workers)

    async def _delete(self) -> int | None:
        return await self._exchange("delete", "DELETE", self._path, None)

    @property
    def _path(self) -> str:
        return f"{SESSION}/{self.memory.user}"

    async def _exchange(self, kind: Kind, method: str, path: str, body: Any, **asked: Any) -> int | None:
        """Ask, remember, and take the fence if the answer told that a session is gone."""
        await self._desk.serving.wait()
        sent_ms = now_ms()
        answer = await self._desk.ask(method, path, body)
        status, content = (None, None) if answer is None else answer
        gone = self.memory.remember(
            Exchange(kind, sent_ms, now_ms(), status, id=self._id, shown=_shown(content), **asked)
        )
        if gone:
            fence = await self._desk.calls_so_far()
            for known in gone:
                known.fence = fence
        return status


def now_ms() -> int:
    """The wall clock in ms, by which deadlines and the backend's record are told too."""
    return time.time_ns() // 1_000_000


def _shown(content: Any) -> Shown | None:
    data = content.get("data") if isinstance(content, dict) else None
    if data is None or "id" not in data:
        return None
    return Shown(
        id=data["id"],
        minutes=data["duration"],
        workers=tuple(node["worker_lab_request_id"] for node in data.get("worker_nodes") or ()),
        created_ms=_ms(data["created_at"]),
        expires_ms=_ms(data["expires_at"]),
        cleaning=data["status"] != "active",
    )


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
