"""What shows that the service keeps its promises, and how fast it is."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from labsessions.cli.root import EXIT_CANNOT_START, PROVE, app


@app.command(rich_help_panel=PROVE)
def demo() -> None:
    """Show the service at work on five labs of a few seconds; exit status 1 if one goes differently than expected."""
    from labsessions.demo import run_demo

    raise typer.Exit(asyncio.run(run_demo()))


@app.command(rich_help_panel=PROVE)
def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small numbers: a minute or two, not half an hour.")] = False,
    scenario: Annotated[list[str] | None, typer.Option(help="Only this scenario; may be repeated.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="How long the long run is. (default: 10)")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the data lies meanwhile: a folder on a real disk.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the result here.")] = None,
    compare: Annotated[Path | None, typer.Option(help="Compare with this earlier result.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Changes up to so many per cent are noise.")] = 10,
) -> None:
    """Measure the service against a bare aiohttp server; exit status 1 if anything was lost, wrong or doubled."""
    from labsessions.bench.options import BenchError, options_of
    from labsessions.bench.run import run_bench

    try:
        options = options_of(
            quick=quick,
            scenarios=scenario or [],
            minutes=minutes,
            folder=folder,
            json_file=json,
            compare=compare,
            tolerance=tolerance,
        )
    except BenchError as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from error
    raise typer.Exit(run_bench(options))


@app.command(rich_help_panel=PROVE)
def simulate(
    *,
    seed: Annotated[int | None, typer.Option(min=0, help="The first seed. (default: any)")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each seed's schedule.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="How many consecutive seeds.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes share the seeds.")] = 1,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first violation.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write what was run and its figures here, as JSON.")] = None,
) -> None:
    """Run the service under virtual time with all the faults there are; exit status 1 if it breaks a promise."""
    from labsessions.simulation.screen import run_and_show

    try:
        kept = run_and_show(seed=seed, seeds=seeds, steps=steps, jobs=jobs, fail_fast=fail_fast, record=record)
    except OSError as error:
        typer.echo(f"the record cannot be written: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from None
    raise typer.Exit(0 if kept else 1)
