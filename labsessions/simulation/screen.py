"""What `python run.py simulate` shows: a progress bar on a terminal, then the violations and the figures."""

import random
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from labsessions.simulation.campaign import Campaign, run_campaign

# Small enough to be typed again.
LARGEST_SEED: Final = 10**9
SHOWN_VIOLATIONS: Final = 3
LINE_EVERY: Final = 250  # seeds, where there is no terminal: every minute or so


def run_and_show(*, seed: int | None, seeds: int, steps: int, jobs: int, fail_fast: bool, record: Path | None) -> bool:
    """Run `seeds` seeds from `seed` (None: any) on; True if no invariant was broken. OSError for the record's file."""
    first = random.randrange(LARGEST_SEED) if seed is None else seed  # noqa: S311 - printed, so that it can be repeated
    command = f"python run.py simulate --seed {first} --seeds {seeds} --steps {steps} --jobs {jobs}"
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(command)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    # The bar only for eyes: a log would get a line for each of its states.
    with Progress(*columns, console=Console(stderr=True), disable=not console.is_terminal) as bar:
        task = bar.add_task("seeds", total=seeds)

        shown = 0

        def show(campaign: Campaign) -> None:
            nonlocal shown
            sessions, violations = campaign.counts["sessions"], len(campaign.violations)
            figures = f"{sessions} sessions, {violations} violations"
            bar.update(task, completed=campaign.done, description=figures)
            if shown < violations <= SHOWN_VIOLATIONS:
                bar.console.print(f"{campaign.violations[-1]}\n", markup=False, highlight=False, soft_wrap=True)
                shown = violations
            if not console.is_terminal and campaign.done % LINE_EVERY == 0:
                typer.echo(f"{campaign.done} of {seeds} seeds: {figures}", err=True)

        campaign = run_campaign(first, seeds, steps, jobs=jobs, fail_fast=fail_fast, progress=show)
    console.print(_table(campaign))
    if record is not None:
        campaign.write_record(record, command)
    return not campaign.violations


def _table(campaign: Campaign) -> Table:
    table = Table("what", "how often")
    table.columns[1].justify = "right"
    table.add_row("seeds", str(campaign.done))
    for what, count in sorted(campaign.counts.items(), key=lambda item: (item[0].startswith("fault"), item[0])):
        table.add_row(what, str(count))
    table.add_row("violations", str(len(campaign.violations)), style="bold red" if campaign.violations else "bold")
    table.add_row("digest", campaign.digest)
    return table
