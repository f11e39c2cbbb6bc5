"""The storm: the real service process under load, killed again and again, above a backend that has moods.

It starts, kills and waits; what is right is in `crash_checks`.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from crash_checks import Ended, Violation, check, counts
from crash_memory import Memory
from crash_users import ANSWER_SECONDS, Desk, User, now_ms

from labsessions.bench.ledger import Record
from labsessions.bench.stage import BACKEND_TOKEN
from labsessions.bootstrap import DATABASE
from labsessions.children import Child, ChildError, started
from labsessions.doctor.census import take_census
from labsessions.doctor.database import known_versions, open_for_reading, stored_versions
from labsessions.doctor.examine import examine_database
from labsessions.mockbackend import Call

# An attempt may take half of the interval, a crash in mid-call is tried again one and a half of it later: twice that
# and the spread are 4 s. The rest is for a machine that is busy with other things.
RETRY_SECONDS: Final = 1
SETTLE_SECONDS: Final = 30.0
START_SECONDS: Final = 60.0  # likewise
LIVES_SECONDS: Final = (0.5, 2.0)
# Before a kill all users ask at once: within this the process is busy with some of it, and the answers are lost.
BURST_SECONDS: Final = 0.05
PATIENT_EVERY: Final = 8
# Round trips to the backend after which it must have read whatever was sent to it before the first: a call on a new
# connection is accepted in one turn of its loop, registered in the next and read in the one after.
FENCE_TRIPS: Final = 4
POLL_SECONDS: Final = 0.2

# Long enough that the process often dies while it waits for the answer, short enough for four of them in an attempt.
USUAL: Final = {"kind": "slow", "seconds": 0.05}
MOODS: Final[tuple[list[dict[str, Any]], ...]] = (
    [{"kind": "status", "status": 503, "times": 40}],
    [{"kind": "status", "route": "delete", "status": 429, "retry_after": 1, "times": 10}],
    [{"kind": "drop", "times": 20}],
    [{"kind": "lost", "route": "delete", "times": 20}],
    [{"kind": "slow", "seconds": 0.3, "times": 30}],
    [{"kind": "hang", "route": "delete", "times": 5}],
    [{"kind": "non_json", "times": 20}, {"kind": "hang", "route": "expose", "times": 3}],
)


@dataclass(slots=True)
class Outcome:
    """What came of a storm."""

    seed: int
    kills: int = 0
    kills_at_start: int = 0
    censuses: int = 0
    moods: int = 0
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)


async def storm(folder: Path, *, seed: int, seconds: float, users: int) -> Outcome:
    """Kill for so many seconds, let everything come to its end, and check. ChildError if a process doesn't serve."""
    began = time.monotonic()
    async with started(folder, "mock-backend", "--port", "0", "--token", BACKEND_TOKEN) as backend:
        await backend.serving(START_SECONDS)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            outcome = await _Storm(folder, seed, backend, http, users).run(seconds)
    outcome.seconds = time.monotonic() - began
    return outcome


class _Storm:
    def __init__(self, folder: Path, seed: int, backend: Child, http: aiohttp.ClientSession, users: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)  # noqa: S311 - seeded, not secret
        self._backend = backend
        self._http = http
        self._record = Record(backend)
        self._calls: list[Call] = []
        self._desk = Desk(http, self._fence)
        self._outcome = Outcome(seed)
        self._users = [
            User(
                self._desk,
                f"user-{number}",
                random.Random(f"{seed}-{number}"),  # noqa: S311
                patient=number % PATIENT_EVERY == 0,
            )
            for number in range(users)
        ]

    @property
    def _memories(self) -> list[Memory]:
        return [user.memory for user in self._users]

    async def run(self, seconds: float) -> Outcome:
        """All of it."""
        try:
            async with asyncio.TaskGroup() as group:
                lives = [group.create_task(user.live()) for user in self._users]
                reader = group.create_task(self._read())
                await self._kill_for(seconds)
                async with self._service() as service:
                    await service.serving(START_SECONDS)
                    self._opened(service)
                    await self._heal()
                    self._desk.end()
                    await asyncio.wait(lives, timeout=SETTLE_SECONDS)
                for life in lives:
                    life.cancel()
                reader.cancel()
            await self._take()
        finally:
            self._record.close()
        self._check()
        return self._outcome

    def _check(self) -> None:
        outcome = self._outcome
        with closing(open_for_reading(self._database)) as connection:
            rows = {str(name) for (name,) in connection.execute("SELECT id FROM labs_sessions")}
            lines = connection.execute("SELECT id, user_id, end_reason FROM session_history")
            history = [Ended(*line) for line in lines]
            findings, _ = examine_database(connection)
        outcome.censuses += 1
        outcome.violations += check(self._memories, self._calls, history, rows, now_ms())
        outcome.violations += [Violation("doctor", f.check, str(f)) for f in findings if f.level == "fault"]
        outcome.counts = counts(self._memories, self._calls)

    # --- the service -------------------------------------------------------------------------------------

    async def _kill_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            async with self._service() as service:
                if self._rng.random() < 0.1:
                    await asyncio.sleep(self._rng.uniform(0, LIVES_SECONDS[0]))
                    self._outcome.kills_at_start += 1
                else:
                    await service.serving(START_SECONDS)
                    self._opened(service)
                    await self._change_mood()
                    await asyncio.sleep(self._rng.uniform(*LIVES_SECONDS))
                    self._desk.stir()
                    await asyncio.sleep(self._rng.uniform(0, BURST_SECONDS))
                await self._kill(service)
            self._count_sessions()

    def _service(self) -> AbstractAsyncContextManager[Child]:
        data = str(self._folder / "data")
        settings = {
            "BACKEND_API_URL": self._backend.url,
            "BACKEND_API_TOKEN": BACKEND_TOKEN,
            "LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS": str(RETRY_SECONDS),
            "LABSESSIONS_LOG__FORMAT": "json",
        }
        return started(self._folder, "serve", "--port", "0", "--data-dir", data, settings=settings)

    def _opened(self, service: Child) -> None:
        self._desk.url = service.url
        self._desk.serving.set()

    async def _kill(self, service: Child) -> None:
        if service.process.returncode is not None:
            raise ChildError(f"the service has ended by itself:\n{service.said()[-2000:]}")
        service.process.kill()
        self._desk.serving.clear()
        self._outcome.kills += 1
        await service.process.wait()

    @property
    def _database(self) -> Path:
        return self._folder / "data" / DATABASE

    def _count_sessions(self) -> None:
        """The doctor's census of what the dead process has left, now and then."""
        if self._rng.random() < 0.5 or not self._database.exists():
            return
        with closing(open_for_reading(self._database)) as connection:
            if stored_versions(connection) != known_versions():
                return  # killed before the first start had made all tables
            census = take_census(connection, now_ms())
        self._outcome.censuses += 1
        place = f"after kill {self._outcome.kills}"
        faults = [finding for finding in census.findings() if finding.level == "fault"]
        self._outcome.violations += [Violation("doctor", place, str(finding)) for finding in faults]

    # --- the backend -------------------------------------------------------------------------------------

    async def _change_mood(self) -> None:
        """Two times of three the backend is well."""
        await self._heal()
        mood = []
        if self._rng.random() < 1 / 3:
            self._outcome.moods += 1
            mood = self._rng.choice(MOODS)
        async with self._http.post(self._backend.url + "/__faults", json=[*mood, USUAL]) as response:
            response.raise_for_status()

    async def _heal(self) -> None:
        async with self._http.delete(self._backend.url + "/__faults") as response:
            response.raise_for_status()

    async def _fence(self) -> int:
        """How many calls there were when the backend had read all that was sent to it before this was asked."""
        for _ in range(FENCE_TRIPS - 1):
            await self._record.counts()
        return (await self._record.counts()).calls

    async def _read(self) -> None:
        while True:
            await self._take()
            await asyncio.sleep(POLL_SECONDS)

    async def _take(self) -> None:
        self._calls += await self._record.take()
