"""The real thing for acceptance tests: `run.py` as processes, spoken to over HTTP. Waiting is for a condition."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parent.parent
# Generous: a loaded machine starts a Python process in seconds. Nothing waits that long unless it has failed.
DEADLINE_SECONDS = 30.0
POLL_SECONDS = 0.01

# What a process gets of our environment: enough to start Python, and coverage's own variables.
INHERITED = ("PATH", "HOME", "LANG", "SYSTEMROOT", "COVERAGE_")
# As most systems have it: what the service makes would be readable for all.
UMASK = 0o022

SESSION = "/api/v1/labs/sessions"


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true value of `condition`, or a failure that names `what` was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not (value := await condition()):  # noqa: ASYNC110 - what another process does sets no event
                await asyncio.sleep(POLL_SECONDS)
            return value
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s in vain for: {what}") from None


class Process:
    """`python run.py …` with a clean environment plus `env`, its output in a file."""

    def __init__(self, folder: Path, name: str, *arguments: str, **env: str) -> None:
        self._folder = folder
        self._ready = folder / f"{name}.ready"
        self.log_file = folder / f"{name}.log"
        self._arguments = arguments
        self.env = env
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def launch(self) -> None:
        """Start it without waiting until it serves."""
        self._ready.unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / "run.py"),
                *self._arguments,
                "--ready-file",
                str(self._ready),
                cwd=self._folder,
                env={**inherited, **self.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=UMASK,
            )

    async def start(self) -> None:
        """Start it and return when it serves; `url` then says where."""
        await self.launch()
        await until(self._serves, f"{self._arguments} to serve; it said: {self.log_file.read_text()[-2000:]}")

    async def _serves(self) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise AssertionError(f"exit {self._process.returncode}: {self.log_file.read_text()[-3000:]}")
        self.url = self._ready.read_text().strip() if self._ready.exists() else ""
        return bool(self.url)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit status; harmless if it has ended."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await asyncio.wait_for(self._process.wait(), DEADLINE_SECONDS)

    def send(self, what: signal.Signals) -> None:
        """Send a signal that it lives on after."""
        assert self._process is not None
        self._process.send_signal(what)

    async def kill(self) -> None:
        """SIGKILL: no chance to say goodbye."""
        await self.end(signal.SIGKILL)

    async def restart(self) -> None:
        """SIGKILL, and start again on the same data."""
        await self.kill()
        await self.start()

    async def exit_status(self) -> int:
        """Wait for the end of a process that is expected to end by itself."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), DEADLINE_SECONDS)

    def log(self) -> str:
        """All it has written so far, over all its starts."""
        return self.log_file.read_text()


class Client:
    """A front end: the four routes, answers as (status, body)."""

    def __init__(self, http: aiohttp.ClientSession, service: Process) -> None:
        self._http = http
        self._service = service

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Raises aiohttp.ClientError if there was no answer."""
        async with self._http.request(method, self._service.url + path, json=body) as response:
            return response.status, await response.json()

    async def create(self, user: str, **changes: Any) -> tuple[int, Any]:
        """POST a lab of `user` with a VM `vm-<user>`."""
        return await self.call("POST", SESSION, {**lab_body(user), **changes})

    async def get(self, user: str) -> tuple[int, Any]:
        """GET the user's session."""
        return await self.call("GET", f"{SESSION}/user/{user}")

    async def put(self, user: str, **changes: Any) -> tuple[int, Any]:
        """PUT changes of the user's session."""
        return await self.call("PUT", f"{SESSION}/{user}", changes)

    async def extend(self, user: str, **wanted: Any) -> tuple[int, Any]:
        """POST for more or less time."""
        return await self.call("POST", f"{SESSION}/{user}/extend", wanted)

    async def delete(self, user: str) -> tuple[int, Any]:
        """DELETE the user's session by hand."""
        return await self.call("DELETE", f"{SESSION}/{user}")

    async def gone(self, user: str) -> bool:
        """Whether the user has no session."""
        status, _ = await self.get(user)
        return status == 404


class Backend:
    """The mock backend's process, seen from a test."""

    def __init__(self, http: aiohttp.ClientSession, process: Process) -> None:
        self._http = http
        self.process = process

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.process.url

    async def calls(self, route: str | None = None, vm: str | None = None) -> list[dict[str, Any]]:
        """Its record of calls, in order of arrival."""
        async with self._http.get(self.url + "/__calls") as response:
            calls = await response.json()
        return [c for c in calls if route in {None, c["route"]} and vm in {None, c["lab_request_id"]}]

    async def fault(self, **fault: Any) -> None:
        """Script a fault."""
        async with self._http.post(self.url + "/__faults", json=fault) as response:
            assert response.status < 300, await response.text()

    async def heal(self) -> None:
        """Forget all faults."""
        async with self._http.delete(self.url + "/__faults") as response:
            assert response.status < 300, await response.text()


def lab_body(user: str) -> dict[str, Any]:
    """A valid body of POST with a deadline far away."""
    return {
        "labId": "lab-1",
        "labTitle": "Kubernetes basics",
        "labGroupID": "group-1",
        "moduleID": "module-1",
        "duration": 600,
        "activatedAt": "2026-11-23T10:00:00Z",
        "counterID": "counter-1",
        "configId": "config-1",
        "workerConfigId": "worker-config-1",
        "lab_request_id": f"vm-{user}",
        "user_id": user,
        "terminal_url": "https://terminal.example/1",
        "validation": 0,
        "vm": {"name": "master", "network_id": "net-1", "netbird_ip": "100.64.0.1"},
    }


def workers(*ids: str) -> list[dict[str, str]]:
    """Worker nodes with these VM ids."""
    return [{"name": vm, "worker_lab_request_id": vm, "network_id": "net-1", "netbird_ip": "100.64.0.2"} for vm in ids]


@asynccontextmanager
async def world(folder: Path, *flags: str, **env: str) -> AsyncIterator[tuple[Process, Client, Backend]]:
    """A mock backend and a service that uses it, both running; `flags` and `env` are the service's."""
    backend = Process(folder, "backend", "mock-backend", "--port", "0")
    async with aiohttp.ClientSession() as http:
        try:
            await backend.start()
            configured = {"BACKEND_API_URL": backend.url, "BACKEND_API_TOKEN": "test-token", **env}
            service = Process(
                folder, "service", "serve", "--port", "0", "--data-dir", str(folder / "data"), *flags, **configured
            )
            try:
                await service.start()
                yield service, Client(http, service), Backend(http, backend)
            finally:
                await service.end()
        finally:
            await backend.end()
