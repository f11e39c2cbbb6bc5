"""The field table of CONTRACT §1 as checks, and from a checked body the core's `Lab` or `LabChanges`.

A check returns one sentence per fault, naming the field. Null means absent; unknown members are ignored.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from labsessions.core.model import Lab, LabChanges
from labsessions.http.errors import EMPTY_BODY, NOTHING_TO_UPDATE, Problem, RefusedError
from labsessions.http.wire import kind

MAX_USER_ID = 512  # characters: it is a key and a part of a URL; an e-mail address has at most 254
MAX_DEPTH = 32  # levels of an object that is kept as sent; near 1000 the stored state could not be read back
MAX_FAULTS = 5  # in one answer: a list of wrong items must not make an answer larger than the request
_INT64 = 1 << 63  # SQLite's integers have 64 bits and a sign
_MAX_PORT = 65_535

# One sentence for each fault; nothing at all, in the hot path, for a value that is fine.
_Faults = Sequence[str]
_Check = Callable[[str, Any], _Faults]
_NUMBER: Final = (int, float)
_CONTAINER: Final = (dict, list)


def is_user_id(value: str) -> bool:
    """Whether this can be the id of a user: 1 to 512 printable characters."""
    return 0 < len(value) <= MAX_USER_ID and value.isprintable()


def _fault(path: str, expected: str, got: str) -> _Faults:
    return (f"Field '{path}' must be {expected}, got {got}",)


def _text(path: str, value: Any) -> _Faults:
    return () if isinstance(value, str) else _fault(path, "a string", kind(value))


def _filled(path: str, value: Any) -> _Faults:
    return () if isinstance(value, str) and value else _fault(path, "a non-empty string", kind(value))


def _user_id(path: str, value: Any) -> _Faults:
    if isinstance(value, str) and is_user_id(value):
        return ()
    expected = f"a string of 1 to {MAX_USER_ID} printable characters"
    if not isinstance(value, str) or not value:
        return _fault(path, expected, kind(value))
    got = f"{len(value)} characters" if len(value) > MAX_USER_ID else "one that is not printable"
    return _fault(path, expected, got)


def _timestamp(path: str, value: Any) -> _Faults:
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return ()
    got = "another string" if isinstance(value, str) and value else kind(value)
    return _fault(path, "an ISO 8601 timestamp", got)


def _minutes(limit: float) -> _Check:
    def check(path: str, value: Any) -> _Faults:
        if isinstance(value, bool) or not isinstance(value, _NUMBER) or value <= 0:
            return _fault(path, "a number of minutes greater than 0", kind(value))
        return _fault(path, f"at most {limit} minutes", kind(value)) if value > limit else ()

    return check


def _integer(low: int, high: int) -> _Check:
    """Integers as JavaScript writes them: `1.0` is refused, as the stored state's decoder would refuse it."""

    def check(path: str, value: Any) -> _Faults:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            return _fault(path, f"an integer from {low} to {high}", kind(value))
        return ()

    return check


def _object(members: Mapping[str, _Check]) -> _Check:
    """An object with these members; others are kept as they are, so their depth must be bounded."""

    def check(path: str, value: Any) -> _Faults:
        if not isinstance(value, dict):
            return _fault(path, "an object", kind(value))
        faults: list[str] = []
        for name, member in members.items():
            if name not in value:
                faults.append(f"Field '{path}.{name}' is missing")
            elif member(name, value[name]):  # the full path is built only for whoever is at fault
                faults += member(f"{path}.{name}", value[name])
        if _deeper_than(MAX_DEPTH, value):
            faults += _fault(path, f"at most {MAX_DEPTH} levels deep", "more")
        return faults

    return check


def _array_of(check_item: _Check) -> _Check:
    def check(path: str, value: Any) -> _Faults:
        if not isinstance(value, list):
            return _fault(path, "an array", kind(value))
        faults: list[str] = []
        for index, item in enumerate(value):
            if check_item(path, item):
                faults += check_item(f"{path}[{index}]", item)
                if len(faults) >= MAX_FAULTS:
                    break
        return faults

    return check


def _deeper_than(levels: int, value: dict[str, Any] | list[Any]) -> bool:
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    nested = [child for child in children if isinstance(child, _CONTAINER)]  # nearly always none
    return bool(nested) and any(_deeper_than(levels - 1, child) for child in nested)


_VM: Final = {"name": _text, "network_id": _text, "netbird_ip": _text}
_WORKER: Final = {"name": _text, "worker_lab_request_id": _filled, "network_id": _text, "netbird_ip": _text}
_LOAD_BALANCER: Final = {"id": _text, "domain": _text, "port": _integer(0, _MAX_PORT)}


class SessionFields:
    """The table, with the operator's upper limit of `duration` in minutes."""

    def __init__(self, max_duration_minutes: float) -> None:
        # The order is the contract's: it is the order of the names in "Missing required fields".
        self._required: Mapping[str, _Check] = {
            "labId": _text,
            "labTitle": _text,
            "labGroupID": _text,
            "moduleID": _text,
            "duration": _minutes(max_duration_minutes),
            "activatedAt": _timestamp,
            "counterID": _text,
            "configId": _text,
            "workerConfigId": _text,
            "lab_request_id": _filled,
            "user_id": _user_id,
            "terminal_url": _text,
            "validation": _integer(-_INT64, _INT64 - 1),
            "vm": _object(_VM),
        }
        optional: Mapping[str, _Check] = {
            "id": _filled,
            "vscode_domain": _text,
            "puku_domain": _text,
            "worker_nodes": _array_of(_object(_WORKER)),
            "loadBalancers": _array_of(_object(_LOAD_BALANCER)),
        }
        self._all = {**self._required, **optional}
        updatable = (member.encode_name for member in msgspec.structs.fields(LabChanges))
        self._updatable = {name: self._all[name] for name in updatable}

    def lab(self, body: Mapping[str, Any], new_id: str) -> Lab:
        """The lab that a POST describes; `new_id` is its id if it brings none. RefusedError 400."""
        missing = [name for name in self._required if body.get(name) is None]
        if missing:
            text = f"Missing required fields: {', '.join(missing)}"
            raise RefusedError(Problem(400, "missing_fields", text))
        given = _checked(body, self._all)
        return msgspec.convert({"id": new_id, **given}, Lab)

    def changes(self, body: Mapping[str, Any]) -> LabChanges:
        """The changes that a PUT asks for. RefusedError 400."""
        if not body:
            raise RefusedError(EMPTY_BODY)
        given = _checked(body, self._updatable)
        if not given:
            raise RefusedError(NOTHING_TO_UPDATE)
        return msgspec.convert(given, LabChanges)


def _checked(body: Mapping[str, Any], checks: Mapping[str, _Check]) -> dict[str, Any]:
    """The known members of `body` that are not null; RefusedError 400 with their first faults."""
    given: dict[str, Any] = {}
    faults: list[str] = []
    for name, check in checks.items():
        value = body.get(name)
        if value is not None:
            given[name] = value
            faults += check(name, value)
    if faults:
        raise RefusedError(Problem(400, "invalid_field", "; ".join(faults[:MAX_FAULTS])))
    return given
