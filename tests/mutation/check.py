"""Breaks the code in ways that matter and shows that each is noticed: `python tests/mutation/check.py [WORDS …]`.

Each mutant is a scratch copy of the tree with one text replaced; the simulator runs fixed seeds on it until an
invariant breaks, or a named part of the suite must fail. WORDS choose the mutants whose names contain one of them.
Exit status 1 if a mutant was not noticed, or the unchanged copy is not clean.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from mutants import MUTANTS, SIMULATOR, Mutant

ROOT: Final = Path(__file__).parents[2]
PARTS: Final = ("actors", "config", "labsessions", "tests", "run.py", "pyproject.toml", "README.md")
# The unchanged tree passes these; a mutant has to fall in one of them. They go through all profiles ten times.
SEEDS: Final = ("simulate", "--seed", "0", "--seeds", "70", "--steps", "150", "--fail-fast")
JOBS: Final = 2
NOTHING: Final = "nothing noticed"
# Longer than the clean copy takes on any machine that is of use. Whoever runs into it is not noticed: what hangs under
# virtual time is an error after so many turns of the loop, and by real time it may only be slow.
LIMIT_SECONDS: Final = 180


class Verdict(NamedTuple):
    """Whether a mutant was noticed, and the line that says how, or what happened instead."""

    noticed: bool
    how: str


def judge(mutant: Mutant | None) -> Verdict:
    """Run the mutant (None: the unchanged copy) in a directory of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        for part in PARTS:
            _copy(ROOT / part, tree / part)
        if mutant is not None and (fault := _mutate(tree, mutant)) is not None:
            return Verdict(noticed=False, how=fault)
        simulated = mutant is None or mutant.seen_by == SIMULATOR
        command = ["run.py", *SEEDS] if simulated else ["-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider"]
        if mutant is not None and not simulated:
            command.extend(mutant.seen_by.split())
        path = os.pathsep.join((scratch, str(tree / "tests")))
        try:
            done = subprocess.run(  # noqa: S603 - our own tree
                [sys.executable, *command],
                cwd=tree,
                env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict(noticed=False, how="hangs")
        return _verdict(done, "invariant " if simulated else "FAILED")


def _verdict(done: "subprocess.CompletedProcess[str]", sign: str) -> Verdict:
    """A failure for any other reason than a broken invariant or a failed test is none that counts."""
    lines = (done.stdout + done.stderr).splitlines()
    said = [line for line in lines if sign in line]
    if done.returncode == 1 and said:
        return Verdict(noticed=True, how=said[-1])
    if done.returncode == 0:
        return Verdict(noticed=False, how=NOTHING)
    return Verdict(noticed=False, how=f"exit status {done.returncode}: {lines[-1:]}")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _mutate(tree: Path, mutant: Mutant) -> str | None:
    file = tree / mutant.file
    text = file.read_text(encoding="utf-8")
    if (found := text.count(mutant.old)) != 1:
        return f"the old text is in {mutant.file} {found} times"
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return None


def main(words: list[str]) -> int:
    """Judge the mutants, print a line for each, and return the exit status."""
    chosen = [None, *(mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words))]
    missed = 0
    with ThreadPoolExecutor(JOBS) as pool:
        for mutant, verdict in zip(chosen, pool.map(judge, chosen), strict=True):
            right = verdict.noticed if mutant is not None else verdict.how == NOTHING
            missed += not right
            name = "unchanged" if mutant is None else mutant.name
            sys.stdout.write(f"{'ok    ' if right else 'MISSED'} {name}: {verdict.how}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - 1} mutants, {missed} not as expected\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
