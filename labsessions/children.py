"""Commands of labsessions as processes of their own, ended whatever happens to the one who started them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

import labsessions

START_SECONDS: Final = 10.0  # a loaded machine starts a Python process in seconds
STOP_SECONDS: Final = 4.0  # both commands end at once when nothing is in flight
POLL_SECONDS: Final = 0.05
SAID_CHARS: Final = 2000  # of the output of a process that failed: its last words

# What the viewer's environment may say of another service must not reach this one.
SETTINGS: Final = ("LABSESSIONS_", "BACKEND_API_", "API_TOKEN", "CREDENTIALS_DIRECTORY")


class ChildError(Exception):
    """A process that is needed doesn't serve, or not as it should; the text says why."""


class Child:
    """A running command: its process, where it serves, and what it has written."""

    def __init__(self, process: asyncio.subprocess.Process, ready: Path, output: Path) -> None:
        self.process = process
        self.url = ""
        self._ready = ready
        self._output = output
        self._read = 0

    async def serving(self, seconds: float = START_SECONDS) -> None:
        """Return when it serves; `url` says where from then on. Raises ChildError after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._ready.exists() and self.process.returncode is None:  # noqa: ASYNC110 - no event of ours
                    await asyncio.sleep(POLL_SECONDS)
        if not self._ready.exists():
            raise ChildError(f"{self._output.stem} does not serve; it said:\n{self.said()[-SAID_CHARS:]}")
        self.url = self._ready.read_text("utf-8").strip()

    def said(self) -> str:
        """All that it has written so far."""
        return self._output.read_text("utf-8", errors="replace")

    def new_lines(self) -> list[str]:
        """The whole lines that it has written since this was last asked."""
        new = self._output.read_bytes()[self._read :]
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode(errors="replace").splitlines()


@asynccontextmanager
async def running(folder: Path, command: str, *arguments: str, **settings: str) -> AsyncIterator[Child]:
    """`python -m labsessions COMMAND …` as long as the block lasts, with its files in `folder`.

    `command` must have a `--ready-file`. Raises ChildError if it doesn't serve within START_SECONDS.
    """
    async with started(folder, command, "--port", "0", *arguments, settings=settings) as child:
        await child.serving()
        yield child


@asynccontextmanager
async def started(
    folder: Path,
    command: str,
    *arguments: str,
    module: str = "labsessions",
    cores: frozenset[int] | None = None,
    stop_seconds: float = STOP_SECONDS,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Child]:
    """`python -m MODULE COMMAND …` as long as the block lasts, whether it serves yet or not.

    `cores` are the ones that it may run on (None: any), `settings` go into its environment. It is killed if it has not
    ended `stop_seconds` after it was asked to.
    """
    ready, output = folder / f"{command}.ready", folder / f"{command}.log"
    ready.unlink(missing_ok=True)  # of a process that ran here before
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, command, "--ready-file", str(ready), *arguments),
            cwd=folder,
            env={**_environment(), **settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        if cores is not None:
            # Python has not even begun to start: its threads, which inherit this, are still to come.
            os.sched_setaffinity(process.pid, cores)
        yield Child(process, ready, output)
    finally:
        await _end(process, stop_seconds)


async def _end(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Ask it to stop, then make it. Also when we are cancelled meanwhile."""
    try:
        with suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            async with asyncio.timeout(seconds):
                await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _environment() -> dict[str, str]:
    """Ours without settings of labsessions; and the package is found also where it isn't installed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    home = str(Path(labsessions.__file__).parent.parent)
    path = inherited.get("PYTHONPATH")
    return inherited | {"PYTHONPATH": f"{home}{os.pathsep}{path}" if path else home}
