"""The composition root: the only file that knows every concrete class. `service` is what `daemon` keeps running."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import structlog
from aiohttp import web

from actors.alarms import LONGEST_BACKOFF_SECONDS
from actors.clock import Clock, SystemClock
from actors.clock_guard import ClockGuard, GuardLimits
from actors.directory import DataDirectory
from actors.driven import DrivenTime
from actors.observer import open_observer
from actors.runtime import Residency, Runtime
from actors.sqlite import SqliteStore, open_store
from actors.testing import ManualClock
from labsessions import __version__, options
from labsessions.backend import BackendCleaner, open_client
from labsessions.deployments import Deployment, newest
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.feed import Feed
from labsessions.http.admin.act import act_routes
from labsessions.http.admin.deployments import deployments_group
from labsessions.http.admin.group_read import read_group
from labsessions.http.admin.webhooks import webhook_routes
from labsessions.http.app import RECONFIGURE, make_app
from labsessions.http.credentials import UserTokens
from labsessions.http.groups import RouteGroup
from labsessions.http.metrics import metrics_routes
from labsessions.http.options import ApiOptions
from labsessions.http.server import Runner
from labsessions.metrics import Parts, Tally, open_metrics
from labsessions.operators.audit import AuditLog
from labsessions.operators.pausing import Pausing
from labsessions.operators.waiting import Waiting
from labsessions.overview import ServiceOverview
from labsessions.process import address_of, write_ready_file
from labsessions.readiness import ServiceReadiness
from labsessions.repository import EventTail, Repository, StoredSurvey
from labsessions.retention import OLD_EVENTS, OLD_HISTORY, Retention
from labsessions.settings import Settings
from labsessions.webhooks.sender import open_sender
from labsessions.webhooks.service import Webhooks
from labsessions.webhooks.source import StoredSource

DATABASE = "labsessions.db"
# Of the time that a stop may take, this much is for answers under way; the rest is for cleanup attempts. The
# store is closed in what is left over.
HTTP_SHARE = 0.2
EFFECTS_SHARE = 0.5
# What an operator's question may take, and how many may wait for their turn. None is asked by a program every second.
LONGEST_QUESTION_SECONDS = 10.0
QUESTIONS_WAITING = 20

log = structlog.get_logger(__name__)


class Running(NamedTuple):
    """A service that accepts requests at `address`.

    `reconfigure` hands every owner of a setting that may change its new value; `stalled_seconds` is for how long the
    dispatcher of wake-ups has been standing still.
    """

    address: str
    reconfigure: Callable[[Settings], None]
    stalled_seconds: Callable[[], float]


@asynccontextmanager
async def service(
    settings: Settings, clock: ManualClock | None = None, *, heeds_hangup: bool = False
) -> AsyncIterator[Running]:
    """The whole service as long as the block lasts. With a `clock`, time is driven by clients.

    `heeds_hangup`: whether others may be told that this process reads its settings again at SIGHUP.
    Raises actors.errors.StoreError if the data directory cannot be used, OSError if the address cannot.
    """
    async with AsyncExitStack() as stack:
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
        runtime = _runtime(settings, store, clock or SystemClock())
        stack.push_async_callback(runtime.stop, settings.shutdown_seconds * EFFECTS_SHARE)
        feed = Feed()
        webhooks = Webhooks(
            runtime,
            options.endpoints(settings),
            StoredSource(store.query),
            sender,
            random.Random(),  # noqa: S311 - jitter
        )
        stack.push_async_callback(webhooks.stop)

        def announce(user_id: str) -> None:
            feed.announce(user_id)
            webhooks.announce()

        engine = EmbeddedEngine(runtime, cleaner, settings.policy(), announce=announce, happened=tally.happened)
        repository = Repository(store.query, runtime.clock.now_ms, feed)
        retentions = await _retentions(settings, store, runtime, stack)
        missing = options.not_configured(settings.secrets)
        readiness = ServiceReadiness(
            runtime.health,
            repository.counts,
            lambda: asyncio.to_thread(directory.free_bytes),  # a file system that hangs must not stop everything
            missing,
            min_free_bytes=settings.storage.min_free_bytes,
            others=webhooks.problems,
        )

        api = options.api(settings, missing)
        inside = _Inside(
            settings, directory, store, runtime, engine, cleaner, repository, feed, webhooks, readiness, tally
        )
        groups = await _for_operators(inside, api, stack)
        user_tokens = await _user_tokens(settings, engine.now_ms, stack)
        app = make_app(
            engine,
            readiness,
            api,
            None if clock is None else DrivenTime(clock, runtime),
            user_tokens,
            record=repository,
            groups=groups,
            answered=tally.answered,
        )
        runner = Runner(
            app,
            keepalive_timeout=api.idle_seconds,
            access_log=None,  # the handlers write their own lines (CONTRACT §4)
            shutdown_timeout=settings.shutdown_seconds * HTTP_SHARE,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, settings.host, settings.port).start()

        await asyncio.to_thread(deployment.begin)
        address = address_of(settings.host, runner.addresses[0][1])
        log.info("labsessions is listening", address=address, version=__version__, data_dir=str(settings.data_dir))
        _warn(settings)
        await runtime.pause.restore()
        runtime.start()
        if heeds_hangup:
            directory.announce()
        if settings.ready_file is not None:
            await asyncio.sleep(0)  # the log has the address before anybody is told that it may be used
            await asyncio.to_thread(write_ready_file, settings.ready_file, address)

        def reconfigure(new: Settings) -> None:
            missing = options.not_configured(new.secrets)
            client.reconfigure(options.backend(new))
            sender.reconfigure(options.signing(new))
            runtime.reconfigure(options.limits(new), options.breaker(new))
            for retention, days in zip(retentions, _days(new), strict=True):
                retention.reconfigure(days)
            readiness.reconfigure(missing, min_free_bytes=new.storage.min_free_bytes)
            app[RECONFIGURE](
                options.api(new, missing), user_tokens if new.jwt.jwks_url else _own_user_tokens(new, engine.now_ms)
            )
            _warn(new)

        yield Running(address, reconfigure, runtime.stalled_seconds)


class _Inside(NamedTuple):
    """What is behind the front door."""

    settings: Settings
    directory: DataDirectory
    store: SqliteStore
    runtime: Runtime
    engine: EmbeddedEngine
    cleaner: BackendCleaner
    repository: Repository
    feed: Feed
    webhooks: Webhooks
    readiness: ServiceReadiness
    tally: Tally


async def _for_operators(inside: _Inside, api: ApiOptions, stack: AsyncExitStack) -> list[RouteGroup]:
    """The routes by which operators look, act and measure."""
    settings, store, runtime, now_ms = inside.settings, inside.store, inside.runtime, inside.engine.now_ms
    overview = ServiceOverview(
        runtime,
        store.query,
        inside.readiness,
        settings.data_dir,
        __version__,
        last_error=lambda: inside.cleaner.last_error,
        paused=lambda: runtime.pause.current,
    )
    survey = await _survey(settings, store, runtime, stack)
    tail = EventTail(store.query, inside.repository.span, inside.feed)
    audit = AuditLog(store.query, runtime.commit, now_ms)
    metrics = await stack.enter_async_context(
        open_metrics(
            version=__version__,
            slots=settings.cleanup.concurrency,
            tally=inside.tally,
            runtime=runtime,
            query=store.query,
            directory=inside.directory,
            parts=Parts(paused=lambda: runtime.pause.current is not None),
        )
    )
    return [
        read_group(survey, overview, tail, now_ms, api),
        act_routes(inside.engine, audit, Pausing(runtime.pause, audit, now_ms), Waiting(store.query), api),
        webhook_routes(inside.webhooks, api.body_seconds),
        deployments_group(lambda: newest(store.query)),
        metrics_routes(metrics, is_open=settings.metrics.open),
    ]


async def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until the stack is unwound."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)


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
        for kept, days in zip((OLD_EVENTS, OLD_HISTORY), _days(settings), strict=True)
    ]
    for retention in retentions:
        await _in_background(stack, retention.run())
    return retentions


def _days(settings: Settings) -> tuple[float, float]:
    """How long events and history are kept."""
    return settings.events.retention_days, settings.history.retention_days


async def _survey(settings: Settings, store: SqliteStore, runtime: Runtime, stack: AsyncExitStack) -> StoredSurvey:
    """What operators ask of all sessions: on a connection of its own, as some of it takes seconds."""
    observer = await stack.enter_async_context(
        open_observer(settings.data_dir / DATABASE, seconds=LONGEST_QUESTION_SECONDS, waiting=QUESTIONS_WAITING)
    )
    limit_per_second = settings.cleanup.rate_per_second or None
    return StoredSurvey(observer.query, store.query, runtime.clock.now_ms, limit_per_second)


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


async def _user_tokens(settings: Settings, now_ms: Callable[[], int], stack: AsyncExitStack) -> UserTokens | None:
    """What checks the tokens of users; None if they have none."""
    if not settings.jwt.jwks_url:
        return _own_user_tokens(settings, now_ms)
    from labsessions.http.user_tokens import open_user_tokens  # noqa: PLC0415 - see there

    return await stack.enter_async_context(open_user_tokens(options.jwt(settings), now_ms))


def _own_user_tokens(settings: Settings, now_ms: Callable[[], int]) -> UserTokens | None:
    """What checks them by the shared secret, if there is one."""
    if settings.secrets.jwt_key is None:
        return None
    from labsessions.http.user_tokens import shared_user_tokens  # noqa: PLC0415 - see there

    return shared_user_tokens(options.jwt(settings), now_ms)


def _warn(settings: Settings) -> None:
    """Of what is missing, and of what may not have been meant."""
    for name in options.not_configured(settings.secrets):
        log.warning("not configured: sessions are accepted, their cleanup is retried until it is set", setting=name)
    for risk in options.risks(settings):
        log.warning(risk)
