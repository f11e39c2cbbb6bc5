"""What is said of the routes about orphans: their failures, what they take, what they answer."""

from typing import Final

from labsessions.http.admin.operator import REASON, Body
from labsessions.http.checks import FILLED, array_of, boolean, integer, number
from labsessions.http.endpoints import Answer, Endpoint
from labsessions.http.errors import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    BODY_UNREADABLE,
    INVALID_FIELD,
    INVALID_JSON,
    INVALID_OPERATOR,
    MISSING_FIELDS,
    NOT_AN_OBJECT,
    Problem,
)
from labsessions.http.scopes import Scope
from labsessions.http.shapes import COUNT, INSTANT_OR_NULL, object_of

PATH: Final = "/api/v1/admin/orphans"
# A VM is created before its session is: what is younger may be about to get one.
YOUNGEST_MINUTES: Final = 5
_OLDEST_MINUTES: Final = 10 * 366 * 24 * 60
# So many take two minutes.
MOST_SWEPT: Final = 500
MOST_SHOWN: Final = 1_000

UNAVAILABLE: Final = Problem(
    404, "orphans_unavailable", "The backend's list of VMs is not known: set backend.list_path"
)
UNKNOWN: Final = Problem(502, "orphans_unknown", "It cannot be told which VMs are orphans")
RUNNING: Final = Problem(409, "sweep_running", "Another sweep is under way")
CHANGED: Final = Problem(409, "sweep_changed", "Another number of orphans than expected")
NONE_KNOWN: Final = Problem(409, "sweep_none_known", "Not one of the listed VMs is known here")
HELD: Final = Problem(409, "sweep_held", "No VM is deleted at the moment")

REPORT: Final = Endpoint(
    "GET",
    PATH,
    "List VMs of the backend that no session speaks of",
    Scope.ADMIN,
    answers=(Answer(200, "Orphans retrieved successfully", "Orphans"),),
    problems=(UNAVAILABLE, UNKNOWN),
)
SWEEP: Final = Endpoint(
    "POST",
    f"{PATH}/sweep",
    "Delete VMs of the backend that no session speaks of",
    Scope.ADMIN,
    answers=(Answer(200, "Sweep ended", "Swept"),),
    body="Sweep",
    problems=(
        *(BODY_UNREADABLE, INVALID_JSON, NOT_AN_OBJECT, INVALID_FIELD, BODY_TOO_SLOW, BODY_TOO_LARGE),
        *(MISSING_FIELDS, INVALID_OPERATOR, UNAVAILABLE, UNKNOWN, RUNNING, CHANGED, NONE_KNOWN, HELD),
    ),
)


_REQUIRED: Final = {
    "min_age_minutes": number(YOUNGEST_MINUTES, _OLDEST_MINUTES, "None younger than this is deleted"),
    "max": integer(1, MOST_SWEPT),
    "dry_run": boolean(),
}
_OPTIONAL: Final = {
    "expected": integer(0, 1 << 31),
    "unknown_age": boolean(),
    "none_known": boolean(),
    "lab_request_ids": array_of(FILLED),
    "reason": REASON,
}
ORDER: Final = Body(_REQUIRED | _OPTIONAL, required=tuple(_REQUIRED))


_VM: Final = object_of(
    lab_request_id={"type": "string"},
    created_at=INSTANT_OR_NULL,
    age_seconds={"type": ["number", "null"]},
    user_id={"type": ["string", "null"]},
)
SCHEMAS: Final = {
    "Orphans": object_of(
        listed={**COUNT, "description": "How many VMs the backend has"},
        known={**COUNT, "description": "How many of them belong to sessions, or are owed their deletion"},
        total=COUNT,
        orphans={"type": "array", "items": _VM, "description": f"The oldest {MOST_SHOWN}"},
    ),
    "Sweep": ORDER.schema,
    "Swept": object_of(
        dry_run={"type": "boolean"},
        matched={**COUNT, "description": "How many there were to delete, more than `max` perhaps"},
        deleted=COUNT,
        failed=COUNT,
        stopped={"type": ["string", "null"], "description": "Why it ended before the last of them"},
        vms={
            "type": "array",
            "items": {
                **_VM,
                "properties": {
                    **_VM["properties"],
                    "outcome": {
                        "enum": ["deleted", "failed", "kept"],
                        "description": "`kept`: it is no orphan any more",
                    },
                    "error": {"type": ["string", "null"]},
                },
            },
        },
    ),
}
EXAMPLES: Final = {"Sweep": {"min_age_minutes": 60, "max": 10, "dry_run": True}}
