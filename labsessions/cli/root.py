"""The application that commands are added to, the options that several of them have, and how they end.

Exit status 2 is a fault of the settings, the data directory or the address: one message on stderr says which.
Exit status 1 is a finding: of the demo, of the simulator, of the doctor, of the check of a backup.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from labsessions import __version__

if TYPE_CHECKING:
    from labsessions.settings import Settings

EXIT_FAULTY: Final = 1
EXIT_CANNOT_START: Final = 2

# What `--help` groups the commands by.
SERVE: Final = "Serving"
OPERATE: Final = "Operating a running service"
DATA: Final = "Its data"
PROVE: Final = "Seeing that it works"

app = typer.Typer(
    name="labsessions",
    help="Keeps track of running labs and cleans them up when their time is over. Without a command: serve.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with local variables would show secrets
)

DataDir = Annotated[Path | None, typer.Option(help="Where the data is kept. (default: data)")]
Config = Annotated[Path | None, typer.Option(help="Configuration file (TOML).")]
ReadyFile = Annotated[Path | None, typer.Option(help="Write http://host:port here once requests are accepted.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


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


def settings_of_data(data_dir: Path | None, config: Path | None) -> "Settings":
    """Those of the data. Whether the service's address would be safe is not asked here."""
    from labsessions.settings import SettingsError, load

    try:
        return load({"data_dir": data_dir, "insecure": True}, os.environ, config)
    except SettingsError as error:
        stop(str(error))


def refuse(message: str) -> NoReturn:
    """End a command that was to serve."""
    stop(message, "labsessions cannot start")


def stop(message: str, what: str = "labsessions") -> NoReturn:
    """End with the message on stderr, and exit status 2."""
    typer.echo(f"{what}: {message}", err=True)
    raise typer.Exit(EXIT_CANNOT_START)
