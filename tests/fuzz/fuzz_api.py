"""Fuzzes the real service by its own description: `python tests/fuzz/fuzz_api.py --minutes 30 --record FILE`.

schemathesis draws requests that fit `/openapi.json`, and such that do not, one by one and in sequences. No answer may
be a 5xx, each must be one that the description promises, with the members it promises; what fits is accepted, what
doesn't is refused, and nothing is answered without the token. Exit status 1 for a violation, with the requests that
show it. The record is a JSON file: commit, seed, seconds, requests.
"""

import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))  # as in the suite: the helpers of the tests
sys.path.insert(0, str(Path(__file__).parents[2]))

from processes import world

from labsessions.bench.machine import commit

HERE: Final = Path(__file__).parent
TOKEN: Final = "token-of-the-fuzzer"
# What never ends.
STREAMS: Final = r"/user/\{user_id\}/events$|/admin/stream$|/admin/log$"
_GENERATED: Final = re.compile(r"(\d+) generated")


class Fuzzed(NamedTuple):
    """What came of it: the exit status of schemathesis, its whole output, and how many requests it made."""

    status: int
    output: str
    requests: int


async def fuzz(folder: Path, seconds: int, seed: int, *, streams: bool = True) -> Fuzzed:
    """Run schemathesis for so long against a service and a mock backend of their own in `folder`."""
    without = [] if streams else ["--exclude-path-regex", STREAMS]
    async with world(folder, ADMIN_TOKEN=TOKEN) as (service, _, _):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(HERE / "schemathesis.toml"),
            "run",
            f"{service.url}/openapi.json",
            "--header",
            f"Authorization: Bearer {TOKEN}",
            "--max-time",
            str(seconds),
            "--seed",
            str(seed),
            "--warnings",
            "off",
            *without,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    output = said.decode()
    generated = _GENERATED.search(output)
    return Fuzzed(process.returncode or 0, output, int(generated[1]) if generated else 0)


def main(
    minutes: Annotated[float, typer.Option(help="How long requests are made.", min=0.05)] = 1,
    seed: Annotated[int | None, typer.Option(help="Any, if left out.")] = None,
    streams: Annotated[bool, typer.Option(help="Also the streams of events, each of which takes its time.")] = True,  # noqa: FBT002
    record: Annotated[Path | None, typer.Option(help="Write what was done there, as JSON.")] = None,
) -> None:
    """Make requests by the description of the API, and see whether the answers are as it says."""
    chosen = random.randrange(10**9) if seed is None else seed  # noqa: S311 - printed, so that it can be repeated
    command = f"python tests/fuzz/fuzz_api.py --minutes {minutes:g} --seed {chosen}{'' if streams else ' --no-streams'}"
    typer.echo(command)
    ran, begun = {"command": command, "commit": commit()}, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fuzzed = asyncio.run(fuzz(Path(folder), round(minutes * 60), chosen, streams=streams))
    typer.echo(fuzzed.output)
    if record is not None:
        found = {"seconds": round(time.monotonic() - begun), "requests": fuzzed.requests, "exit_status": fuzzed.status}
        record.write_bytes(msgspec.json.format(msgspec.json.encode(ran | found), indent=2) + b"\n")
    raise typer.Exit(fuzzed.status)


if __name__ == "__main__":
    typer.run(main)
