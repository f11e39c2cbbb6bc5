"""The demo from its first line to its exit status. What is expected is in `scenarios`, who is right in `verdict`."""

import asyncio
import json
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp
from rich.console import Console

from labsessions.children import Child, ChildError, running
from labsessions.demo.client import Client
from labsessions.demo.scenarios import RETRY_SECONDS, RETRY_SPREAD, SCENARIOS, Scenario
from labsessions.demo.screen import Screen, open_console
from labsessions.demo.verdict import Verdict, judge
from labsessions.demo.watch import Watch
from labsessions.process import stop_signal

EXIT_DIFFERENT: Final = 1
EXIT_INTERRUPTED: Final = 130  # what shells say of a process that SIGINT has ended

LOOK_SECONDS: Final = 0.1
TOKEN: Final = "demo-token"  # noqa: S105 - it opens nothing but the mock backend of this run

INTRODUCTION: Final = (
    "Labs of a few seconds each. When the time of one is over, the service has the backend delete its VMs.\n"
    "Left: seconds since the start, who acts, whose lab. It takes about 10 seconds."
)


async def run_demo(scenarios: Sequence[Scenario] = SCENARIOS) -> int:
    """Play the demo on standard output: 0 if all went as expected, 1 if not, 130 if a signal ended it."""
    with stop_signal() as stop:
        # A terminal that is closed: the processes and the folder must go all the same.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set)
        story = asyncio.create_task(_story(open_console(), scenarios))
        story.add_done_callback(lambda _: stop.set())
        try:
            await stop.wait()
        finally:
            interrupted = story.cancel()
            await asyncio.wait({story})
    return EXIT_INTERRUPTED if interrupted else story.result()


async def _story(console: Console, scenarios: Sequence[Scenario]) -> int:
    screen = Screen(console, scenarios)
    screen.say(INTRODUCTION)
    try:
        results = await _played(screen, scenarios)
    except (ChildError, OSError) as error:
        screen.show()
        screen.say(f"The demo has failed: {error}", "bold red")
        return EXIT_DIFFERENT
    screen.table(results)
    different = sum(bool(verdict.differences) for _, verdict in results)
    if different:
        screen.say(f"{different} of {len(results)} scenarios went differently.", "bold red")
        return EXIT_DIFFERENT
    screen.say(f"All {len(results)} scenarios went as expected.", "bold green")
    return 0


async def _played(screen: Screen, scenarios: Sequence[Scenario]) -> list[tuple[Scenario, Verdict]]:
    """Play all scenarios at the same time in a world of their own, show what happens, and judge."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="labsessions-demo-")))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        backend = await stack.enter_async_context(running(folder, "mock-backend", *_backend_arguments(scenarios)))
        service = await stack.enter_async_context(
            running(folder, "serve", "--data-dir", str(folder / "data"), **_service_settings(backend))
        )
        watch = Watch(screen, http, service, backend)
        clients = [Client(http, service.url, scenario, screen) for scenario in scenarios]
        playing = asyncio.gather(*(client.play() for client in clients))
        try:
            while not playing.done():
                await watch.look()
                await asyncio.wait({playing}, timeout=LOOK_SECONDS)
            await playing
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        calls, read_ms = await watch.last_look()
    return [
        (scenario, judge(scenario, client.seen, calls, read_ms))
        for scenario, client in zip(scenarios, clients, strict=True)
    ]


def _backend_arguments(scenarios: Sequence[Scenario]) -> list[str]:
    arguments = ["--token", TOKEN]
    for scenario in scenarios:
        if scenario.failures:
            fault = {"kind": "status", "status": 503, "route": "delete", "times": scenario.failures}
            arguments += ["--fault", json.dumps(fault | {"lab_request_id": scenario.vms[0]})]
    return arguments


def _service_settings(backend: Child) -> dict[str, str]:
    return {
        "BACKEND_API_URL": backend.url,
        "BACKEND_API_TOKEN": TOKEN,
        "LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS": str(RETRY_SECONDS),
        "LABSESSIONS_CLEANUP__RETRY_SPREAD": str(RETRY_SPREAD),
        "LABSESSIONS_BACKEND__QUICK_RETRIES": "0",  # each failure is an attempt of its own, for all to see
        "LABSESSIONS_LOG__FORMAT": "json",
        "LABSESSIONS_SHUTDOWN_SECONDS": "2",
    }
