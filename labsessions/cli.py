"""The command line: `serve` (which is also what no command means), `mock-backend`, `demo` and `bench`.

Exit status 2 is a fault of the settings, the data directory or the address: one message on stderr says which.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop

from actors.errors import StoreError
from labsessions import __version__, bootstrap, logs
from labsessions.demo import run_demo
from labsessions.mockbackend import Fault, FaultError, parse_faults
from labsessions.mockbackend import fail_next as next_deletions_fail
from labsessions.mockbackend import serve as serve_mock_backend
from labsessions.settings import SettingsError, load

EXIT_CANNOT_START = 2

app = typer.Typer(
    name="labsessions",
    help="Keeps track of running labs and cleans them up when their time is over. Without a command: serve.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with local variables would show secrets
)

ReadyFile = Annotated[Path | None, typer.Option(help="Write http://host:port here once requests are accepted.")]


def main() -> None:
    """Run the command line of this process."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"--help", "--version"}):
        arguments = ["serve", *arguments]
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
    data_dir: Annotated[Path | None, typer.Option(help="Where the data is kept. (default: data)")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (TOML).")] = None,
    ready_file: ReadyFile = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen on any address also without API_TOKEN.")] = False,
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
    logs.configure(settings.log.level, settings.log.format, secrets=settings.secrets.to_redact())
    try:
        uvloop.run(bootstrap.serve(settings))
    except StoreError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot listen on {settings.host} port {settings.port}: {error}")


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
    quick: Annotated[bool, typer.Option("--quick", help="Small numbers: about a minute instead of an hour.")] = False,
    scenario: Annotated[list[str] | None, typer.Option(help="Only this scenario; may be repeated.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="How long the long run is. (default: 10)")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the data lies meanwhile: a folder on a real disk.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the result here.")] = None,
    compare: Annotated[Path | None, typer.Option(help="Compare with this earlier result.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Changes up to so many per cent are noise.")] = 10,
) -> None:
    """Measure the service against a bare aiohttp server; exit status 1 if anything was lost, wrong or doubled."""
    # Not with the others: `serve` needs none of it, and shall start fast.
    from labsessions.bench.options import BenchError, options_of  # noqa: PLC0415
    from labsessions.bench.run import run_bench  # noqa: PLC0415

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


def _refuse(message: str) -> NoReturn:
    typer.echo(f"labsessions cannot start: {message}", err=True)
    raise typer.Exit(EXIT_CANNOT_START)
