"""Where a scenario plays: a folder, the sizes of the run, and the servers as processes on cores of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labsessions.bench.machine import Placement
from labsessions.bench.sizes import Sizes
from labsessions.children import Child, started

API_TOKEN: Final = "bench-api-token"  # noqa: S105 - it opens nothing but the service of this run
BACKEND_TOKEN: Final = "bench-backend-token"  # noqa: S105 - likewise the mock backend
# Longer than the service may take: one that is killed would leave its WAL behind, which isn't what is measured.
STOP_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of the benchmark. `say` tells the viewer what is going on."""

    folder: Path
    sizes: Sizes
    placement: Placement
    say: Callable[[str], None]

    @asynccontextmanager
    async def backend(self) -> AsyncIterator[Child]:
        """The mock backend, with an empty record."""
        arguments = ("--port", "0", "--token", BACKEND_TOKEN)
        async with started(self.folder, "mock-backend", *arguments, cores=self.placement.load) as child:
            await child.serving()
            yield child

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[Child]:
        """The ceiling (see `bare`)."""
        async with started(self.folder, "bare", module="labsessions.bench", cores=self.placement.server) as child:
            await child.serving()
            yield child

    @asynccontextmanager
    async def service(self, data: Path, backend: Child, *, all_cores: bool = False) -> AsyncIterator[Child]:
        """The service as in production, serving: its defaults, a token, JSON lines to a file, data in `data`."""
        async with self.service_starting(data, backend, port=0, all_cores=all_cores) as child:
            await child.serving()
            yield child

    @asynccontextmanager
    async def service_starting(
        self, data: Path, backend: Child, port: int, *, all_cores: bool = False
    ) -> AsyncIterator[Child]:
        """The same, from the moment at which its process exists."""
        async with started(
            self.folder,
            "serve",
            *("--port", str(port), "--data-dir", str(data)),
            cores=self.placement.all if all_cores else self.placement.server,
            stop_seconds=STOP_SECONDS,
            settings={
                "BACKEND_API_URL": backend.url,
                "BACKEND_API_TOKEN": BACKEND_TOKEN,
                "API_TOKEN": API_TOKEN,
                "LABSESSIONS_LOG__FORMAT": "json",
            },
        ) as child:
            yield child
