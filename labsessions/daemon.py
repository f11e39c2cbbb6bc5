"""The life of the process around the service: signals, the supervisor, settings that are read again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

from actors.testing import ManualClock
from labsessions.bootstrap import Running, service
from labsessions.logs import Logging
from labsessions.process import calm_collector, open_many_files, reload_signal, stop_signal
from labsessions.readiness import STALLED_SECONDS
from labsessions.reload import Reload
from labsessions.settings import Settings
from labsessions.supervisor import Supervisor

log = structlog.get_logger(__name__)


async def serve(
    settings: Settings,
    clock: ManualClock | None = None,
    *,
    environ: Mapping[str, str],
    read: Callable[[], Settings],
    logging: Logging,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop: finish or release what is in flight, clean up nothing.

    At SIGHUP the settings are `read` again. With a `clock`, time is driven by clients. `environ` says where a
    supervisor listens. Raises actors.errors.StoreError if the data directory cannot be used, OSError if the address
    cannot.
    """
    open_many_files()
    supervisor = Supervisor(environ)
    with stop_signal() as stop, reload_signal(stop) as asked:
        async with service(settings, clock, heeds_hangup=True) as running:
            calm_collector()
            reload = Reload(settings, read, lambda new: _apply(new, running, logging))
            async with (
                _beside(_reload_when(asked, reload, supervisor)),
                _beside(supervisor.watch(lambda: running.stalled_seconds() < STALLED_SECONDS)),
            ):
                supervisor.ready()
                await stop.wait()
            log.info("stopping")
            supervisor.stopping()
    log.info("stopped")


def _apply(settings: Settings, running: Running, logging: Logging) -> None:
    logging.reconfigure(settings.log.level, settings.secrets.to_redact())  # first: what follows may speak of them
    running.reconfigure(settings)


async def _reload_when(asked: asyncio.Event, reload: Reload, supervisor: Supervisor) -> None:
    """As often as it is asked for, until cancelled."""
    while True:
        await asked.wait()
        asked.clear()
        supervisor.reloading()
        try:
            await reload.once()
        except Exception:  # a bug in here must not end what can be asked again
            log.exception("settings could not be reloaded")
        supervisor.ready()


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do the work as long as the block lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
