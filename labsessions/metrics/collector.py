"""A scrape: the numbers, wherever they are kept, become the families of `families`.

What has to be asked for is asked first, once a second at most and for all who scrape at that time; what isn't there
then has no sample. The rest is read from memory in one go.
"""

import asyncio
import platform
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from time import time
from typing import Final, NamedTuple

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from actors.breaker import BreakerState
from actors.runtime import Pulse
from actors.stats import SECONDS, Histogram
from labsessions.metrics import families as f
from labsessions.metrics.lag import LoopLag
from labsessions.metrics.stored import Census
from labsessions.metrics.tally import Tally

FRESH_SECONDS: Final = 1.0
# Longer than a busy store takes, shorter than Prometheus waits for an answer (10 s).
PATIENCE_SECONDS: Final = 5.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Asked(NamedTuple):
    """What had to be asked for: the store's counts, the room on the disk, when the last backup was made, webhooks."""

    census: Census
    free_bytes: int
    backup_ms: int | None
    webhooks: Sequence["WebhookFigures"] = ()


class WebhookFigures(NamedTuple):
    """Of one endpoint: attempts by outcome, events given up, events still to be told."""

    endpoint: str
    deliveries: dict[str, int]
    dead_letters: int
    lag: int


async def _none() -> Sequence[WebhookFigures]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What tells of parts that may be absent: whether cleanups are paused, how many orphans were seen, webhooks."""

    paused: Callable[[], bool] = lambda: False
    orphans: Callable[[], int | None] = lambda: None
    webhooks: Callable[[], Awaitable[Sequence[WebhookFigures]]] = _none


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the numbers are."""

    version: str
    tally: Tally
    lag: LoopLag
    pulse: Callable[[], Pulse]
    ask: Callable[[], Awaitable[Asked]]
    parts: Parts


class _Only(Collector):
    """A collector of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        yield self._metric


class Metrics(Collector):
    """`ports.Exposition`, with a registry of its own."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._started = time()
        self._asked: Asked | None = None
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(namespace="lab", registry=self.registry)

    async def text(self) -> bytes:
        """See `ports.Exposition`."""
        async with self._asking:
            if asyncio.get_running_loop().time() - self._asked_at >= FRESH_SECONDS:
                self._asked = await self._ask()
                self._asked_at = asyncio.get_running_loop().time()
        parts = []
        for metric in self.registry.collect():
            parts.append(generate_latest(_Only(metric)))
            await asyncio.sleep(0)  # all of it at once would keep everybody waiting for some milliseconds
        return b"".join(parts)

    def describe(self) -> list[Metric]:
        """All families, without samples."""
        return [family.empty() for family in f.FAMILIES]

    def collect(self) -> Iterator[Metric]:
        """All families, with what is known now."""
        yield from self._of_sessions()
        yield from self._of_runtime(self._sources.pulse())
        yield from self._of_store()
        yield from self._of_requests()
        yield from self._of_others()

    async def _ask(self) -> Asked | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._sources.ask()
        except Exception as error:  # noqa: BLE001 - a store in trouble is told of by the other numbers, not by silence
            _log.warning("the store gave a scrape no answer", reason=str(error) or type(error).__name__)
            return None

    def _of_sessions(self) -> Iterator[Metric]:
        tally, census = self._sources.tally, None if self._asked is None else self._asked.census
        if census is not None:
            states = (("active", census.active), ("cleaning", census.cleaning), ("stuck", census.stuck))
            yield f.SESSIONS.of(((state,), number) for state, number in states)
            yield f.OVERDUE.one(census.overdue)
            yield f.OLDEST_OVERDUE.one(census.oldest_overdue_seconds)
            yield f.OBLIGATIONS.of([(("cleaning",), census.owed), (("stuck",), census.owed_stuck)])
            yield f.UNDELIVERABLE.one(census.undeliverable)
        yield f.CREATED.one(tally.created)
        yield f.ENDED.of(((reason,), number) for reason, number in tally.ended.items())
        yield f.LATENESS.distributions([((), tally.lateness)])
        yield f.ATTEMPTS_STARTED.one(tally.attempts_started)
        yield f.ATTEMPTS.of(((outcome,), number) for outcome, number in tally.attempts.items())
        yield f.STUCK.one(tally.stuck)

    def _of_runtime(self, pulse: Pulse) -> Iterator[Metric]:
        yield f.BREAKER.of(((state.value,), float(state is pulse.breaker)) for state in BreakerState)
        yield f.HEARTBEAT.one(max(0.0, time() - pulse.stalled_seconds))
        yield f.SLOTS.one(pulse.slots_in_use)
        yield f.SLOTS_LIMIT.one(pulse.slots)
        yield f.EFFECTS.one(pulse.effects)
        yield f.RESIDENT.one(pulse.resident)
        yield f.PAUSED.one(self._sources.parts.paused())
        yield f.CLOCK_HELD.one(pulse.clock_problem is not None)
        yield f.CLOCK_STEPS.one(pulse.clock_steps)
        yield f.CLOCK_STEP.one(pulse.last_step_ms / 1000)
        yield f.LAG.distributions([((), self._sources.lag.histogram)])
        yield f.COMMIT_SECONDS.distributions([((), pulse.commits.seconds)])
        yield f.COMMIT_SIZE.distributions([((), pulse.commits.operations)])
        yield f.COMMIT_FAILURES.one(pulse.commits.failures)

    def _of_store(self) -> Iterator[Metric]:
        yield f.READABLE.one(self._asked is not None)
        if self._asked is not None:
            yield f.FREE.one(self._asked.free_bytes)
            yield f.BACKUP.one((self._asked.backup_ms or 0) / 1000)

    def _of_requests(self) -> Iterator[Metric]:
        tally = self._sources.tally
        yield f.BACKEND.distributions(tally.calls.items())
        by_route: defaultdict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(SECONDS))
        for (method, path, _), histogram in tally.requests.items():
            by_route[method, path].add(histogram)
        yield f.REQUESTS.of(
            ((method, path, str(status)), sum(histogram.counts))
            for (method, path, status), histogram in tally.requests.items()
        )
        yield f.REQUEST_SECONDS.distributions(by_route.items())
        yield f.BUILD.of([((self._sources.version, platform.python_version()), 1)])
        yield f.STARTED.one(self._started)

    def _of_others(self) -> Iterator[Metric]:
        orphans, endpoints = self._sources.parts.orphans(), () if self._asked is None else self._asked.webhooks
        yield f.ORPHANS.of([] if orphans is None else [((), orphans)])
        yield f.DELIVERIES.of(
            ((each.endpoint, outcome), number) for each in endpoints for outcome, number in each.deliveries.items()
        )
        yield f.DEAD_LETTERS.of(((each.endpoint,), each.dead_letters) for each in endpoints)
        yield f.WEBHOOK_LAG.of(((each.endpoint,), each.lag) for each in endpoints)
