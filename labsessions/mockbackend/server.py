"""Serves the mock backend: inside a test (`running`) or as a process of its own (`serve`)."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from labsessions.mockbackend.app import BACKEND, Backend, make_app
from labsessions.mockbackend.faults import Fault, Route
from labsessions.mockbackend.inventory import Vm
from labsessions.mockbackend.record import Call
from labsessions.process import address_of, stop_signal, write_ready_file

SHUTDOWN_SECONDS: Final = 1.0  # no handler outlives the stop signal; this is for clients that don't read their answer


class MockBackend:
    """A mock backend that is running: what a test sees of it. The address is `url`, without a slash at its end."""

    def __init__(self, url: str, backend: Backend) -> None:
        self.url = url
        self._backend = backend

    def calls(self, *, route: Route | None = None, lab_request_id: str | None = None) -> list[Call]:
        """The calls so far in order of arrival, on this route and for this VM (None: any)."""
        return self._backend.record.calls(route=route, lab_request_id=lab_request_id)

    async def wait_for_calls(self, n: int, *, route: Route | None = None, timeout: float = 5.0) -> list[Call]:  # noqa: ASYNC109 - a deadline belongs to every wait of a test
        """Wait until n calls have arrived, answered or not. Raises TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            return await self._backend.record.wait_for_calls(n, route=route)

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._backend.record.clear()

    def add_fault(self, *faults: Fault) -> None:
        """Script faults, behind those that are there already."""
        self._backend.script.add(faults)

    def clear_faults(self) -> None:
        """From now on all goes well."""
        self._backend.script.clear()

    def put_vms(self, *vms: Vm) -> None:
        """Put VMs on the backend's list, until they are deleted."""
        self._backend.inventory.put(vms)

    @property
    def deleted(self) -> list[str]:
        """The VMs whose deletion was carried out, each once, in order."""
        return list(self._backend.record.vms_deleted)

    @property
    def max_concurrent_deletes(self) -> int:
        """The most deletions that were in flight at the same time."""
        return self._backend.record.max_concurrent_deletes


@asynccontextmanager
async def running(
    *, host: str = "127.0.0.1", port: int = 0, token: str | None = None, faults: Iterable[Fault] = ()
) -> AsyncIterator[MockBackend]:
    """Serve a mock backend as long as the block lasts; port 0 chooses a free one. Raises OSError if it is taken."""
    app = make_app(token, faults=faults)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield MockBackend(address_of(host, runner.addresses[0][1]), app[BACKEND])
    finally:
        await runner.cleanup()


async def serve(host: str, port: int, ready_file: Path | None, token: str | None, faults: Iterable[Fault] = ()) -> None:
    """Serve until SIGTERM or SIGINT, then return.

    The first line of the output is the address; `ready_file` gets it as `http://host:port` once calls are accepted.
    Raises OSError if the address is taken or the file cannot be written.
    """
    with stop_signal() as stop:
        async with running(host=host, port=port, token=token, faults=faults) as mock:
            sys.stdout.write(f"mock lab backend listening on {mock.url}\n")
            sys.stdout.flush()
            if ready_file is not None:
                write_ready_file(ready_file, mock.url)
            await stop.wait()
