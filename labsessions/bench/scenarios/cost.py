"""What one session costs when it is alone: commits, pages, calls to the backend. Many share commits, and cost less."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from labsessions.bench.database import Wal, wal
from labsessions.bench.figures import Figure, Result, less
from labsessions.bench.flood import Outcome, Request, paced
from labsessions.bench.labs import Requests, user_name
from labsessions.bench.ledger import Counts, Record
from labsessions.bench.load import Pool
from labsessions.bench.stage import API_TOKEN, Stage
from labsessions.bench.traffic import SECONDS_PER_MINUTE, deleted

LAB_SECONDS: Final = 2.0
GRACE_SECONDS: Final = 30.0
PER_SECOND: Final = 20  # so that each has had its commits before the next one comes
COMMIT_SECONDS: Final = 0.5  # from the backend's last answer until it is stored


class Spent(NamedTuple):
    """What was used up so far."""

    wal: Wal
    counts: Counts


async def cost(stage: Stage) -> Result:
    """Sessions one after the other: created, deleted, and created for a few seconds to expire."""
    data, count = stage.folder / "cost", stage.sizes.single
    figures: list[Figure] = []
    faults: list[str] = []
    async with stage.backend() as backend, stage.service(data, backend) as service:
        record, pool, to_send = Record(backend), Pool(service.url), Requests(service.url, API_TOKEN)

        async def one_by_one(group: str, kind: Callable[[str], Request]) -> Outcome:
            return await paced(pool, [kind(user_name(group, each)) for each in range(count)], PER_SECOND)

        def short(user: str) -> Request:
            return to_send.create(user, LAB_SECONDS / SECONDS_PER_MINUTE)

        spent = await _spent(data, record)
        for name, group, kind in (
            ("create", "kept", to_send.create),
            ("get", "kept", to_send.get),
            ("delete", "kept", to_send.delete),
            ("cleanup", "short", short),
        ):
            outcome = await one_by_one(group, kind)
            faults += outcome.faults(name)
            if name == "cleanup":
                spent = await _spent(data, record)  # creating them was counted before
                await deleted(record, count, LAB_SECONDS + GRACE_SECONDS)
                await asyncio.sleep(COMMIT_SECONDS)
            before, spent = spent, await _spent(data, record)
            figures += _figures(name, before, spent, count)
        record.close()
        pool.close()
    return Result(
        name="cost",
        title="What one session costs",
        figures=figures,
        faults=faults,
        notes=[f"{count} sessions one after the other; commits and pages as they stand in the write-ahead log"],
    )


async def _spent(data: Path, record: Record) -> Spent:
    return Spent(wal(data), await record.counts())


def _figures(name: str, before: Spent, after: Spent, count: int) -> list[Figure]:
    calls = less(f"{name}: backend calls", (after.counts.calls - before.counts.calls) / count)
    if before.wal.salts not in {b"", after.wal.salts}:
        return [calls]  # the log was begun again meanwhile: what stood in it can't be told any more
    return [
        less(f"{name}: commits", (after.wal.commits - before.wal.commits) / count),
        less(f"{name}: pages written", (after.wal.pages - before.wal.pages) / count),
        less(f"{name}: bytes written", (after.wal.written_bytes - before.wal.written_bytes) / count, "B"),
        calls,
    ]
