"""The service and the mock backend on a thread of their own, so that tests of any style can use them."""

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from actors.testing import ManualClock
from labsessions import bootstrap, mockbackend
from labsessions.http.driven import ADVANCE
from labsessions.mockbackend import Call, Fault, MockBackend
from labsessions.settings import Settings

Result = TypeVar("Result")

_TOKEN: Final = "token-of-the-mock-backend"  # noqa: S105 - the mock's own
_MINUTES_PER_SECOND: Final = 1 / 60
START_SECONDS: Final = 30.0


class LabService:
    """A service that is running, and what its lab backend was asked. `url` has no slash at its end.

    Time stands still but for `advance`. Quick retries inside one attempt and timeouts of calls take real time.
    """

    def __init__(self, url: str, backend: MockBackend, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self._backend = backend
        self._loop = loop

    def advance(self, *, minutes: float = 0, seconds: float = 0) -> datetime:
        """Let so much time pass, and return the new instant when all has been done that fell due.

        Each session is cleaned up at its own instant, and each retry made at its own. Raises ValueError if it is not
        above 0.
        """
        total = minutes + seconds * _MINUTES_PER_SECOND
        if total <= 0:
            raise ValueError(f"time can only go on, got {total:g} minutes")
        body = json.dumps({"minutes": total}).encode()
        with urllib.request.urlopen(self.url + ADVANCE, body) as answer:  # noqa: S310 - our own address
            return datetime.fromisoformat(json.load(answer)["now"])

    def calls(self, *, vm: str | None = None) -> list[Call]:
        """What the lab backend was asked so far, in order; about this VM (None: any)."""
        return self._ask(lambda: self._backend.calls(lab_request_id=vm))

    @property
    def deleted(self) -> list[str]:
        """The VMs that the backend has deleted, each once, in order."""
        return self._ask(lambda: self._backend.deleted)

    def fail(self, *faults: Fault) -> None:
        """Script what goes wrong at the backend, behind what is scripted already."""
        self._ask(lambda: self._backend.add_fault(*faults))

    def recover(self) -> None:
        """From now on the backend does well."""
        self._ask(self._backend.clear_faults)

    def _ask(self, question: Callable[[], Result]) -> Result:
        async def answer() -> Result:
            return question()

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result()


@contextmanager
def running(data_dir: Path, **settings: Any) -> Iterator[LabService]:
    """Serve on a free port as long as the block lasts, with an empty backend, from the real instant on.

    `data_dir` keeps the sessions: another block with the same one goes on where the last one ended. `settings` are
    those of `labsessions.settings.Settings`, as `api=Api(max_duration_minutes=90)`.
    """
    ready: Future[LabService] = Future()
    over = asyncio.Event()
    thread = threading.Thread(target=lambda: _run(data_dir, settings, ready, over), name="labsessions")
    thread.start()
    try:
        service = ready.result(START_SECONDS)
        try:
            yield service
        finally:
            service._loop.call_soon_threadsafe(over.set)  # noqa: SLF001 - made here
    finally:
        thread.join()


def _run(data_dir: Path, settings: dict[str, Any], ready: "Future[LabService]", over: asyncio.Event) -> None:
    async def serve() -> None:
        async with mockbackend.running(token=_TOKEN) as backend:
            secrets = {"backend_api_url": backend.url, "backend_api_token": _TOKEN}
            # The breaker's pauses are real time, which nobody would want to wait for.
            chosen = {"port": 0, "backend": {"breaker_failures": 0}, **settings, "secrets": secrets}
            wanted = Settings(data_dir=data_dir, **chosen)
            clock = ManualClock(time.time_ns() // 1_000_000)
            async with bootstrap.service(wanted, clock) as service:
                ready.set_result(LabService(service.address, backend, asyncio.get_running_loop()))
                await over.wait()

    try:
        asyncio.run(serve())
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)
