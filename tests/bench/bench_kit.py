"""What tests of the benchmark share: a server that answers by script, and the smallest of all runs."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from labsessions.bench.figures import Figure, Report, Result
from labsessions.bench.sizes import Sizes

TINY = Sizes(
    rounds=1,
    requests=70,  # more than there are connections
    herds=(50,),
    lateness_seconds=1,
    waiting=300,
    idle_seconds=1,
    overdue=20,
    few=100,
    growth_rounds=1,
    growth_requests=100,
    long_per_second=50,
    long_minutes=0.05,
    single=2,
)


@asynccontextmanager
async def scripted(answers: Iterable[bytes]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that sends these bytes by turns, one piece for each thing it is sent; an empty one closes instead.

    Yields its address and what it was sent.
    """
    left, received = iter(answers), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                received.append(data)
                answer = next(left)
                if not answer:
                    return
                writer.write(answer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", received
    finally:
        server.close()
        await asyncio.sleep(0)


def http(body: bytes = b"{}", status: int = 200) -> bytes:
    """An answer as a server sends it."""
    return f"HTTP/1.1 {status} Some Words\r\nServer: test\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def report(*results: Result, machine: dict[str, str | int | float] | None = None, quick: bool = False) -> Report:
    """A report of these results."""
    return Report(
        date="2026-01-01T00:00:00+00:00",
        commit="abc",
        quick=quick,
        machine={"cpu": "a CPU"} if machine is None else machine,
        results=list(results),
    )


def result(*figures: Figure, name: str = "requests", faults: Iterable[str] = ()) -> Result:
    """The result of a scenario."""
    return Result(name=name, title=name, figures=list(figures), faults=list(faults))
