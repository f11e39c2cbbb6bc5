"""The command that says whether the service would start with its settings, and which those are."""

import os
from typing import Annotated

import typer

from labsessions.cli.operating import show_json
from labsessions.cli.root import EXIT_CANNOT_START, SERVE, Config, DataDir, Json, app


@app.command("check-config", rich_help_panel=SERVE)
def check_config(
    *,
    host: Annotated[str | None, typer.Option(help="As of serve.")] = None,
    port: Annotated[int | None, typer.Option(help="As of serve.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="As of serve.")] = False,
    json: Json = False,
) -> None:
    """Check the settings that serve would have, and show each with its origin; exit status 2 with all faults."""
    from labsessions.settings import SettingsError
    from labsessions.settings.effective import effective

    flags = {"host": host, "port": port, "data_dir": data_dir, "insecure": insecure or None}
    try:
        settings = effective(flags, os.environ, config)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        if json:
            show_json({"valid": False, "faults": error.faults})
        raise typer.Exit(EXIT_CANNOT_START) from None
    if json:
        show_json({"valid": True, "settings": [each._asdict() for each in settings]})
        return
    import msgspec

    from labsessions.cli.tables import show_table

    show_table(
        ("setting", "value", "origin"),
        [(key, msgspec.json.encode(value).decode(), origin or "not set") for key, value, origin in settings],
    )
    typer.echo("the settings are valid")
