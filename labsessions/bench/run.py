"""One run of the benchmark from its options to its exit status: 1 if anything was lost, wrong or doubled, else 0.

Slowness is no fault: what is met and what isn't stands in the report.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import msgspec
import uvloop
from msgspec import structs
from rich.console import Console

from actors.errors import StoreError
from labsessions.bench.compare import show_changes
from labsessions.bench.figures import Report, Result
from labsessions.bench.load import LoadError
from labsessions.bench.machine import choose_placement, commit, describe, on_cores
from labsessions.bench.options import Options
from labsessions.bench.report import show
from labsessions.bench.scenarios import SCENARIOS, Scenario
from labsessions.bench.stage import Stage
from labsessions.children import ChildError
from labsessions.process import stop_signal

EXIT_WRONG: Final = 1
EXIT_INTERRUPTED: Final = 130  # what shells say of a process that SIGINT has ended
PIPED_COLUMNS: Final = 120


def run_bench(options: Options, console: Console | None = None, scenarios: Mapping[str, Scenario] = SCENARIOS) -> int:
    """Run, print the report (None: to standard output), write it as JSON if asked to; the exit status."""
    console = console or _console()
    report = uvloop.run(_unless_stopped(_measured(options, console, scenarios)))
    if report is None:
        return EXIT_INTERRUPTED
    show(report, console)
    if options.earlier is not None:
        show_changes(options.earlier, report, options.tolerance, console)
    if options.json_file is not None:
        options.json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return EXIT_WRONG if any(result.faults for result in report.results) else 0


async def _unless_stopped(measuring: Coroutine[None, None, Report]) -> Report | None:
    """The report, or None if a signal came first. The processes and the folder are gone in either case."""
    with stop_signal() as stop:
        running = asyncio.create_task(measuring)
        running.add_done_callback(lambda _: stop.set())
        await stop.wait()
        interrupted = running.cancel()
        await asyncio.wait({running})
    return None if interrupted else running.result()


def _console() -> Console:
    """A terminal has its own width; in a file nothing is cut."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_COLUMNS)


async def _measured(options: Options, console: Console, scenarios: Mapping[str, Scenario]) -> Report:
    placement = choose_placement()
    # Of the code that is measured: an hour later there may be another one.
    begun, measured = datetime.now(UTC), commit()
    with TemporaryDirectory(prefix="labsessions-bench-", dir=options.folder) as path, on_cores(placement.load):
        folder = Path(path)
        stage = Stage(folder, options.sizes, placement, lambda text: console.print(f"… {text}", style="dim"))
        machine = describe(placement, folder)
        results = [await _one(name, play, stage) for name, play in scenarios.items() if name in options.scenarios]
    return Report(
        date=begun.isoformat(timespec="seconds"),
        commit=measured,
        quick=options.quick,
        machine=machine,
        results=results,
    )


async def _one(name: str, play: Scenario, stage: Stage) -> Result:
    """A scenario that cannot be played to its end is a fault of its own; the others are played all the same."""
    stage.say(name)
    started = perf_counter()
    try:
        result = await play(stage)
    except (ChildError, LoadError, StoreError, OSError) as error:
        result = Result(name=name, title=name, figures=[], faults=[f"{type(error).__name__}: {error}"])
    return structs.replace(result, seconds=round(perf_counter() - started, 1))
