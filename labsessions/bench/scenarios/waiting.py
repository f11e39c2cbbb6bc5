"""A million sessions that wait: memory, disk, and what the service does while there is nothing to do."""

import asyncio
from pathlib import Path
from typing import Final

from labsessions.bench.database import pages
from labsessions.bench.figures import Result, at_most, less, plain
from labsessions.bench.labs import FAR_MINUTES, user_name
from labsessions.bench.meter import MIB, usage
from labsessions.bench.seed import MS_PER_MINUTE, Waiting, seed
from labsessions.bench.stage import Stage
from labsessions.bench.traffic import now_ms

USERS: Final = "waiting"
SETTLE_SECONDS: Final = 3.0  # what belongs to the start is over by then
MEMORY_MIB: Final = 300.0
DISK_BYTES: Final = 2_560
IDLE_CPU_PERCENT: Final = 1.0


async def filled(stage: Stage, name: str, size: int) -> Path:
    """A data directory with so many waiting sessions: made when it is first asked for, and shared by scenarios."""
    data = stage.folder / name
    if not data.exists():
        stage.say(f"filling a store with {size:,} sessions")
        created_ms = now_ms()
        duration_ms = FAR_MINUTES * MS_PER_MINUTE
        await seed(data, (Waiting(user_name(USERS, number), created_ms, duration_ms) for number in range(size)))
    return data


async def waiting(stage: Stage) -> Result:
    """Start on the full store, and watch."""
    size = stage.sizes.waiting
    data = await filled(stage, "many", size)
    async with stage.backend() as backend, stage.service(data, backend) as service:
        await asyncio.sleep(SETTLE_SECONDS)
        before = usage(service.process.pid)
        await asyncio.sleep(stage.sizes.idle_seconds)
        after = usage(service.process.pid)
        on_disk = pages(data)
    idle_percent = (after.cpu_seconds - before.cpu_seconds) / stage.sizes.idle_seconds * 100
    return Result(
        name="waiting",
        title=f"{size:,} waiting sessions",
        figures=[
            at_most("memory", after.rss_bytes / MIB, "MiB", MEMORY_MIB),
            less("memory, peak", after.peak_bytes / MIB, "MiB"),
            at_most("disk per session", (on_disk.file_bytes + on_disk.wal_bytes) / size, "B", DISK_BYTES),
            at_most("idle CPU", idle_percent, "%", IDLE_CPU_PERCENT),
            plain("sessions", size),
        ],
        notes=[f"idle for {stage.sizes.idle_seconds} s; ids of users are random, as they are in life"],
    )
