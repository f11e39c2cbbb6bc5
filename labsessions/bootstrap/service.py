"""The service as a whole: what is inside, the front door, and what is handed over when settings change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

import structlog
from aiohttp import web

from actors.clock import SystemClock
from actors.driven import DrivenTime
from actors.testing import ManualClock
from labsessions import __version__, options
from labsessions.bootstrap.inside import days_kept, open_inside
from labsessions.bootstrap.operators import for_operators
from labsessions.http.app import RECONFIGURE, make_app
from labsessions.http.credentials import UserTokens
from labsessions.http.server import Runner
from labsessions.process import address_of, write_ready_file
from labsessions.settings import Settings

# Of the time that a stop may take, for answers under way; more is for cleanup attempts.
HTTP_SHARE: Final = 0.2

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
        inside = await open_inside(settings, clock or SystemClock(), stack)
        engine, runtime = inside.engine, inside.runtime
        api = options.api(settings, options.not_configured(settings.secrets))
        user_tokens = await _user_tokens(settings, engine.now_ms, stack)
        app = make_app(
            engine,
            inside.readiness,
            api,
            None if clock is None else DrivenTime(clock, runtime),
            user_tokens,
            record=inside.repository,
            groups=await for_operators(inside, api, stack),
            answered=inside.tally.answered,
        )
        runner = Runner(
            app,
            keepalive_timeout=api.idle_seconds,
            access_log=None,  # the handlers write their own lines (CONTRACT §4)
            shutdown_timeout=settings.shutdown_seconds * HTTP_SHARE,
        )
        await inside.webhooks.start()
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, settings.host, settings.port).start()

        await asyncio.to_thread(inside.deployment.begin)
        address = address_of(settings.host, runner.addresses[0][1])
        log.info("labsessions is listening", address=address, version=__version__, data_dir=str(settings.data_dir))
        _warn(settings)
        await runtime.pause.restore()
        runtime.start()
        if heeds_hangup:
            inside.directory.announce()
        if settings.ready_file is not None:
            await asyncio.sleep(0)  # the log has the address before anybody is told that it may be used
            await asyncio.to_thread(write_ready_file, settings.ready_file, address)

        def reconfigure(new: Settings) -> None:
            missing = options.not_configured(new.secrets)
            inside.client.reconfigure(options.backend(new))
            inside.sender.reconfigure(options.signing(new))
            runtime.reconfigure(options.limits(new), options.breaker(new))
            for retention, days in zip(inside.retentions, days_kept(new), strict=True):
                retention.reconfigure(days)
            inside.readiness.reconfigure(missing, min_free_bytes=new.storage.min_free_bytes)
            app[RECONFIGURE](
                options.api(new, missing), user_tokens if new.jwt.jwks_url else _own_user_tokens(new, engine.now_ms)
            )
            _warn(new)

        yield Running(address, reconfigure, runtime.stalled_seconds)


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
