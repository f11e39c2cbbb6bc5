"""The composition root: the only file that knows every concrete class. `serve` is the life of the process."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from actors.admission import Limits
from actors.alarms import LONGEST_BACKOFF_SECONDS
from actors.breaker import BreakerLimits
from actors.clock import Clock, SystemClock
from actors.clock_guard import ClockGuard, GuardLimits
from actors.directory import DataDirectory
from actors.driven import DrivenTime
from actors.observer import open_observer
from actors.runtime import Residency, Runtime
from actors.sqlite import SqliteStore, open_store
from actors.testing import ManualClock
from labsessions import __version__
from labsessions.backend import BackendSettings, open_cleaner
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.feed import Feed
from labsessions.http.admin.act import act_routes
from labsessions.http.admin.group_read import read_group
from labsessions.http.admin.webhooks import webhook_routes
from labsessions.http.app import make_app
from labsessions.http.credentials import UserTokens
from labsessions.http.groups import RouteGroup
from labsessions.http.metrics import metrics_routes
from labsessions.http.options import ApiOptions, JwtOptions
from labsessions.http.server import Runner
from labsessions.metrics import Tally, open_metrics
from labsessions.operators.audit import AuditLog
from labsessions.operators.pausing import Pausing
from labsessions.operators.waiting import Waiting
from labsessions.overview import ServiceOverview
from labsessions.process import address_of, calm_collector, open_many_files, stop_signal, write_ready_file
from labsessions.readiness import ServiceReadiness
from labsessions.repository import EventTail, Repository, StoredSurvey
from labsessions.retention import OLD_EVENTS, OLD_HISTORY, Retention
from labsessions.settings import Secrets, Settings
from labsessions.settings.model import is_loopback
from labsessions.webhooks.sender import Endpoint, open_sender
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


async def serve(settings: Settings, clock: ManualClock | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop: finish or release what is in flight, clean up nothing.

    With a `clock`, time is driven by clients. Raises actors.errors.StoreError if the data directory cannot be used,
    OSError if the address cannot.
    """
    open_many_files()
    with stop_signal() as stop:
        async with service(settings, clock):
            calm_collector()
            await stop.wait()
            log.info("stopping")
    log.info("stopped")


@asynccontextmanager
async def service(settings: Settings, clock: ManualClock | None = None) -> AsyncIterator[str]:
    """The whole service as long as the block lasts; yields the address at which it accepts requests.

    With a `clock`, time is driven by clients.
    """
    async with AsyncExitStack() as stack:
        directory = DataDirectory(settings.data_dir)
        directory.claim()
        stack.callback(directory.release)
        tally = Tally()
        store = await open_store(settings.data_dir / DATABASE, (schema(),))
        cleaner = await stack.enter_async_context(open_cleaner(_backend(settings), called=tally.called))
        sender = await stack.enter_async_context(open_sender(_signing(settings)))
        runtime = _runtime(settings, store, clock or SystemClock())
        stack.push_async_callback(runtime.stop, settings.shutdown_seconds * EFFECTS_SHARE)
        feed = Feed()
        webhooks = Webhooks(runtime, _endpoints(settings), StoredSource(store.query), sender, random.Random())  # noqa: S311 - jitter
        stack.push_async_callback(webhooks.stop)

        def announce(user_id: str) -> None:
            feed.announce(user_id)
            webhooks.announce()

        engine = EmbeddedEngine(runtime, cleaner, settings.policy(), announce=announce, happened=tally.happened)
        repository = Repository(store.query, runtime.clock.now_ms, feed)
        await _prune(stack, settings, store, runtime)
        missing = _not_configured(settings.secrets)
        readiness = ServiceReadiness(
            runtime.health,
            repository.counts,
            lambda: asyncio.to_thread(directory.free_bytes),  # a file system that hangs must not stop everything
            missing,
            min_free_bytes=settings.storage.min_free_bytes,
            others=webhooks.problems,
        )
        options = _api(settings, missing)
        survey = await _survey(settings, store, runtime, stack)
        overview = ServiceOverview(
            runtime,
            store.query,
            readiness,
            settings.data_dir,
            __version__,
            last_error=lambda: cleaner.last_error,
            paused=lambda: runtime.pause.current,
        )
        tail = EventTail(store.query, repository.span, feed)
        metrics = await stack.enter_async_context(
            open_metrics(
                version=__version__,
                slots=settings.cleanup.concurrency,
                tally=tally,
                runtime=runtime,
                query=store.query,
                directory=directory,
            )
        )
        user_tokens = await _user_tokens(settings, engine.now_ms, stack)
        runner = Runner(
            make_app(
                engine,
                readiness,
                options,
                None if clock is None else DrivenTime(clock, runtime),
                user_tokens,
                record=repository,
                groups=(
                    _operators_routes(engine, store, runtime, options),
                    read_group(survey, overview, tail, engine.now_ms, options),
                    metrics_routes(metrics, is_open=settings.metrics.open),
                    webhook_routes(webhooks, options.body_seconds),
                ),
                answered=tally.answered,
            ),
            keepalive_timeout=options.idle_seconds,
            access_log=None,  # the handlers write their own lines (CONTRACT §4)
            shutdown_timeout=settings.shutdown_seconds * HTTP_SHARE,
        )
        await webhooks.start()
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, settings.host, settings.port).start()
        address = address_of(settings.host, runner.addresses[0][1])
        log.info("labsessions is listening", address=address, version=__version__, data_dir=str(settings.data_dir))
        for name in missing:
            log.warning("not configured: sessions are accepted, their cleanup is retried until it is set", setting=name)
        for risk in _risks(settings):
            log.warning(risk)
        await runtime.pause.restore()
        runtime.start()
        if settings.ready_file is not None:
            await asyncio.sleep(0)  # the log has the address before anybody is told that it may be used
            await asyncio.to_thread(write_ready_file, settings.ready_file, address)
        yield address


async def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until the stack is unwound."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)


async def _survey(settings: Settings, store: SqliteStore, runtime: Runtime, stack: AsyncExitStack) -> StoredSurvey:
    """What operators ask of all sessions: on a connection of its own, as some of it takes seconds."""
    observer = await stack.enter_async_context(
        open_observer(settings.data_dir / DATABASE, seconds=LONGEST_QUESTION_SECONDS, waiting=QUESTIONS_WAITING)
    )
    limit_per_second = settings.cleanup.rate_per_second or None
    return StoredSurvey(observer.query, store.query, runtime.clock.now_ms, limit_per_second)


async def _prune(stack: AsyncExitStack, settings: Settings, store: SqliteStore, runtime: Runtime) -> None:
    """Delete what is old, each kind by a task of its own."""
    for kept, days in ((OLD_EVENTS, settings.events.retention_days), (OLD_HISTORY, settings.history.retention_days)):
        if days:
            retention = Retention(
                store.query,
                runtime.commit,
                runtime.clock.now_ms,
                busy=lambda: len(runtime.effects) > 0,
                days=days,
                kept=kept,
            )
            await _in_background(stack, retention.run())


def _runtime(settings: Settings, store: SqliteStore, clock: Clock) -> Runtime:
    cleanup = settings.cleanup
    limits = GuardLimits(settings.clock.largest_step_seconds, settings.clock.hold_seconds)
    # A clock that is driven by hand says nothing of the machine's.
    guard = ClockGuard(clock, settings.data_dir, limits) if isinstance(clock, SystemClock) else None
    return Runtime(
        store,
        clock,
        limits=Limits(
            slots=cleanup.concurrency,
            slow_after_seconds=cleanup.slow_after_seconds,
            slow_slots=cleanup.slow_concurrency,
            rate_per_second=cleanup.rate_per_second,
        ),
        breaker=_breaker(settings),
        residency=Residency(
            idle_seconds=settings.actors.idle_seconds,
            max_resident=settings.actors.max_resident,
        ),
        guard=guard,
        longest_backoff_seconds=min(LONGEST_BACKOFF_SECONDS, cleanup.retry_interval_seconds),
    )


def _breaker(settings: Settings) -> BreakerLimits:
    """Whoever wants to try again soon doesn't want to wait long for a probe."""
    longest_seconds = min(settings.backend.breaker_longest_pause_seconds, settings.cleanup.retry_interval_seconds / 2)
    return BreakerLimits(
        failures=settings.backend.breaker_failures,
        pause_seconds=min(settings.backend.breaker_pause_seconds, longest_seconds),
        longest_pause_seconds=longest_seconds,
    )


def _backend(settings: Settings) -> BackendSettings:
    secrets, backend, cleanup = settings.secrets, settings.backend, settings.cleanup
    return BackendSettings(
        url=secrets.backend_api_url,
        token=None if secrets.backend_api_token is None else secrets.backend_api_token.get_secret_value(),
        call_timeout_seconds=backend.call_timeout_seconds,
        gone_statuses=cleanup.gone_statuses,
        quick_retries=backend.quick_retries,
        max_response_bytes=backend.max_response_bytes,
        # An attempt makes one call at a time, so nothing ever queues for a connection.
        max_connections=cleanup.concurrency + cleanup.slow_concurrency,
    )


def _api(settings: Settings, missing: tuple[str, ...]) -> ApiOptions:
    return ApiOptions(
        version=__version__,
        tokens=tuple(token.get_secret_value() for token in settings.secrets.api_tokens),
        admin_tokens=tuple(token.get_secret_value() for token in settings.secrets.admin_tokens),
        cors_origins=settings.api.cors_origins,
        rate_per_second=settings.api.rate_per_second,
        rate_burst=settings.api.rate_burst,
        max_body_bytes=settings.api.max_body_bytes,
        max_duration_minutes=settings.api.max_duration_minutes,
        heartbeat_seconds=settings.events.heartbeat_seconds,
        streams_per_user=settings.events.streams_per_user,
        not_configured=missing,
    )


def _operators_routes(engine: EmbeddedEngine, store: SqliteStore, runtime: Runtime, options: ApiOptions) -> RouteGroup:
    """By which operators act."""
    audit = AuditLog(store.query, runtime.commit, engine.now_ms)
    return act_routes(engine, audit, Pausing(runtime.pause, audit, engine.now_ms), Waiting(store.query), options)


async def _user_tokens(settings: Settings, now_ms: Callable[[], int], stack: AsyncExitStack) -> UserTokens | None:
    """What checks the tokens of users; None if they have none."""
    if not settings.users_have_tokens:
        return None
    from labsessions.http.user_tokens import open_user_tokens  # noqa: PLC0415 - see there

    key, jwt = settings.secrets.jwt_key, settings.jwt
    options = JwtOptions(
        issuer=jwt.issuer,
        audience=jwt.audience,
        jwks_url=jwt.jwks_url,
        hs256_key="" if key is None else key.get_secret_value(),
    )
    return await stack.enter_async_context(open_user_tokens(options, now_ms))


def _signing(settings: Settings) -> dict[str, list[str]]:
    """The secrets of each webhook."""
    secrets = settings.secrets.webhooks
    return {name: [secret.get_secret_value() for secret in each] for name, each in secrets.items()}


def _endpoints(settings: Settings) -> list[Endpoint]:
    return [
        Endpoint(
            name=webhook.name,
            url=webhook.url,
            events=webhook.types,
            from_beginning=webhook.start == "beginning",
            timeout_seconds=webhook.timeout_seconds,
            give_up_ms=webhook.give_up_ms,
        )
        for webhook in settings.webhooks
    ]


def _risks(settings: Settings) -> Iterator[str]:
    """What an operator may have chosen without meaning it."""
    if settings.users_have_tokens and "*" in settings.api.cors_origins:
        yield "users have tokens, and pages of any origin may use them: set api.cors_origins to your front end's origin"
    url = urlsplit(settings.jwt.jwks_url)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield "jwt.jwks_url is not https: whoever is on the way to it can make tokens of any user"
    for webhook in settings.webhooks:
        url = urlsplit(webhook.url)
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield f"the webhook {webhook.name} is not https: whoever is on the way to it can read events of users"


def _not_configured(secrets: Secrets) -> tuple[str, ...]:
    wanted = {"BACKEND_API_URL": secrets.backend_api_url, "BACKEND_API_TOKEN": secrets.backend_api_token}
    return tuple(name for name, value in wanted.items() if value is None)
