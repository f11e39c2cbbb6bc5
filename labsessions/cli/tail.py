"""The command that follows the log of a running service, and comes again when the connection is lost."""

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from labsessions.cli.operating import DEFAULT_URL, Url, ask
from labsessions.cli.root import OPERATE, Json, app

if TYPE_CHECKING:
    from collections.abc import Callable

    from labsessions.cli.client import Service

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0


class Format(Enum):
    """How lines are printed."""

    PRETTY = "pretty"
    JSON = "json"


@app.command(rich_help_panel=OPERATE)
def tail(
    *,
    format_: Annotated[Format, typer.Option("--format", help="For people, or one JSON object a line.")] = Format.PRETTY,
    level: Annotated[str | None, typer.Option(help="Only lines of at least this level.")] = None,
    user: Annotated[str | None, typer.Option(help="Only lines about this user.")] = None,
    event: Annotated[str | None, typer.Option(help="Only lines with this in their event.")] = None,
    lines: Annotated[int | None, typer.Option(min=1, help="End after so many lines.")] = None,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Follow the log of a running service, from now on; comes again when the connection is lost. Ctrl-C ends it."""
    show = _json_line if json or format_ is Format.JSON else _pretty()
    query = {"level": level, "user_id": user, "event": event}
    try:
        ask(url, lambda service: _follow(service, query, show, lines))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _follow(
    service: "Service", query: dict[str, Any], show: "Callable[[dict[str, Any]], None]", lines: int | None
) -> None:
    """Show lines until there were so many. What is wrong at the first time is wrong; later it may pass."""
    import asyncio

    from labsessions.cli.client import UnreachableError

    shown, connected, pause = 0, False, _FIRST_PAUSE_SECONDS
    while True:
        try:
            async with service.stream("/log", **query) as told:
                if connected:
                    typer.echo("-- connected again", err=True)
                connected, pause = True, _FIRST_PAUSE_SECONDS
                async for each in told:
                    if each.event == "dropped":
                        typer.echo(f"-- {each.data['dropped']} lines lost: too many at a time", err=True)
                        continue
                    show(each.data)
                    shown += 1
                    if shown == lines:
                        return
            why = "the service has ended it"
        except UnreachableError as error:
            if not connected:
                raise
            why = str(error)
        typer.echo(f"-- {why}; lines are missed until it is there again", err=True)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _json_line(line: dict[str, Any]) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(line))


def _pretty() -> "Callable[[dict[str, Any]], None]":
    """As the service's own console shows lines, without anything that would move the cursor."""
    from structlog.dev import ConsoleRenderer, plain_traceback

    columns = ConsoleRenderer(colors=sys.stdout.isatty(), sort_keys=False, exception_formatter=plain_traceback)

    def show(line: dict[str, Any]) -> None:
        typer.echo(columns(None, "", {name: _printable(value) for name, value in line.items()}))

    return show


def _printable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "".join(char if char.isprintable() or char == "\n" else " " for char in value)
