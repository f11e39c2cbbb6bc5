"""What works on the data folder: copies of it, its examination, and setting right what a wrong clock has stored."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labsessions.cli.root import DATA, EXIT_FAULTY, Config, DataDir, Json, app, settings_of_data, stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from labsessions.backup import Copied, Progress
    from labsessions.core.model import Session


@app.command(rich_help_panel=DATA)
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Copy the database to a file, also while the service is serving, and check the copy."""
    from labsessions.backup import back_up

    directory = settings_of_data(data_dir, config).data_dir
    _copy("Backing up", lambda progress: back_up(directory, target, progress, force=force))


@app.command(rich_help_panel=DATA)
def restore(
    source: Annotated[Path, typer.Argument(help="The backup, or a copied data folder.", show_default=False)],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Restore also if some of its sessions have faults.")] = False,
) -> None:
    """Put a backup in the place of the database, which is kept; the service must not be running."""
    from labsessions.backup import restore as put_back

    directory = settings_of_data(data_dir, config).data_dir
    _copy("Restoring", lambda progress: put_back(source, directory, progress, force=force))


def _copy(what: str, work: "Callable[[Progress], Copied]") -> None:
    from labsessions.backup import BackupError, CheckFailedError
    from labsessions.progress import progress_bar

    try:
        with progress_bar(what) as progress:
            copied = work(progress)
    except (BackupError, OSError) as error:
        stop(str(error))
    except CheckFailedError as error:
        typer.echo(f"labsessions: {error}", err=True)
        for finding in error.faults:
            typer.echo(f"fault    {finding.check:<10} {finding}", err=True)
        raise typer.Exit(EXIT_FAULTY) from None
    size = f"{copied.size_bytes / 1_048_576:.1f} MiB"
    typer.echo(f"{copied.path}: {size}, {copied.sessions} sessions, {copied.history} lines of history, checked")
    if copied.kept is not None:
        typer.echo(f"the database that was there is kept as {copied.kept}")
    if copied.missing:
        typer.echo(
            f"{copied.missing} running sessions of that one are not in the backup: nothing will clean up their VMs"
        )


@app.command(rich_help_panel=DATA)
def doctor(
    *,
    config: Config = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Examine settings, data, backend and clock, and say what to do; changes nothing. Exit status 1 if a fault."""
    from labsessions.doctor import examine
    from labsessions.doctor.report import as_json, line

    findings = []
    for finding in examine({"data_dir": data_dir}, os.environ, config):
        findings.append(finding)
        if not json:
            typer.echo(line(finding))
    if json:
        typer.echo(as_json(findings))
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(EXIT_FAULTY)


@app.command(rich_help_panel=DATA)
def reanchor(
    users: Annotated[list[str] | None, typer.Argument(help="Only the sessions of these users.")] = None,
    *,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Set right what a clock that was ahead has stored; the clock must be right, and the service not be running."""
    from actors.clock import SystemClock
    from actors.errors import StoreError
    from labsessions.reanchor import ReanchorError, line
    from labsessions.reanchor import reanchor as set_right

    settings, moved = settings_of_data(data_dir, config), 0

    def show(part: "Session") -> None:
        nonlocal moved
        moved += 1
        typer.echo(line(part))

    now_ms = SystemClock().now_ms()
    try:
        asyncio.run(set_right(settings.data_dir, settings.policy(), now_ms, show, users or ()))
    except (ReanchorError, StoreError) as error:
        stop(str(error))
    typer.echo(f"{moved} set right")
