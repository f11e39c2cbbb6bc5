"""A whole class ends at once: so many sessions due within one second, two backend calls each, while others go on."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Final

from labsessions.bench.database import ended
from labsessions.bench.figures import Figure, Result, at_least, at_most, less, more
from labsessions.bench.flood import Outcome, Request, paced
from labsessions.bench.labs import FAR_MINUTES, Requests, master_of, user_name
from labsessions.bench.ledger import Ledger, Record
from labsessions.bench.load import Pool
from labsessions.bench.meter import MIB, Usage, usage
from labsessions.bench.seed import MS_PER_MINUTE, Waiting, seed
from labsessions.bench.stage import API_TOKEN, Stage
from labsessions.bench.stats import percentile
from labsessions.bench.traffic import deleted, now_ms, take_into
from labsessions.children import Child, ChildError

SPREAD_MS: Final = 1_000
OTHERS: Final = 3_000  # users whose labs go on: to get and to delete meanwhile
OTHERS_PER_SECOND: Final = 100
BEFORE_SECONDS: Final = 1.0  # the others are there before the herd is
SEEDED_PER_SECOND: Final = 3_000  # on a slow machine
START_SECONDS: Final = 5.0

CLEANUPS_PER_SECOND: Final = 2_000
TAKES_SECONDS: Final = 6.0  # 10,000 of them
OTHERS_P99_MS: Final = 100.0
PEAK_MIB: Final = 400.0
SMALL: Final = 10_000  # up to here all have to be done within TAKES_SECONDS


async def herd(stage: Stage) -> Result:
    """One herd after the other, each in a service of its own."""
    figures: list[Figure] = []
    faults: list[str] = []
    for size in stage.sizes.herds:
        stage.say(f"herd of {size:,}")
        of_size, wrong = await _one(stage, size)
        figures += of_size
        faults += [f"{size:,} due: {fault}" for fault in wrong]
    return Result(
        name="herd",
        title="Sessions due within one second",
        figures=figures,
        faults=faults,
        notes=[f"meanwhile {OTHERS_PER_SECOND} creates, gets and deletes a second by others"],
    )


async def _one(stage: Stage, size: int) -> tuple[list[Figure], list[str]]:
    data, ledger = stage.folder / f"herd-{size}", Ledger()
    seconds = (size + OTHERS) / SEEDED_PER_SECOND + START_SECONDS + BEFORE_SECONDS
    due_ms = now_ms() + round(seconds * 1000)
    await seed(data, _sessions(size, due_ms, ledger))
    async with stage.backend() as backend, stage.service(data, backend) as service:
        if (left := due_ms / 1000 - BEFORE_SECONDS - now_ms() / 1000) < 0:
            raise ChildError(f"the herd of {size} could not be made ready within {seconds:.0f} s")
        await asyncio.sleep(left)
        record = Record(backend)
        others = _Others(service)
        going_on = asyncio.create_task(others.go_on())
        before = usage(service.process.pid)
        # A tenth of what is aimed at is slow, but has come to its end.
        await deleted(record, size, BEFORE_SECONDS + 10 * (TAKES_SECONDS + size / CLEANUPS_PER_SECOND))
        after = usage(service.process.pid)
        others.over = True
        outcome = await going_on
        await take_into(ledger, record)
        record.close()
    left_in_store = ended(data, "herd")
    faults = [*outcome.faults("others"), *ledger.faults()]
    if left_in_store != (0, size):
        faults.append(
            f"of {size} sessions {left_in_store.left} are left, and {left_in_store.expired} are in the history"
        )
    return list(_figures(size, due_ms, ledger, outcome, before, after)), faults


def _figures(size: int, due_ms: int, ledger: Ledger, others: Outcome, before: Usage, after: Usage) -> Iterator[Figure]:
    took = max(1, ledger.last_confirmed_ms - due_ms) / 1000
    name, peak_mib = f"{size:,} due", after.peak_bytes / MIB
    yield at_least(f"{name}: cleanups", ledger.confirmed / took, "/s", CLEANUPS_PER_SECOND)
    if size <= SMALL:
        yield at_most(f"{name}: all done after", took, "s", TAKES_SECONDS)
        yield at_most(f"{name}: others' p99", others.latency_ms(0.99), "ms", OTHERS_P99_MS)
        yield less(f"{name}: memory, peak", peak_mib, "MiB")
    else:
        yield less(f"{name}: all done after", took, "s")
        yield less(f"{name}: others' p99", others.latency_ms(0.99), "ms")
        yield at_most(f"{name}: memory, peak", peak_mib, "MiB", PEAK_MIB)
    yield less(f"{name}: others' longest", others.latency_ms(1), "ms")
    yield less(f"{name}: first call p50 late", percentile(ledger.lateness_ms, 0.50), "ms")
    yield less(f"{name}: first call p99 late", percentile(ledger.lateness_ms, 0.99), "ms")
    yield less(f"{name}: last one late", percentile(ledger.lateness_ms, 1), "ms")
    yield less(f"{name}: CPU of a cleanup", (after.cpu_seconds - before.cpu_seconds) * 1e6 / size, "µs")
    yield more(f"{name}: confirmed exactly once", ledger.confirmed)


def _sessions(size: int, due_ms: int, ledger: Ledger) -> Iterator[Waiting]:
    """The herd, due evenly over a second, and the others."""
    created_ms = now_ms()
    for number in range(size):
        user, deadline_ms = user_name("herd", number), due_ms + number * SPREAD_MS // size
        ledger.expect(master_of(user), deadline_ms)
        yield Waiting(user, created_ms, deadline_ms - created_ms)
    for number in range(OTHERS):
        yield Waiting(user_name("other", number), created_ms, FAR_MINUTES * MS_PER_MINUTE)


class _Others:
    """Users whose labs go on; `over` ends their requests."""

    def __init__(self, service: Child) -> None:
        self._service = service
        self.over = False

    async def go_on(self) -> Outcome:
        """Create, get and delete until it is over."""
        pool = Pool(self._service.url)
        try:
            return await paced(pool, self._requests(), OTHERS_PER_SECOND)
        finally:
            pool.close()

    def _requests(self) -> Iterator[Request]:
        """By turns; half of the users that are there are only looked at, the others are deleted one by one."""
        to_send = Requests(self._service.url, API_TOKEN)
        looked_at = OTHERS // 2
        for number in count():
            if self.over:
                return
            yield to_send.create(user_name("newcomer", number))
            yield to_send.get(user_name("other", number % looked_at))
            if looked_at + number < OTHERS:
                yield to_send.delete(user_name("other", looked_at + number))
