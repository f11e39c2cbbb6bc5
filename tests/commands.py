"""The commands that end by themselves, as processes: what they print, and their exit status."""

import asyncio
import os
import sys
from pathlib import Path

from processes import DEADLINE_SECONDS, INHERITED, ROOT, UMASK


async def command(folder: Path, *arguments: str, stdin: str = "", **env: str) -> tuple[int, str]:
    """Run `run.py` with these arguments in `folder`; its exit status, and all that it has printed.

    `stdin` is what it may read.
    """
    inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "run.py"),
        *arguments,
        cwd=folder,
        env={**inherited, **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        umask=UMASK,
    )
    printed, _ = await asyncio.wait_for(process.communicate(stdin.encode()), DEADLINE_SECONDS)
    assert process.returncode is not None
    return process.returncode, printed.decode()
