"""`secrets`: store them, and see where each comes from. No value is shown, and none is taken from the command line."""

import json as json_format
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from labsessions.cli.root import SERVE, Config, DataDir, Json, app, stop

group = typer.Typer(help="Store secrets, and see where each comes from. Values are never shown.", no_args_is_help=True)
app.add_typer(group, name="secrets", rich_help_panel=SERVE)


@group.command("set")
def set_(
    name: Annotated[str, typer.Argument(help="Which one, e.g. BACKEND_API_TOKEN.", show_default=False)],
    *,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Store a secret, asked for without echo or read from stdin; a running service takes it at once."""
    from labsessions.secret_store import SecretError, Store

    folder = _data_dir(data_dir, config)
    store = Store(folder, os.environ, config)
    value = typer.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    try:
        stored = store.put(name, value)
    except SecretError as error:
        stop(str(error))
    typer.echo(f"{name} is stored in {stored}")
    if (origin := store.origin(name)) != str(stored):
        typer.echo(f"but {name} is taken from {origin}, which goes before: remove it there, and restart the service")
    elif (pid := store.tell_service()) is not None:
        typer.echo(f"the running service (process {pid}) reads its settings again; its log says what has come of it")
    else:
        typer.echo("no running service was found; if there is one, send it SIGHUP (kill -HUP, systemctl reload)")


@group.command("list")
def list_(
    *,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show which secrets are set, and where each is taken from."""
    from labsessions.secret_store import Store

    listed = Store(_data_dir(data_dir, config), os.environ, config).listed()
    if json:
        shown = [each._asdict() | {"set": each.origin is not None and each.fault is None} for each in listed]
        typer.echo(json_format.dumps({"secrets": shown}))
        return
    for name, origin, fault in listed:
        state = "not set" if origin is None else f"faulty   {fault}" if fault else f"set      {origin}"
        typer.echo(f"{name:<18} {state}")


def _data_dir(data_dir: Path | None, config: Path | None) -> Path:
    from labsessions.settings import SettingsError
    from labsessions.settings.load import find_data_dir

    try:
        return find_data_dir({"data_dir": data_dir}, os.environ, config).absolute()
    except SettingsError as error:
        stop(str(error))
