"""A start with a million waiting sessions, some of them overdue: when it answers, when it makes up for lost time."""

import asyncio
import socket
from time import perf_counter
from typing import Final

from labsessions.bench.figures import Result, at_most, less, plain
from labsessions.bench.labs import OK, Requests, master_of, user_name
from labsessions.bench.ledger import Ledger, Record
from labsessions.bench.load import LoadError, Pool
from labsessions.bench.scenarios.waiting import filled
from labsessions.bench.seed import Waiting, seed
from labsessions.bench.stage import Stage
from labsessions.bench.traffic import deleted, now_ms

HOUR_MS: Final = 3_600_000
POLL_SECONDS: Final = 0.002
PATIENCE_SECONDS: Final = 60.0
FIRST_ANSWER_SECONDS: Final = 1.0
FIRST_CLEANUP_SECONDS: Final = 1.5


async def start(stage: Stage) -> Result:
    """From the moment at which the process is made."""
    sizes, ledger = stage.sizes, Ledger()
    data = await filled(stage, "many", sizes.waiting)
    now = now_ms()
    overdue = [Waiting(user_name("overdue", each), now - HOUR_MS - each, HOUR_MS) for each in range(sizes.overdue)]
    await seed(data, overdue)
    port = _free_port()
    async with stage.backend() as backend:
        began_ms, began = now_ms(), perf_counter()
        async with stage.service_starting(data, backend, port) as service:
            await _answers(f"http://127.0.0.1:{port}")
            answered = perf_counter() - began
            await service.serving()
            record = Record(backend)
            await deleted(record, sizes.overdue, PATIENCE_SECONDS)
            for user, created_ms, duration_ms in overdue:
                ledger.expect(master_of(user), created_ms + duration_ms)
            calls = await record.take()
            record.close()
    for call in calls:
        ledger.note(call)
    first_ms = min((call.at_ms for call in calls), default=began_ms)
    return Result(
        name="start",
        title=f"Start with {sizes.waiting:,} waiting sessions",
        figures=[
            at_most("first answer", answered, "s", FIRST_ANSWER_SECONDS),
            at_most("first overdue cleanup", (first_ms - began_ms) / 1000, "s", FIRST_CLEANUP_SECONDS),
            less("all overdue done", (ledger.last_confirmed_ms - began_ms) / 1000, "s"),
            plain("overdue", sizes.overdue),
        ],
        faults=ledger.faults(),
        notes=["from the start of the process; the system has read the file before"],
    )


async def _answers(url: str) -> None:
    """Return with the first answer of `/health`. Raises LoadError if there is none."""
    pool, health = Pool(url), Requests(url).bytes("GET", "/health")
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    if (await pool.ask(health)).status == OK:
                        return
                except LoadError:
                    await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise LoadError(f"no answer within {PATIENCE_SECONDS:.0f} s of the start") from None
    finally:
        pool.close()


def _free_port() -> int:
    """A port that was free a moment ago. Known before the start, so that nothing has to be read to find it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
