"""Many seeds: in this process or several, with a progress bar, and the record of what was run."""

import hashlib
import multiprocessing
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from labsessions.simulation.simulator import Result, simulate
from labsessions.simulation.trace import ViolationError

# Seeds that a worker takes at a time: a second's work or so.
CHUNK: Final = 8

# Seed and steps to what came of it, or ViolationError.
Run = Callable[[int, int], Result]


@dataclass(slots=True)
class Campaign:
    """What came of it. `digests` tell by seed what happened; `violations` are the messages of ViolationError."""

    first_seed: int
    seeds: int
    steps: int
    commit: str | None = None
    done: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Of all runs together: the same on every machine."""
        return hashlib.blake2b(repr(sorted(self.digests.items())).encode(), digest_size=16).hexdigest()

    def record(self, command: str) -> dict[str, Any]:
        """The record for the repository: what was run on which commit, and the figures."""
        return {
            "command": command,
            "commit": self.commit,
            "first_seed": self.first_seed,
            "seeds": self.done,
            "steps_per_seed": self.steps,
            "seconds": round(self.seconds),
            "counts": dict(sorted(self.counts.items())),
            "seeds_by_profile": dict(sorted(self.profiles.items())),
            "digest": self.digest,
            "violations": self.violations,
        }

    def write_record(self, path: Path, command: str) -> None:
        """Write the record as JSON. OSError if the file cannot be written."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self.record(command)), indent=2) + b"\n")


def run_campaign(
    first_seed: int,
    seeds: int,
    steps: int,
    *,
    jobs: int = 1,
    fail_fast: bool = False,
    progress: Callable[[Campaign], None] = lambda _: None,
    run: Run = simulate,
) -> Campaign:
    """Run consecutive seeds in `jobs` processes; `progress` is called after each.

    It goes on after a violation, unless it is to `fail_fast`.
    """
    campaign = Campaign(first_seed, seeds, steps, commit=_commit())  # before it runs: what is loaded now
    begun = time.monotonic()
    for result in _results(partial(_one, run, steps), range(first_seed, first_seed + seeds), jobs):
        campaign.done += 1
        campaign.seconds = time.monotonic() - begun
        if isinstance(result, Result):
            campaign.counts.update(result.counts)
            campaign.profiles[result.profile] += 1
            campaign.digests[result.seed] = result.digest
        else:
            campaign.violations.append(result)
        progress(campaign)
        if fail_fast and campaign.violations:
            break
    return campaign


def _results(one: Callable[[int], Result | str], seeds: range, jobs: int) -> Iterator[Result | str]:
    if jobs == 1:
        yield from map(one, seeds)
        return
    with ExitStack() as stack:
        # Fresh interpreters: a fork would share what this one has opened.
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(jobs))
        yield from pool.imap_unordered(one, seeds, chunksize=CHUNK)


def _one(run: Run, steps: int, seed: int) -> Result | str:
    try:
        return run(seed, steps)
    except ViolationError as violation:
        return str(violation)


def _commit() -> str | None:
    """The commit that is checked out, if this is a repository and git is there."""
    try:
        done = subprocess.run(  # noqa: S603 - no input of anybody's
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
