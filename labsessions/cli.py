"""The command line: `serve` (which is also what no command means), `backup`, `restore`, `doctor` and the rest.

Exit status 2 is a fault of the settings, the data directory or the address: one message on stderr says which.
Exit status 1 is a finding: of the demo, of the simulator, of the doctor, of the check of a backup.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import uvloop

from actors.clock import SystemClock
from actors.errors import StoreError
from labsessions import __version__, cli_secrets, daemon, logs
from labsessions.demo import run_demo
from labsessions.driven import DrivenError, driven_clock
from labsessions.mockbackend import Fault, FaultError, parse_faults
from labsessions.mockbackend import fail_next as next_deletions_fail
from labsessions.mockbackend import serve as serve_mock_backend
from labsessions.process import keep_files_private
from labsessions.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from labsessions.backup import Copied, Progress
    from labsessions.core.model import Session

EXIT_CANNOT_START = 2
EXIT_FAULTY = 1

app = typer.Typer(
    name="labsessions",
    help="Keeps track of running labs and cleans them up when their time is over. Without a command: serve.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with local variables would show secrets
)

app.add_typer(cli_secrets.app, name="secrets")

DataDir = Annotated[Path | None, typer.Option(help="Where the data is kept. (default: data)")]
Config = Annotated[Path | None, typer.Option(help="Configuration file (TOML).")]
ReadyFile = Annotated[Path | None, typer.Option(help="Write http://host:port here once requests are accepted.")]


def main() -> None:
    """Run the command line of this process."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"--help", "--version"}):
        arguments = ["serve", *arguments]
    keep_files_private()
    app(args=arguments, prog_name="labsessions")


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(f"labsessions {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Typer turns this docstring and the options above into what stands before the commands."""


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on. (default: 127.0.0.1)")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one. (default: 8787)")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    ready_file: ReadyFile = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen on any address also without a token.")] = False,
    test_clock: Annotated[
        bool, typer.Option("--test-clock", help="Let clients drive time by POST /__clock/advance. For tests only.")
    ] = False,
) -> None:
    """Serve the API and clean up sessions whose time is over."""
    flags: dict[str, Any] = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "ready_file": ready_file,
        "insecure": insecure or None,
    }
    try:
        settings = load(flags, os.environ, config)
    except SettingsError as error:
        _refuse(str(error))
    logging = logs.configure(settings.log.level, settings.log.format, secrets=settings.secrets.to_redact())
    try:
        uvloop.run(
            daemon.serve(
                settings,
                driven_clock(settings, wanted=test_clock),
                environ=os.environ,
                read=lambda: load(flags, os.environ, config),
                logging=logging,
            )
        )
    except (StoreError, DrivenError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot listen on {settings.host} port {settings.port}: {error}")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Copy the database to a file, also while the service is serving, and check the copy."""
    from labsessions.backup import back_up

    directory = _settings(data_dir, config).data_dir
    _copy("Backing up", lambda progress: back_up(directory, target, progress, force=force))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="The backup, or a copied data folder.", show_default=False)],
    *,
    data_dir: DataDir = None,
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Restore also if some of its sessions have faults.")] = False,
) -> None:
    """Put a backup in the place of the database, which is kept; the service must not be running."""
    from labsessions.backup import restore as put_back

    directory = _settings(data_dir, config).data_dir
    _copy("Restoring", lambda progress: put_back(source, directory, progress, force=force))


def _settings(data_dir: Path | None, config: Path | None) -> Settings:
    """Those of the data. Whether the service's address would be safe is not asked here."""
    try:
        return load({"data_dir": data_dir, "insecure": True}, os.environ, config)
    except SettingsError as error:
        _stop(str(error))


def _copy(what: str, work: "Callable[[Progress], Copied]") -> None:
    from labsessions.backup import BackupError, CheckFailedError
    from labsessions.progress import progress_bar

    try:
        with progress_bar(what) as progress:
            copied = work(progress)
    except (BackupError, OSError) as error:
        _stop(str(error))
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


@app.command()
def doctor(
    *,
    config: Config = None,
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
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


@app.command()
def reanchor(
    users: Annotated[list[str] | None, typer.Argument(help="Only the sessions of these users.")] = None,
    *,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Set right what a clock that was ahead has stored; the clock must be right, and the service not be running."""
    from labsessions.reanchor import ReanchorError, line
    from labsessions.reanchor import reanchor as set_right

    settings, moved = _settings(data_dir, config), 0

    def show(part: "Session") -> None:
        nonlocal moved
        moved += 1
        typer.echo(line(part))

    now_ms = SystemClock().now_ms()
    try:
        asyncio.run(set_right(settings.data_dir, settings.policy(), now_ms, show, users or ()))
    except (ReanchorError, StoreError) as error:
        _stop(str(error))
    typer.echo(f"{moved} set right")


@app.command("mock-backend")
def mock_backend(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on, 0 for a free one.")] = 8788,
    token: Annotated[str | None, typer.Option(help="Refuse calls without this bearer token.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="A scripted fault as JSON; may be repeated.")] = None,
    fail_next: Annotated[int, typer.Option(min=0, help="Answer 500 to the next N deletions of a VM.")] = 0,
    ready_file: ReadyFile = None,
) -> None:
    """Serve the lab backend's two routes, for development and tests; GET /__calls shows what was asked."""
    try:
        faults: list[Fault] = [parsed for text in fault or [] for parsed in parse_faults(text)]
    except FaultError as error:
        _refuse(f"--fault: {error}")
    if fail_next:
        faults.append(next_deletions_fail(fail_next))
    try:
        uvloop.run(serve_mock_backend(host, port, ready_file, token, faults))
    except OSError as error:
        _refuse(f"cannot listen on {host} port {port}: {error}")


@app.command()
def demo() -> None:
    """Show the service at work on five labs of a few seconds; exit status 1 if one goes differently than expected."""
    raise typer.Exit(asyncio.run(run_demo()))


@app.command()
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
    # Not with the others: `serve` needs none of it, and shall start fast.
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


@app.command()
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
    # Here, because nothing else needs it: serving must not load a simulator.
    from labsessions.simulation.screen import run_and_show

    try:
        kept = run_and_show(seed=seed, seeds=seeds, steps=steps, jobs=jobs, fail_fast=fail_fast, record=record)
    except OSError as error:
        typer.echo(f"the record cannot be written: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from None
    raise typer.Exit(0 if kept else 1)


def _refuse(message: str) -> NoReturn:
    _stop(message, "labsessions cannot start")


def _stop(message: str, what: str = "labsessions") -> NoReturn:
    typer.echo(f"{what}: {message}", err=True)
    raise typer.Exit(EXIT_CANNOT_START)
