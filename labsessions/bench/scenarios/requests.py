"""Create, get and delete with 64 connections, against the bare server in the same run.

Service and ceiling take turns in short rounds, and the ratio is the median of the rounds' own ratios: what else the
machine is doing meanwhile troubles both alike.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Final, Literal, NamedTuple, get_args

from labsessions.bench.figures import Figure, Result, at_least, at_most, less, more
from labsessions.bench.flood import Outcome, Request, flood
from labsessions.bench.labs import Requests, user_name
from labsessions.bench.meter import usage
from labsessions.bench.stage import API_TOKEN, Stage
from labsessions.children import Child

Kind = Literal["create", "get", "delete"]

RATIOS: Final[dict[Kind, float]] = {"create": 0.50, "get": 0.65, "delete": 0.45}
CREATE_P99_MS: Final = 40.0


class Round(NamedTuple):
    """What one flood showed; CPU seconds and bytes are those of the server's process."""

    outcome: Outcome
    cpu_seconds: float
    written_bytes: int

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU for one request."""
        return self.cpu_seconds * 1e6 / len(self.outcome.latencies)


async def requests(stage: Stage) -> Result:
    """Rounds of distinct users: created, got, deleted."""
    seen: dict[tuple[str, Kind], list[Round]] = defaultdict(list)
    async with (
        stage.backend() as backend,
        stage.bare() as bare,
        stage.service(stage.folder / "requests", backend) as service,
    ):
        servers = {"bare": (bare, Requests(bare.url)), "service": (service, Requests(service.url, API_TOKEN))}
        # The round before the first warms everything up: connections, caches, SQLite's pages, the CPU's clock.
        for number in range(stage.sizes.rounds + 1):
            users = [user_name(f"requests-{number}", each) for each in range(stage.sizes.requests)]
            for name, (server, to_send) in servers.items():
                for kind in get_args(Kind):
                    measured = await _measured(server, [getattr(to_send, kind)(user) for user in users])
                    if number:
                        seen[name, kind].append(measured)
    kinds: tuple[Kind, ...] = get_args(Kind)
    return Result(
        name="requests",
        title="Create, get, delete with 64 connections",
        figures=[
            *(figure for kind in kinds for figure in _figures(kind, seen["service", kind], seen["bare", kind])),
            less("load client: busiest", _busiest_percent(each for rounds in seen.values() for each in rounds), "%"),
        ],
        faults=[
            fault
            for (name, kind), rounds in seen.items()
            for each in rounds
            for fault in each.outcome.faults(f"{name}, {kind}")
        ],
        notes=[f"medians of {stage.sizes.rounds} rounds of {stage.sizes.requests} requests of each kind"],
    )


async def _measured(server: Child, to_send: list[Request]) -> Round:
    before = usage(server.process.pid)
    outcome = await flood(server.url, to_send)
    after = usage(server.process.pid)
    return Round(outcome, after.cpu_seconds - before.cpu_seconds, after.written_bytes - before.written_bytes)


def _busiest_percent(rounds: Iterable[Round]) -> float:
    """How much of its core the client needed at most. Near 100 it was the limit, and the ratios are too good."""
    return max(100 * each.outcome.client_cpu_seconds / each.outcome.seconds for each in rounds)


def _figures(kind: Kind, service: list[Round], bare: list[Round]) -> Iterator[Figure]:
    pairs = list(zip(service, bare, strict=True))
    ratio = median(ours.outcome.per_second / ceiling.outcome.per_second for ours, ceiling in pairs)
    p99_ms = median(each.outcome.latency_ms(0.99) for each in service)
    service_cpu_us, bare_cpu_us = (median(each.cpu_us for each in rounds) for rounds in (service, bare))
    yield more(f"{kind}: service", median(each.outcome.per_second for each in service), "/s")
    yield more(f"{kind}: bare aiohttp", median(each.outcome.per_second for each in bare), "/s")
    yield at_least(f"{kind}: ratio", ratio, "×", RATIOS[kind])
    yield less(f"{kind}: p50", median(each.outcome.latency_ms(0.50) for each in service), "ms")
    yield (
        at_most(f"{kind}: p99", p99_ms, "ms", CREATE_P99_MS) if kind == "create" else less(f"{kind}: p99", p99_ms, "ms")
    )
    yield less(f"{kind}: longest", max(each.outcome.latency_ms(1) for each in service), "ms")
    yield less(f"{kind}: CPU, service", service_cpu_us, "µs")
    yield less(f"{kind}: CPU, bare aiohttp", bare_cpu_us, "µs")
    yield more(f"{kind}: ratio of CPU", bare_cpu_us / service_cpu_us if service_cpu_us else 0, "×")
    if kind != "get":
        written = median(each.written_bytes / len(each.outcome.latencies) for each in service)
        yield less(f"{kind}: written to disk", written, "B")
