"""The metrics of a running service: where each number comes from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.directory import DataDirectory
from actors.runtime import Runtime
from labsessions import last_backup
from labsessions.metrics.collector import Asked, Metrics, Parts, Sources
from labsessions.metrics.lag import LoopLag
from labsessions.metrics.stored import take_census
from labsessions.metrics.tally import Tally
from labsessions.repository import Query


@asynccontextmanager
async def open_metrics(
    *,
    version: str,
    tally: Tally,
    runtime: Runtime,
    query: Query,
    directory: DataDirectory,
    parts: Parts = Parts(),  # noqa: B008 - frozen
) -> AsyncIterator[Metrics]:
    """What `/metrics` shows, as long as the block lasts; `version` of the service."""

    async def ask() -> Asked:
        # Threads, as a file system that hangs must not stop everything.
        return Asked(
            census=await take_census(query, runtime.clock.now_ms),
            free_bytes=await asyncio.to_thread(directory.free_bytes),
            backup_ms=await asyncio.to_thread(last_backup.noted, directory.path),
            webhooks=await parts.webhooks(),
        )

    lag = LoopLag()
    sampling = asyncio.create_task(lag.run())
    try:
        yield Metrics(Sources(version=version, tally=tally, lag=lag, pulse=runtime.pulse, ask=ask, parts=parts))
    finally:
        sampling.cancel()
        await asyncio.wait([sampling])
