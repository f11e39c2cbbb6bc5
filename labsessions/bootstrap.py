"""The composition root: the only file that knows every concrete class. `serve` is the life of the process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from actors.admission import Limits
from actors.alarms import LONGEST_BACKOFF_SECONDS
from actors.breaker import BreakerLimits, BreakerState
from actors.clock import Clock, SystemClock
from actors.clock_guard import ClockGuard, GuardLimits
from actors.directory import DataDirectory
from actors.driven import DrivenTime
from actors.runtime import Residency, Runtime
from actors.sqlite import SqliteStore, open_store
from actors.testing import ManualClock
from labsessions import __version__, logs
from labsessions.backend import BackendCleaner, BackendClient, BackendInventory, BackendSettings, open_client
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.feed import Feed
from labsessions.http.admin.log import LogRoutes
from labsessions.http.admin.orphans import OrphanRoutes
from labsessions.http.app import make_app
from labsessions.http.credentials import UserTokens
from labsessions.http.options import ApiOptions, JwtOptions
from labsessions.http.server import Runner
from labsessions.orphans import OrphanHunt
from labsessions.process import address_of, calm_collector, open_many_files, stop_signal, write_ready_file
from labsessions.readiness import ServiceReadiness
from labsessions.repository import Repository
from labsessions.retention import Retention
from labsessions.settings import Secrets, Settings
from labsessions.settings.model import is_loopback

DATABASE = "labsessions.db"
# Of the time that a stop may take, this much is for answers under way; the rest is for cleanup attempts. The
# store is closed in what is left over.
HTTP_SHARE = 0.2
EFFECTS_SHARE = 0.5

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
        store = await open_store(settings.data_dir / DATABASE, (schema(),))
        client = await stack.enter_async_context(open_client(_backend(settings)))
        cleaner = BackendCleaner(client)
        runtime = _runtime(settings, store, clock or SystemClock())
        stack.push_async_callback(runtime.stop, settings.shutdown_seconds * EFFECTS_SHARE)
        feed = Feed()
        engine = EmbeddedEngine(runtime, cleaner, settings.policy(), announce=feed.announce)
        repository = Repository(store.query, runtime.clock.now_ms, feed)
        if settings.events.retention_days:
            await _in_background(stack, _retention(settings, store, runtime).run())
        missing = _not_configured(settings.secrets)
        readiness = ServiceReadiness(
            runtime.health,
            repository.counts,
            lambda: asyncio.to_thread(directory.free_bytes),  # a file system that hangs must not stop everything
            missing,
            min_free_bytes=settings.storage.min_free_bytes,
        )
        options = _api(settings, missing)
        user_tokens = await _user_tokens(settings, engine.now_ms, stack)
        log_routes = LogRoutes(logs.live, options)
        orphans = _orphans(settings, client, store, repository, runtime)
        runner = Runner(
            make_app(
                engine,
                readiness,
                options,
                None if clock is None else DrivenTime(clock, runtime),
                user_tokens,
                record=repository,
                groups=(log_routes.group(), OrphanRoutes(orphans, options).group()),
            ),
            keepalive_timeout=options.idle_seconds,
            access_log=None,  # the handlers write their own lines (CONTRACT §4)
            shutdown_timeout=settings.shutdown_seconds * HTTP_SHARE,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(log_routes.end)
        await web.TCPSite(runner, settings.host, settings.port).start()
        address = address_of(settings.host, runner.addresses[0][1])
        log.info("labsessions is listening", address=address, version=__version__, data_dir=str(settings.data_dir))
        for name in missing:
            log.warning("not configured: sessions are accepted, their cleanup is retried until it is set", setting=name)
        for risk in _risks(settings):
            log.warning(risk)
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


def _retention(settings: Settings, store: SqliteStore, runtime: Runtime) -> Retention:
    return Retention(
        store.query,
        runtime.commit,
        runtime.clock.now_ms,
        busy=lambda: len(runtime.effects) > 0,
        days=settings.events.retention_days,
    )


def _orphans(
    settings: Settings, client: BackendClient, store: SqliteStore, repository: Repository, runtime: Runtime
) -> OrphanHunt | None:
    """What finds VMs that nobody speaks of; None where the backend has no list."""
    if not settings.backend.list_path:
        return None

    def held() -> str | None:
        return None if runtime.breaker.state is BreakerState.CLOSED else "the backend is down (circuit breaker)"

    inventory = BackendInventory(client, settings.backend.list_path)
    return OrphanHunt(inventory, client, store.query, repository.span, runtime.clock.now_ms, held)


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


def _risks(settings: Settings) -> Iterator[str]:
    """What an operator may have chosen without meaning it."""
    if settings.users_have_tokens and "*" in settings.api.cors_origins:
        yield "users have tokens, and pages of any origin may use them: set api.cors_origins to your front end's origin"
    url = urlsplit(settings.jwt.jwks_url)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield "jwt.jwks_url is not https: whoever is on the way to it can make tokens of any user"


def _not_configured(secrets: Secrets) -> tuple[str, ...]:
    wanted = {"BACKEND_API_URL": secrets.backend_api_url, "BACKEND_API_TOKEN": secrets.backend_api_token}
    return tuple(name for name, value in wanted.items() if value is None)
