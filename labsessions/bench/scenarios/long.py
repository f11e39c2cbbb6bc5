"""A long run at a steady rate: whether memory, the write-ahead log and the file level off.

The history is kept for ever, so the file grows by one line for each session that has ended. Whether freed pages are
used again shows in that it doesn't grow by more. The service may use all cores, as an operator's may: the rate is about
what one core carries, and a run that falls behind tells nothing of what levels off.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from labsessions.bench.database import history_line_bytes, pages
from labsessions.bench.figures import Result, at_most, less, plain
from labsessions.bench.flood import Outcome
from labsessions.bench.ledger import Ledger, Record
from labsessions.bench.meter import MIB, usage
from labsessions.bench.stage import Stage
from labsessions.bench.stats import growth, percentile, slope
from labsessions.bench.traffic import deleted, now_ms, steady, take_into
from labsessions.children import Child

LAB_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 60.0
SAMPLES: Final = 120  # in all; a sample costs the load's core some milliseconds
SHORTEST_PAUSE_SECONDS: Final = 0.5
LEVEL_PERCENT: Final = 5.0
# What is no growth: the allocator's ups and downs, and a transaction or two more before SQLite's checkpoint at 4 MiB.
MEMORY_SLACK: Final = 8 * MIB
WAL_SLACK: Final = 1 * MIB
LINES: Final = 2.0  # what a line of history may take of the file: pages of an index in random order are two thirds full


class Sample(NamedTuple):
    """One look; `ended` counts the labs that were confirmed by then."""

    rss_bytes: int
    wal_bytes: int
    file_bytes: int
    free_bytes: int
    ended: int


async def long(stage: Stage) -> Result:
    """So many creates and expiries a second, for minutes or hours."""
    data, ledger, sizes = stage.folder / "long", Ledger(), stage.sizes
    seconds = sizes.long_minutes * 60
    samples: list[Sample] = []
    async with stage.backend() as backend, stage.service(data, backend, all_cores=True) as service:
        record = Record(backend)
        pause = max(seconds / SAMPLES, SHORTEST_PAUSE_SECONDS)
        sampling = asyncio.create_task(_sample(samples, pause, data, service, ledger, record))
        before = usage(service.process.pid)
        try:
            creates = await steady(
                service,
                ledger,
                group="long",
                per_second=sizes.long_per_second,
                seconds=seconds,
                lab_seconds=LAB_SECONDS,
            )
        finally:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
        after = usage(service.process.pid)
        await deleted(record, len(creates.latencies), LAB_SECONDS + GRACE_SECONDS)
        await take_into(ledger, record)
        record.close()
        line_bytes = history_line_bytes(data)
    cpu_percent = (after.cpu_seconds - before.cpu_seconds) / seconds * 100
    return _result(stage, samples, ledger, creates, line_bytes, cpu_percent)


async def _sample(
    samples: list[Sample], pause: float, data: Path, service: Child, ledger: Ledger, record: Record
) -> None:
    while True:
        await asyncio.sleep(pause)
        await take_into(ledger, record)
        ledger.settle(now_ms() - round(GRACE_SECONDS * 1000))
        file = pages(data)
        rss_bytes = usage(service.process.pid).rss_bytes
        samples.append(Sample(rss_bytes, file.wal_bytes, file.file_bytes, file.free_bytes, ledger.confirmed))


def _result(
    stage: Stage, samples: list[Sample], ledger: Ledger, creates: Outcome, line_bytes: float, cpu_percent: float
) -> Result:
    sizes = stage.sizes
    last = samples[-1] if samples else Sample(0, 0, 0, 0, 0)
    per_ended = slope([(each.ended, each.file_bytes) for each in samples])
    return Result(
        name="long",
        title=f"{sizes.long_minutes:g} minutes at {sizes.long_per_second} creates and expiries a second",
        figures=[
            at_most(
                "memory: growth", 100 * growth([each.rss_bytes for each in samples], MEMORY_SLACK), "%", LEVEL_PERCENT
            ),
            less("memory: at the end", last.rss_bytes / MIB, "MiB"),
            at_most("WAL: growth", 100 * growth([each.wal_bytes for each in samples], WAL_SLACK), "%", LEVEL_PERCENT),
            less("WAL: largest", max((each.wal_bytes for each in samples), default=0) / MIB, "MiB"),
            at_most("file: growth per ended session", per_ended, "B", LINES * line_bytes),
            less("file: at the end", last.file_bytes / MIB, "MiB"),
            plain("file: free pages", last.free_bytes / MIB, "MiB"),
            less("create: p99", creates.latency_ms(0.99), "ms"),
            less("first call p50 late", percentile(ledger.lateness_ms, 0.50), "ms"),
            less("first call p99 late", percentile(ledger.lateness_ms, 0.99), "ms"),
            less("CPU, service", cpu_percent, "%"),
            plain("sessions confirmed exactly once", ledger.confirmed),
        ],
        faults=[*creates.faults("create"), *ledger.faults()],
        notes=[
            "the service may use all cores",
            "growth: the largest of the last third over the largest of the middle one",
            f"the file's target is {LINES:g} × a line of history, which is kept for ever",
        ],
    )
