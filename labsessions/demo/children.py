"""Commands of labsessions as processes of their own, ended whatever happens to the one who started them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import labsessions

START_SECONDS: Final = 10.0  # a loaded machine starts a Python process in seconds
STOP_SECONDS: Final = 4.0  # both commands end at once when nothing is in flight
POLL_SECONDS: Final = 0.05
SAID_CHARS: Final = 2000  # of the output of a process that failed: its last words

# What the viewer's environment may say of another service must not reach this one.
SETTINGS: Final = ("LABSESSIONS_", "BACKEND_API_", "API_TOKEN", "CREDENTIALS_DIRECTORY")


class DemoError(Exception):
    """The demo itself can't go on; the text says why."""


class Child:
    """A running command: its process, where it serves, and what it has written."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self.process = process
        self.url = ""
        self._output = output
        self._read = 0

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

    `command` must have a `--ready-file`. Raises DemoError if it doesn't serve within START_SECONDS.
    """
    ready, output = folder / f"{command}.ready", folder / f"{command}.log"
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "labsessions", command, "--port", "0", "--ready-file", str(ready), *arguments),
            cwd=folder,
            env=_environment() | settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        child = Child(process, output)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while not ready.exists() and process.returncode is None:  # noqa: ASYNC110 - no event of ours
                    await asyncio.sleep(POLL_SECONDS)
        if not ready.exists():
            raise DemoError(f"{command} does not serve; it said:\n{child.said()[-SAID_CHARS:]}")
        child.url = ready.read_text("utf-8").strip()
        yield child
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to stop, then make it. Also when we are cancelled meanwhile."""
    try:
        with suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            async with asyncio.timeout(STOP_SECONDS):
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
