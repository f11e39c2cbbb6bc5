"""How late a cleanup begins while labs come and go all the time: from the deadline to the backend's first call."""

from typing import Final

from labsessions.bench.figures import Result, at_most, less
from labsessions.bench.ledger import Ledger, Record
from labsessions.bench.meter import usage
from labsessions.bench.stage import Stage
from labsessions.bench.stats import percentile
from labsessions.bench.traffic import deleted, steady, take_into

PER_SECOND: Final = 100
LAB_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 30.0
P50_MS, P99_MS = 5.0, 25.0


async def lateness(stage: Stage) -> Result:
    """100 creates a second, and after a few seconds as many expiries."""
    ledger = Ledger()
    async with stage.backend() as backend, stage.service(stage.folder / "lateness", backend) as service:
        record = Record(backend)
        before = usage(service.process.pid)
        creates = await steady(
            service,
            ledger,
            group="lateness",
            per_second=PER_SECOND,
            seconds=stage.sizes.lateness_seconds,
            lab_seconds=LAB_SECONDS,
        )
        await deleted(record, ledger.owed, LAB_SECONDS + GRACE_SECONDS)
        after = usage(service.process.pid)
        await take_into(ledger, record)
        record.close()
    faults = [*creates.faults("create"), *ledger.faults()]
    busy = stage.sizes.lateness_seconds + LAB_SECONDS
    return Result(
        name="lateness",
        title="Deadline to first backend call",
        figures=[
            at_most("p50", percentile(ledger.lateness_ms, 0.50), "ms", P50_MS),
            at_most("p99", percentile(ledger.lateness_ms, 0.99), "ms", P99_MS),
            less("latest", percentile(ledger.lateness_ms, 1), "ms"),
            less("create: p99", creates.latency_ms(0.99), "ms"),
            less("CPU, service", (after.cpu_seconds - before.cpu_seconds) / busy * 100, "%"),
        ],
        faults=faults,
        notes=[f"{PER_SECOND} creates and {PER_SECOND} expiries a second for {stage.sizes.lateness_seconds} s"],
    )
