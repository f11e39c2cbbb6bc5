"""Behind the front door: the data, and what works on it."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

from actors.alarms import LONGEST_BACKOFF_SECONDS
from actors.clock import Clock, SystemClock
from actors.clock_guard import ClockGuard, GuardLimits
from actors.directory import DataDirectory
from actors.runtime import Residency, Runtime
from actors.sqlite import SqliteStore, open_store
from labsessions import options
from labsessions.backend import BackendCleaner, BackendClient, open_client
from labsessions.deployments import Deployment
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.feed import Feed
from labsessions.metrics import Tally
from labsessions.readiness import ServiceReadiness
from labsessions.repository import Repository
from labsessions.retention import OLD_EVENTS, OLD_HISTORY, Retention
from labsessions.settings import Settings
from labsessions.webhooks.sender import Sender, open_sender
from labsessions.webhooks.service import Webhooks
from labsessions.webhooks.source import StoredSource

DATABASE: Final = "labsessions.db"
# Of the time that a stop may take, for cleanup attempts; the store is closed in what is left over.
EFFECTS_SHARE: Final = 0.5


class Inside(NamedTuple):
    """What is behind the front door."""

    settings: Settings
    directory: DataDirectory
    store: SqliteStore
    deployment: Deployment
    tally: Tally
    client: BackendClient
    cleaner: BackendCleaner
    runtime: Runtime
    sender: Sender
    webhooks: Webhooks
    feed: Feed
    engine: EmbeddedEngine
    repository: Repository
    retentions: list[Retention]
    readiness: ServiceReadiness


async def open_inside(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Inside:
    """Open the data and what works on it; nothing is delivered yet."""
    directory = DataDirectory(settings.data_dir)
    directory.claim()
    stack.callback(directory.release)
    store = await open_store(settings.data_dir / DATABASE, (schema(),))
    deployment = Deployment(settings.data_dir / DATABASE, settings, SystemClock().now_ms)
    stack.push_async_callback(asyncio.to_thread, deployment.end)

    tally = Tally()
    client = await stack.enter_async_context(open_client(options.backend(settings), called=tally.called))
    cleaner = BackendCleaner(client)
    sender = await stack.enter_async_context(open_sender(options.signing(settings)))
    runtime = _runtime(settings, store, clock)
    stack.push_async_callback(runtime.stop, settings.shutdown_seconds * EFFECTS_SHARE)
    webhooks = Webhooks(
        runtime,
        options.endpoints(settings),
        StoredSource(store.query),
        sender,
        random.Random(),  # noqa: S311 - jitter
    )
    stack.push_async_callback(webhooks.stop)
    feed = Feed()

    def announce(user_id: str) -> None:
        feed.announce(user_id)
        webhooks.announce()

    engine = EmbeddedEngine(runtime, cleaner, settings.policy(), announce=announce, happened=tally.happened)
    repository = Repository(store.query, runtime.clock.now_ms, feed)
    retentions = await _retentions(settings, store, runtime, stack)
    readiness = ServiceReadiness(
        runtime.health,
        repository.counts,
        lambda: asyncio.to_thread(directory.free_bytes),  # a file system that hangs must not stop everything
        options.not_configured(settings.secrets),
        min_free_bytes=settings.storage.min_free_bytes,
        others=webhooks.problems,
    )
    return Inside(
        settings=settings,
        directory=directory,
        store=store,
        deployment=deployment,
        tally=tally,
        client=client,
        cleaner=cleaner,
        runtime=runtime,
        sender=sender,
        webhooks=webhooks,
        feed=feed,
        engine=engine,
        repository=repository,
        retentions=retentions,
        readiness=readiness,
    )


def _runtime(settings: Settings, store: SqliteStore, clock: Clock) -> Runtime:
    limits = GuardLimits(settings.clock.largest_step_seconds, settings.clock.hold_seconds)
    # A clock that is driven by hand says nothing of the machine's.
    guard = ClockGuard(clock, settings.data_dir, limits) if isinstance(clock, SystemClock) else None
    return Runtime(
        store,
        clock,
        limits=options.limits(settings),
        breaker=options.breaker(settings),
        residency=Residency(
            idle_seconds=settings.actors.idle_seconds,
            max_resident=settings.actors.max_resident,
        ),
        guard=guard,
        longest_backoff_seconds=min(LONGEST_BACKOFF_SECONDS, settings.cleanup.retry_interval_seconds),
    )


async def _retentions(
    settings: Settings, store: SqliteStore, runtime: Runtime, stack: AsyncExitStack
) -> list[Retention]:
    """What deletes old rows, each kind in a task of its own."""
    retentions = [
        Retention(
            store.query,
            runtime.commit,
            runtime.clock.now_ms,
            busy=lambda: len(runtime.effects) > 0,
            days=days,
            kept=kept,
        )
        for kept, days in zip((OLD_EVENTS, OLD_HISTORY), days_kept(settings), strict=True)
    ]
    for retention in retentions:
        await _in_background(stack, retention.run())
    return retentions


def days_kept(settings: Settings) -> tuple[float, float]:
    """How long events and history are kept."""
    return settings.events.retention_days, settings.history.retention_days


async def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until the stack is unwound."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)
