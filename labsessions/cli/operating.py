"""What the commands over the admin API share: whom they talk to, how they end, and how they ask before they act.

Exit status: 0 done, 1 refused by the service or a finding, 2 a wrong command line or setting, 3 no answer. An error is
one line on stderr that says what to do. With `--json` stdout has exactly one JSON document, of a refusal too.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import typer

from labsessions.cli.root import EXIT_CANNOT_START, EXIT_FAULTY

if TYPE_CHECKING:
    from labsessions.cli.client import Service

T = TypeVar("T")

EXIT_UNREACHABLE: Final = 3
DEFAULT_URL: Final = "http://127.0.0.1:8787"
_TOKEN: Final = "ADMIN_TOKEN"  # noqa: S105 - a variable's name
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NO_ROUTE: Final = "route_not_found"
_LONGEST_NAME: Final = 64

Url = Annotated[
    str, typer.Option(envvar="LABSESSIONS_URL", help="Where the service is.", show_default=True, metavar="URL")
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
User = Annotated[str, typer.Argument(help="The user's id.", show_default=False)]


def ask(url: str, work: "Callable[[Service], Awaitable[T]]", *, json: bool = False) -> T:
    """Do the work with the service at `url`, and return its result; or end the command, as said above."""
    from labsessions.cli.client import AnsweredError, UnreachableError, connected

    token = admin_token(json=json)

    async def session() -> T:
        async with connected(url, token, operator_name()) as service:
            return await work(service)

    try:
        return asyncio.run(session())
    except UnreachableError as error:
        fail(str(error), EXIT_UNREACHABLE, json=json, code="unreachable")
    except AnsweredError as error:
        if error.status == _UNAUTHORIZED:
            words = f"the service refuses the token: set {_TOKEN} or {_TOKEN}_FILE to the service's"
            fail(
                words if token else f"the service wants a token: set {_TOKEN} or {_TOKEN}_FILE",
                EXIT_CANNOT_START,
                json=json,
            )
        if error.status == _FORBIDDEN:
            fail(
                f"this token is not an operator's: {_TOKEN} must be the service's {_TOKEN}",
                EXIT_CANNOT_START,
                json=json,
            )
        if error.code == _NO_ROUTE:
            fail("the service does not offer that: is it of an older release?", EXIT_FAULTY, json=json, code=error.code)
        fail(str(error), EXIT_FAULTY, json=json, code=error.code)


def fail(message: str, status: int, *, json: bool = False, code: str = "usage") -> NoReturn:
    """End with one line on stderr; with `json`, the same as the one document on stdout."""
    typer.echo(f"labsessions: {plain(message)}", err=True)
    if json:
        show_json({"error": message, "code": code})
    raise typer.Exit(status)


def wrong(message: str, *, json: bool = False) -> NoReturn:
    """End a command that was called wrongly."""
    fail(message, EXIT_CANNOT_START, json=json)


def plain(value: Any) -> str:
    """The value, as JSON unless it is text, as one printable line: what clients sent must not move the cursor."""
    if value is None:
        return ""
    if not isinstance(value, str):
        import msgspec

        value = msgspec.json.encode(value).decode()
    return " ".join("".join(char if char.isprintable() else " " for char in value).split())


def admin_token(*, json: bool = False) -> str | None:
    """The first of the service's tokens for operators, read as the service reads it; None if none is set."""
    from labsessions.settings import SettingsError
    from labsessions.settings.load import find_data_dir
    from labsessions.settings.secrets import Unreadable, find

    try:
        data_dir = find_data_dir({}, os.environ)
    except SettingsError:  # a fault of the service's; its data may be on another machine anyway
        data_dir = None
    found = find(_TOKEN, os.environ, data_dir)
    if found is None:
        return None
    if isinstance(found.value, Unreadable):
        wrong(f"{_TOKEN}: {found.value.reason}", json=json)
    first, *_ = (token.strip() for token in found.value.get_secret_value().split(","))
    if not first.isascii() or not first.isprintable() or " " in first:
        wrong(f"{_TOKEN} from {found.origin}: must be of visible ASCII characters, without spaces", json=json)
    return first or None


def operator_name() -> str:
    """Who runs the command, for the audit: by name of the account, that of `sudo`'s caller first."""
    import getpass

    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        name = ""
    shown = "".join(char for char in name if char.isascii() and char.isprintable()).strip()
    return shown[:_LONGEST_NAME] or "operator"


def show_json(document: Any) -> None:
    """Print the one document."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def confirm(question: str, *, yes: bool, json: bool = False) -> None:
    """Go on only if somebody wants it. Ends with 2 where nobody can be asked, with 1 for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        wrong(f"{question} There is nobody to ask: give --yes", json=json)
    if not typer.confirm(question, err=True):
        fail("nothing was done", EXIT_FAULTY, json=json, code="not_confirmed")
