"""The crash test: `python tests/crash/crash.py --minutes 30 --seed N --record FILE`.

The real service process is killed every 0.5 to 2 s under mixed load; its clients remember every answer, its backend
every call, and at the end all of it has to fit (`crash_checks`). The seed decides what users ask and when the process
dies; what the machine makes of it differs from run to run. Exit status 1 if a promise was broken.
"""

import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))  # as in the suite: the helpers of the tests
sys.path.insert(0, str(Path(__file__).parents[2]))

from crash_storm import Outcome, storm

from labsessions.bench.machine import commit

SHOWN = 5


def main(
    minutes: Annotated[float, typer.Option(help="How long the process is killed.", min=0.05)] = 0.5,
    seed: Annotated[int | None, typer.Option(help="Any, if left out.")] = None,
    users: Annotated[int, typer.Option(help="How many users there are.", min=1)] = 40,
    record: Annotated[Path | None, typer.Option(help="Write what was done and found there, as JSON.")] = None,
) -> None:
    """Kill the service again and again, and see whether everything that it has said is true."""
    chosen = random.randrange(10**9) if seed is None else seed  # noqa: S311 - printed, so that it can be repeated
    command = f"python tests/crash/crash.py --minutes {minutes:g} --seed {chosen} --users {users}"
    typer.echo(command)
    # Before the run: what runs is the code as it is now.
    ran = {"command": command, "commit": commit(), "seed": chosen}
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(storm(Path(folder), seed=chosen, seconds=60 * minutes, users=users))
    told = {**ran, **_told(outcome)}
    if record is not None:
        record.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    for violation in outcome.violations[:SHOWN]:
        typer.echo(f"seed {chosen}: {violation}\n")
    for name, value in {**told, **told["counts"], "violations": len(outcome.violations)}.items():
        if isinstance(value, int | float) and name != "seed":
            typer.echo(f"{name:45} {value:10,}")
    raise typer.Exit(1 if outcome.violations else 0)


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "seconds": round(outcome.seconds),
        "kills": outcome.kills,
        "kills_while_starting": outcome.kills_at_start,
        "faulty_backend": outcome.moods,
        "censuses": outcome.censuses,
        "counts": dict(outcome.counts),
        "violations": [str(violation) for violation in outcome.violations],
    }


if __name__ == "__main__":
    typer.run(main)
