"""The query string of an operator's request: each parameter by its check, and no other.

An empty one counts as absent.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from labsessions.http.checks import MAX_USER_ID, is_user_id
from labsessions.http.endpoints import Parameter
from labsessions.http.errors import INVALID_PARAMETER, RefusedError
from labsessions.ports import Key

_LONGEST_TEXT: Final = 512
_LONGEST_NAME: Final = 64  # characters of a name that isn't ours, shown in a message
_INTEGER: Final = re.compile(r"[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_CURSOR: Final = "a next_cursor of an answer to the same question"
_LAST_MS: Final = 253_402_300_800_000  # the end of the year 9999
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Taken(NamedTuple):
    """A parameter: what it is told to be, how its text is read (None: it is not so), and its value where it lacks."""

    described: Parameter
    read: Callable[[str], Any]
    expected: str
    default: Any = None


def parameters(taken: Iterable[Taken]) -> tuple[Parameter, ...]:
    """As an `Endpoint` has them."""
    return tuple(each.described for each in taken)


def read(request: web.Request, taken: Sequence[Taken]) -> dict[str, Any]:
    """The value of each by its name. RefusedError 400 that names what is wrong."""
    known = {each.described.name: each for each in taken}
    for name in request.query:
        if name not in known:
            told = ", ".join(known) or "none"
            raise _refused(f"Query parameter '{name[:_LONGEST_NAME]}' is unknown; known are: {told}")
        if len(request.query.getall(name)) > 1:
            raise _refused(f"Query parameter '{name}' must be there once, got it again")
    return {name: _value(each, request.query.get(name, "")) for name, each in known.items()}


def _value(each: Taken, text: str) -> Any:
    if not text:
        return each.default
    value = each.read(text)
    if value is None:
        raise _refused(f"Query parameter '{each.described.name}' must be {each.expected}")
    return value


def _refused(text: str) -> RefusedError:
    return RefusedError(INVALID_PARAMETER.saying(text))


def or_empty(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What is described, or nothing between the `=` and the next `&`."""
    return {"anyOf": [schema, {"const": ""}]}


# --- kinds of parameters ----------------------------------------------------------------------------------


def choice(name: str, of: Sequence[str], description: str, default: str | None = None) -> Taken:
    """One of these words."""
    said = f"{description}; {default} if left out" if default else description
    schema = {"enum": [*of, ""]}
    return Taken(
        Parameter(name, schema, said),
        lambda given: given if given in of else None,
        f"one of {', '.join(of)}",
        default,
    )


def flag(name: str, description: str) -> Taken:
    """Yes or no."""
    words = {"true": True, "false": False}
    return Taken(Parameter(name, {"enum": [*words, ""]}, description), words.get, "true or false")


def integer(name: str, low: int, high: int, description: str, default: int | None = None) -> Taken:
    """A whole number from `low` to `high`."""

    def value(text: str) -> int | None:
        return int(text) if _INTEGER.fullmatch(text) and low <= int(text) <= high else None

    said = description if default is None else f"{description}; {default} if left out"
    schema = or_empty({"type": "integer", "minimum": low, "maximum": high})
    return Taken(Parameter(name, schema, said), value, f"a whole number from {low} to {high}", default)


def number(name: str, high: float, description: str, default: float | None = None) -> Taken:
    """A number above 0, fractions too."""

    def value(text: str) -> float | None:
        return float(text) if _NUMBER.fullmatch(text) and 0 < float(text) <= high else None

    said = description if default is None else f"{description}; {default:g} if left out"
    schema = or_empty({"type": "number", "exclusiveMinimum": 0, "maximum": high})
    return Taken(Parameter(name, schema, said), value, f"a number above 0 and up to {high:g}", default)


def text(name: str, description: str) -> Taken:
    """Printable characters."""

    def value(given: str) -> str | None:
        return given if given.isprintable() and len(given) <= _LONGEST_TEXT else None

    schema = {"type": "string", "maxLength": _LONGEST_TEXT}
    return Taken(Parameter(name, schema, description), value, f"1 to {_LONGEST_TEXT} printable characters")


def user(name: str, description: str) -> Taken:
    """The id of a user."""
    schema = {"type": "string", "maxLength": MAX_USER_ID}
    return Taken(
        Parameter(name, schema, description),
        lambda given: given if is_user_id(given) else None,
        f"1 to {MAX_USER_ID} printable characters",
    )


def instant(name: str, description: str) -> Taken:
    """An instant, in milliseconds since 1970 UTC; a whole day may be given as its date."""

    def value(given: str) -> int | None:
        try:
            # A plus sign that isn't escaped is a blank in a query string.
            at = datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given)
        except ValueError:
            return None
        if at.utcoffset() is None:
            if "T" in given or " " in given:
                return None
            at = at.replace(tzinfo=UTC)
        at_ms = -((_EPOCH - at) // timedelta(milliseconds=1))
        return at_ms if 0 <= at_ms < _LAST_MS else None

    expected = "an ISO 8601 instant with an offset, e.g. 2027-01-15T09:00:00Z, or a date"
    said = f"{description}; ISO 8601, a date is its first instant (UTC)"
    return Taken(Parameter(name, {"type": "string"}, said), value, expected)


def cursor(name: str = "cursor") -> Taken:
    """Where the page before has ended, as `next_cursor` of its answer."""
    described = Parameter(name, {"type": "string"}, "`next_cursor` of the page before, asked for in the same order")
    return Taken(described, _key, _CURSOR)


def cursor_of(order: str, key: Key | None) -> str | None:
    """The text of a key, for clients to give back."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode((order, *key))).decode().rstrip("=")


class Given(NamedTuple):
    """A cursor as it came back: of which order, and the key."""

    order: str
    key: Key

    def of(self, order: str, *, numbered: bool = False) -> Key:
        """The key, if it is of this order, in which ties are told by a number or not; RefusedError 400 else."""
        if self.order != order or (numbered and not _INTEGER.fullmatch(self.key.tie)):
            raise _refused(f"Query parameter 'cursor' must be {_CURSOR}")
        return self.key


def _key(given: str) -> Given | None:
    try:
        raw = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
        order, at, tie = msgspec.json.decode(raw, type=tuple[str, str, str])
    except (ValueError, msgspec.MsgspecError):
        return None
    return Given(order, Key(at, tie))
