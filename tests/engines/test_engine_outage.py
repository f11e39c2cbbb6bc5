"""An outage of the backend with ten thousand labs that are due: what it costs, what it stores, how it ends."""

import asyncio

import pytest
from builders import GENERATION, NOW, POLICY, lab
from structlog.testing import capture_logs

from actors.admission import Limits
from actors.breaker import BreakerLimits, BreakerState
from actors.ids import ActorId
from actors.runtime import Runtime
from actors.storage import Alarm, Lane, Write
from actors.testing import EPOCH_MS, MemoryStore, VirtualClock, run_virtual
from labsessions.core.codec import encode
from labsessions.core.machine import decide, wake_at
from labsessions.core.messages import AttemptEnded, Clean, Create
from labsessions.core.model import State
from labsessions.engines.embedded import NAMESPACE, EmbeddedEngine
from labsessions.engines.tables import projected

HOUR_SECONDS = 3600
LIMITS = Limits(slots=64, slow_slots=128)
MOST_PROBES = 65  # an hour of pauses of a minute, and the shorter ones at its beginning


class DownCleaner:
    """Fails every attempt after a second for as long as `up` is False; `up` None: it doesn't know."""

    def __init__(self) -> None:
        self.up: bool | None = False
        self.begun = 0
        self.running = 0

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        self.begun += 1
        self.running += 1
        await asyncio.sleep(1)
        self.running -= 1
        if self.up:
            return AttemptEnded(effect.generation, effect.attempt, effect.vms, None, backend_up=True)
        return AttemptEnded(effect.generation, effect.attempt, (), "HTTP 503", backend_up=self.up)


class World:
    """So many sessions that were due while the service was away."""

    def __init__(self, sessions: int, breaker: BreakerLimits | None = None) -> None:
        self.cleaner = DownCleaner()
        self.store = MemoryStore()
        for number in range(sessions):
            user = f"user-{number}"
            message = Create(f"{number:08}{GENERATION[8:]}", lab(user_id=user, duration=1))
            decision = decide(State(), message, EPOCH_MS - 3_600_000 + number, POLICY)
            due_ms = wake_at(decision.state)
            assert due_ms is not None
            rows = projected(user, decision.state, decision.events, NOW)
            alarm = Alarm(due_ms, Lane.FIRST)
            self.store._apply(Write(ActorId(NAMESPACE, user), encode(decision.state), alarm, rows))
        self.runtime = Runtime(self.store, VirtualClock(), limits=LIMITS, breaker=breaker)
        EmbeddedEngine(self.runtime, self.cleaner, POLICY)
        self.runtime.start()

    @property
    def counted(self) -> int:
        """The attempts that stand in the rows."""
        return sum(int(str(row["attempts"])) for row in self.store.disk.rows("labs_sessions"))


@pytest.mark.slow
def test_an_hour_with_ten_thousand_due_costs_what_was_under_way_and_some_probes() -> None:
    """Nothing is written for those held back, and no attempt is counted; after the end all go, more by and by."""

    async def main() -> None:
        world = World(10_000)
        cleaner, store = world.cleaner, world.store
        await asyncio.sleep(60)
        under_way = cleaner.begun
        assert LIMITS.slots <= under_way <= LIMITS.slots + LIMITS.slow_slots + 10
        await asyncio.sleep(HOUR_SECONDS - 60)
        assert 55 <= cleaner.begun - under_way <= MOST_PROBES
        assert world.counted == cleaner.begun
        assert store.commits <= 2 * cleaner.begun
        assert (await world.runtime.health()).breaker is BreakerState.OPEN

        cleaner.up = True
        ended = asyncio.get_running_loop().time()
        while (await world.runtime.health()).breaker is not BreakerState.RECOVERING:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - ended < 61.1  # the longest pause, and the probe's second
        running = []
        for _ in range(5):
            await asyncio.sleep(0.5)
            running.append(cleaner.running)
            await asyncio.sleep(0.5)
        assert running == [1, 2, 4, 8, 16]
        await asyncio.sleep(POLICY.retry_interval_ms / 1000)  # those that were probes come last
        assert store.disk.cells == {}
        assert (await world.runtime.health()).breaker is BreakerState.CLOSED
        await world.runtime.stop(5)

    with capture_logs():  # which renders none of the forty thousand lines
        run_virtual(main())


@pytest.mark.parametrize(("failures", "sessions", "state"), [(5, 4, "closed"), (5, 5, "open"), (0, 50, "closed")])
def test_so_many_failures_open_it(failures: int, sessions: int, state: str) -> None:
    """One session before the limit, and at it; 0 is never."""

    async def main() -> None:
        world = World(sessions, BreakerLimits(failures=failures))
        await asyncio.sleep(2)
        assert world.runtime.breaker.state.value == state
        await world.runtime.stop(5)

    run_virtual(main())


def test_attempts_that_know_nothing_of_the_backend_do_not_count() -> None:
    """Not configured, for example: retried as ever."""

    async def main() -> None:
        world = World(20)
        world.cleaner.up = None
        await asyncio.sleep(POLICY.retry_interval_ms / 1000 + 5)
        assert world.cleaner.begun == 40
        assert world.runtime.breaker.state is BreakerState.CLOSED
        await world.runtime.stop(5)

    run_virtual(main())


def test_a_retry_that_is_held_back_is_not_counted_and_comes_after_the_outage() -> None:
    """Every session was tried once and failed; in the outage retries are the probes, one at a time."""

    async def main() -> None:
        world = World(30)
        await asyncio.sleep(POLICY.retry_interval_ms / 1000 - 1)
        assert world.cleaner.begun == world.counted == 30
        await asyncio.sleep(HOUR_SECONDS)
        assert world.counted == world.cleaner.begun <= 30 + MOST_PROBES
        world.cleaner.up = True
        await asyncio.sleep(POLICY.retry_interval_ms / 1000 + 62)  # the last probe's retry, or a pause
        assert world.store.disk.cells == {}
        await world.runtime.stop(5)

    run_virtual(main())
