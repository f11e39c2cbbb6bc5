"""What serves until it is told to stop: the service, and the mock of the lab backend."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labsessions.cli.root import SERVE, Config, DataDir, ReadyFile, app, refuse

if TYPE_CHECKING:
    from labsessions.mockbackend import Fault


@app.command(rich_help_panel=SERVE)
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
    import uvloop

    from actors.errors import StoreError
    from labsessions import daemon, logs
    from labsessions.driven import DrivenError, driven_clock
    from labsessions.settings import SettingsError, load

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
        refuse(str(error))
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
        refuse(str(error))
    except OSError as error:
        refuse(f"cannot listen on {settings.host} port {settings.port}: {error}")


@app.command("mock-backend", rich_help_panel=SERVE)
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
    import uvloop

    from labsessions.mockbackend import FaultError, parse_faults
    from labsessions.mockbackend import fail_next as next_deletions_fail
    from labsessions.mockbackend import serve as serve_mock_backend

    try:
        faults: list[Fault] = [parsed for text in fault or [] for parsed in parse_faults(text)]
    except FaultError as error:
        refuse(f"--fault: {error}")
    if fail_next:
        faults.append(next_deletions_fail(fail_next))
    try:
        uvloop.run(serve_mock_backend(host, port, ready_file, token, faults))
    except OSError as error:
        refuse(f"cannot listen on {host} port {port}: {error}")
