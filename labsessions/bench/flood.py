"""Two ways to send many requests: as fast as so many connections can (`flood`), or so many a second (`paced`).

Each answer is compared with what was expected; a benchmark of wrong answers is worth nothing.
"""

import asyncio
import gc
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Final, NamedTuple

from labsessions.bench.load import Answer, Connection, LoadError, Pool, connect
from labsessions.bench.stats import percentile

CONNECTIONS: Final = 64
SHOWN_CHARS: Final = 200  # of a wrong answer


class Request(NamedTuple):
    """The bytes to send, and what has to come back: the status, and something that must be in the body."""

    data: bytes
    status: int
    within: bytes


@dataclass(slots=True)
class Outcome:
    """What came of many requests: seconds from the first to the last, each latency in seconds, what was wrong.

    `client_cpu_seconds`: what the client itself has used; near `seconds`, the client was the limit.
    """

    seconds: float = 0.0
    client_cpu_seconds: float = 0.0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    wrong: int = 0
    first_wrong: str = ""

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def latency_ms(self, share: float) -> float:
        """The latency that this share of the requests did not exceed."""
        return percentile(self.latencies, share) * 1000

    def note(self, request: Request, answer: Answer | LoadError, seconds: float) -> None:
        """Count one answer."""
        self.latencies.append(seconds)
        if isinstance(answer, LoadError):
            self._wrong(str(answer))
        elif answer.status != request.status or request.within not in answer.body:
            self._wrong(f"{answer.status} {answer.body[:SHOWN_CHARS]!r}")

    def _wrong(self, text: str) -> None:
        self.wrong += 1
        self.first_wrong = self.first_wrong or text

    def faults(self, what: str) -> list[str]:
        """In words what was wrong, if anything."""
        if not self.wrong:
            return []
        return [f"{what}: {self.wrong} of {len(self.latencies)} answers were wrong, the first: {self.first_wrong}"]


async def flood(url: str, requests: Iterable[Request], connections: int = CONNECTIONS) -> Outcome:
    """Send all requests, a next one on each connection as soon as it has its answer. LoadError without connections."""
    outcome = Outcome()
    opened = await asyncio.gather(*(connect(url) for _ in range(connections)))
    # A pass of the collector over all the requests that were made ahead would be taken for the server's.
    gc.disable()
    started, cpu_started = perf_counter(), process_time()
    try:
        left = iter(requests)
        await asyncio.gather(*(_keep_busy(connection, left, outcome) for connection in opened))
        outcome.seconds = perf_counter() - started
        outcome.client_cpu_seconds = process_time() - cpu_started
    finally:
        gc.enable()
        for connection in opened:
            connection.close()
    return outcome


def _keep_busy(connection: Connection, requests: Iterator[Request], outcome: Outcome) -> asyncio.Future[None]:
    """Done when there are no more requests. Without a task: one that is woken costs more than the request itself."""
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send_next() -> None:
        request = next(requests, None)
        if request is None:
            if not finished.done():
                finished.set_result(None)
            return
        sent = perf_counter()

        def done(answer: Answer | LoadError) -> None:
            outcome.note(request, answer, perf_counter() - sent)
            # With a connection that is gone, the rest of its requests would fail at once: others shall have them.
            if isinstance(answer, LoadError):
                finished.set_result(None)
            else:
                send_next()

        connection.send(request.data, done)

    send_next()
    return finished


async def paced(
    pool: Pool,
    requests: Iterable[Request],
    per_second: float,
    seen: Callable[[Request, Answer], None] | None = None,
) -> Outcome:
    """Send so many requests a second, however slow the answers are; latencies count from when each was to be sent.

    `seen` is called with each answer.
    """
    outcome = Outcome()
    started = perf_counter()

    async def one(request: Request, due: float) -> None:
        answer: Answer | LoadError
        try:
            answer = await pool.ask(request.data)
        except LoadError as error:
            answer = error
        outcome.note(request, answer, perf_counter() - due)
        if seen is not None and not isinstance(answer, LoadError):
            seen(request, answer)

    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            due = started + number / per_second
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(one(request, due))
    outcome.seconds = perf_counter() - started
    return outcome
