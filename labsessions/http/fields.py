"""The field table of CONTRACT §1, and from a checked body the core's `Lab` or `LabChanges`.

Null means absent; unknown members are ignored.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import structs

from labsessions.core.model import Lab, LabChanges
from labsessions.http.checks import (
    FILLED,
    MAX_FAULTS,
    TEXT,
    TIMESTAMP,
    USER_ID,
    Check,
    Find,
    Schema,
    an_object,
    array_of,
    integer,
    minutes,
    number,
)
from labsessions.http.errors import EMPTY_BODY, INVALID_FIELD, MISSING_FIELDS, NOTHING_TO_UPDATE, RefusedError

_INT64: Final = 1 << 63  # SQLite's integers have 64 bits and a sign
_MAX_PORT: Final = 65_535
_MAX_TIME_FACTOR: Final = 10  # WCAG 2.2.1: a time limit that can be extended to ten times its length

_VM: Final = {"name": TEXT, "network_id": TEXT, "netbird_ip": TEXT}
_WORKER: Final = {"name": TEXT, "worker_lab_request_id": FILLED, "network_id": TEXT, "netbird_ip": TEXT}
_LOAD_BALANCER: Final = {"id": TEXT, "domain": TEXT, "port": integer(0, _MAX_PORT)}


class SessionFields:
    """The table, with the operator's upper limits of `duration` in minutes: on create, and with all extensions."""

    def __init__(self, max_duration_minutes: float, max_total_minutes: float) -> None:
        # The order is the contract's: it is the order of the names in "Missing required fields".
        required: Mapping[str, Check] = {
            "labId": TEXT,
            "labTitle": TEXT,
            "labGroupID": TEXT,
            "moduleID": TEXT,
            "duration": minutes(min(max_duration_minutes, max_total_minutes)),
            "activatedAt": TIMESTAMP,
            "counterID": TEXT,
            "configId": TEXT,
            "workerConfigId": TEXT,
            "lab_request_id": FILLED,
            "user_id": USER_ID,
            "terminal_url": TEXT,
            "validation": integer(-_INT64, _INT64 - 1),
            "vm": an_object(_VM),
        }
        optional: Mapping[str, Check] = {
            "id": FILLED,
            "vscode_domain": TEXT,
            "puku_domain": TEXT,
            "worker_nodes": array_of(an_object(_WORKER)),
            "loadBalancers": array_of(an_object(_LOAD_BALANCER)),
            "time_factor": number(1, _MAX_TIME_FACTOR, "Multiplies the duration for who needs more time"),
        }
        self._required = tuple(required)
        self._checks = {**required, **optional}
        updatable = {member.encode_name: self._checks[member.encode_name] for member in structs.fields(LabChanges)}
        self._updatable = {**updatable, "duration": minutes(max_total_minutes)}
        # Looked up by name for each request: without the way through the checks.
        self._of_lab = finders(self._checks)
        self._of_changes = finders(self._updatable)

    def lab(self, body: Mapping[str, Any], new_id: str) -> Lab:
        """The lab that a POST describes; `new_id` is its id if it brings none. RefusedError 400."""
        missing = [name for name in self._required if body.get(name) is None]
        if missing:
            text = f"Missing required fields: {', '.join(missing)}"
            raise RefusedError(MISSING_FIELDS.saying(text))
        given = checked(body, self._of_lab)
        return msgspec.convert({"id": new_id, **given}, Lab)

    def changes(self, body: Mapping[str, Any]) -> LabChanges:
        """The changes that a PUT asks for. RefusedError 400."""
        if not body:
            raise RefusedError(EMPTY_BODY)
        given = checked(body, self._of_changes)
        if not given:
            raise RefusedError(NOTHING_TO_UPDATE)
        return msgspec.convert(given, LabChanges)

    def lab_schema(self) -> Schema:
        """What `lab` accepts."""
        properties = {
            name: check.schema if name in self._required else or_null(check.schema)
            for name, check in self._checks.items()
        }
        return {"type": "object", "required": [*self._required], "properties": properties}

    def changes_schema(self) -> Schema:
        """What `changes` accepts."""
        something = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in self._updatable]
        properties = {name: or_null(check.schema) for name, check in self._updatable.items()}
        return {"type": "object", "anyOf": something, "properties": properties}


def or_null(schema: Schema) -> Schema:
    """What is optional may be null, too."""
    return {**schema, "type": [schema["type"], "null"]}


def finders(checks: Mapping[str, Check]) -> dict[str, Find]:
    """How `checked` wants to have checks."""
    return {name: check.find for name, check in checks.items()}


def checked(body: Mapping[str, Any], finders: Mapping[str, Find]) -> dict[str, Any]:
    """The known members of `body` that are not null; RefusedError 400 with their first faults."""
    given: dict[str, Any] = {}
    faults: list[str] = []
    for name, find in finders.items():
        value = body.get(name)
        if value is not None:
            given[name] = value
            faults += find(name, value)
    if faults:
        raise RefusedError(INVALID_FIELD.saying("; ".join(faults[:MAX_FAULTS])))
    return given
