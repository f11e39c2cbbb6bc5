"""What a JSON value must be, once in words for whoever sent it and once as a schema for the API's description.

A check finds one sentence per fault, naming the field; nothing at all, in the hot path, for a value that is fine.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from labsessions.http.wire import kind

MAX_USER_ID: Final = 512  # characters: it is a key and a part of a URL; an e-mail address has at most 254
MAX_DEPTH: Final = 32  # levels of an object that is kept as sent; near 1000 the stored state could not be read back
MAX_FAULTS: Final = 5  # in one answer: a list of wrong items must not make an answer larger than the request

Faults = Sequence[str]
Find = Callable[[str, Any], Faults]
Schema = Mapping[str, Any]
_NUMBER: Final = (int, float)
_CONTAINER: Final = (dict, list)


class Check(NamedTuple):
    """`find` takes a field's path and its value and returns the faults; `schema` says the same in JSON Schema."""

    find: Find
    schema: Schema


def is_user_id(value: str) -> bool:
    """Whether this can be the id of a user: 1 to 512 printable characters."""
    return 0 < len(value) <= MAX_USER_ID and value.isprintable()


def _fault(path: str, expected: str, got: str) -> Faults:
    return (f"Field '{path}' must be {expected}, got {got}",)


def _text(path: str, value: Any) -> Faults:
    return () if isinstance(value, str) else _fault(path, "a string", kind(value))


def _filled(path: str, value: Any) -> Faults:
    return () if isinstance(value, str) and value else _fault(path, "a non-empty string", kind(value))


def _user_id(path: str, value: Any) -> Faults:
    if isinstance(value, str) and is_user_id(value):
        return ()
    expected = f"a string of 1 to {MAX_USER_ID} printable characters"
    if not isinstance(value, str) or not value:
        return _fault(path, expected, kind(value))
    got = f"{len(value)} characters" if len(value) > MAX_USER_ID else "one that is not printable"
    return _fault(path, expected, got)


def _timestamp(path: str, value: Any) -> Faults:
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return ()
    got = "another string" if isinstance(value, str) and value else kind(value)
    return _fault(path, "an ISO 8601 timestamp", got)


def _instant(path: str, value: Any) -> Faults:
    """A timestamp without an offset would mean another instant to each reader."""
    if faults := _timestamp(path, value):
        return faults
    if datetime.fromisoformat(value).utcoffset() is None:
        return _fault(path, "an ISO 8601 timestamp with an offset, e.g. 2027-01-15T09:00:00Z", "one without")
    return ()


def _more_minutes(path: str, value: Any) -> Faults:
    if isinstance(value, bool) or not isinstance(value, _NUMBER) or value == 0:
        return _fault(path, "a number of minutes other than 0", kind(value))
    return ()


TEXT: Final = Check(_text, {"type": "string"})
FILLED: Final = Check(_filled, {"type": "string", "minLength": 1})
USER_ID: Final = Check(
    _user_id, {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID, "description": "Printable characters"}
)
TIMESTAMP: Final = Check(_timestamp, {"type": "string", "format": "date-time", "description": "ISO 8601"})
INSTANT: Final = Check(
    _instant, {"type": "string", "format": "date-time", "description": "ISO 8601 with an offset from UTC, or `Z`"}
)
MORE_MINUTES: Final = Check(
    _more_minutes, {"type": "number", "not": {"const": 0}, "description": "Minutes; less than 0 shortens"}
)


def minutes(limit: float) -> Check:
    """A number of minutes above 0 and up to `limit`."""

    def find(path: str, value: Any) -> Faults:
        if isinstance(value, bool) or not isinstance(value, _NUMBER) or value <= 0:
            return _fault(path, "a number of minutes greater than 0", kind(value))
        return _fault(path, f"at most {limit:.15g} minutes", kind(value)) if value > limit else ()

    return Check(find, {"type": "number", "exclusiveMinimum": 0, "maximum": limit, "description": "Minutes"})


def number(low: int, high: int, description: str) -> Check:
    """A number from `low` to `high`, fractions too."""

    def find(path: str, value: Any) -> Faults:
        if isinstance(value, bool) or not isinstance(value, _NUMBER) or not low <= value <= high:
            return _fault(path, f"a number from {low} to {high}", kind(value))
        return ()

    return Check(find, {"type": "number", "minimum": low, "maximum": high, "description": description})


def boolean() -> Check:
    """`true` or `false`."""

    def find(path: str, value: Any) -> Faults:
        return () if isinstance(value, bool) else _fault(path, "true or false", kind(value))

    return Check(find, {"type": "boolean"})


def one_of(*words: str) -> Check:
    """One of a few words."""

    def find(path: str, value: Any) -> Faults:
        got = "another string" if isinstance(value, str) and value else kind(value)
        return () if value in words else _fault(path, " or ".join(f"'{word}'" for word in words), got)

    return Check(find, {"type": "string", "enum": [*words]})


def integer(low: int, high: int) -> Check:
    """Integers as JavaScript writes them: `1.0` is refused, as the stored state's decoder would refuse it."""

    def find(path: str, value: Any) -> Faults:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            return _fault(path, f"an integer from {low} to {high}", kind(value))
        return ()

    return Check(find, {"type": "integer", "minimum": low, "maximum": high})


def an_object(members: Mapping[str, Check]) -> Check:
    """An object with these members; others are kept as they are, so their depth must be bounded."""
    finders = {name: check.find for name, check in members.items()}

    def find(path: str, value: Any) -> Faults:
        if not isinstance(value, dict):
            return _fault(path, "an object", kind(value))
        faults: list[str] = []
        for name, member in finders.items():
            if name not in value:
                faults.append(f"Field '{path}.{name}' is missing")
            elif member(name, value[name]):  # the full path is built only for whoever is at fault
                faults += member(f"{path}.{name}", value[name])
        if _deeper_than(MAX_DEPTH, value):
            faults += _fault(path, f"at most {MAX_DEPTH} levels deep", "more")
        return faults

    properties = {name: check.schema for name, check in members.items()}
    described = "Further members are kept"
    return Check(find, {"type": "object", "required": [*members], "properties": properties, "description": described})


def array_of(item: Check) -> Check:
    """An array whose items all pass."""

    def find(path: str, value: Any) -> Faults:
        if not isinstance(value, list):
            return _fault(path, "an array", kind(value))
        faults: list[str] = []
        for index, each in enumerate(value):
            if item.find(path, each):
                faults += item.find(f"{path}[{index}]", each)
                if len(faults) >= MAX_FAULTS:
                    break
        return faults

    return Check(find, {"type": "array", "items": item.schema})


def _deeper_than(levels: int, value: dict[str, Any] | list[Any]) -> bool:
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    nested = [child for child in children if isinstance(child, _CONTAINER)]  # nearly always none
    return bool(nested) and any(_deeper_than(levels - 1, child) for child in nested)
