"""What is said of the routes by which operators act, and of what they take and answer."""

from collections.abc import Mapping
from typing import Any, Final

from labsessions.core.messages import Refusal
from labsessions.http.admin.audit import LARGEST_PAGE, PAGE
from labsessions.http.checks import Schema
from labsessions.http.endpoints import Answer, Endpoint, Parameter
from labsessions.http.errors import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    BODY_UNREADABLE,
    COUNT_CHANGED,
    EMPTY_BODY,
    INVALID_FIELD,
    INVALID_JSON,
    INVALID_OPERATOR,
    INVALID_PARAMETER,
    MISSING_FIELDS,
    NOT_AN_OBJECT,
    NOT_PAUSED,
    OF_REFUSAL,
)
from labsessions.http.scopes import Scope
from labsessions.http.shapes import COUNT, INSTANT, TEXTS

ADMIN: Final = "/api/v1/admin"
_OF_ACTION: Final = (
    *(BODY_UNREADABLE, INVALID_JSON, NOT_AN_OBJECT, INVALID_FIELD, BODY_TOO_SLOW, BODY_TOO_LARGE),
    INVALID_OPERATOR,
)
_NOT_FOUND: Final = OF_REFUSAL[Refusal.NOT_FOUND]

EXTEND: Final = Endpoint(
    "POST",
    f"{ADMIN}/sessions/{{user_id}}/extend",
    "Move the end of a user's lab session",
    Scope.ADMIN,
    answers=(Answer(200, "Lab session extended successfully", "ExtendedSession"),),
    body="OperatorsExtension",
    problems=(
        *(*_OF_ACTION, EMPTY_BODY, MISSING_FIELDS, _NOT_FOUND),
        *(OF_REFUSAL[Refusal.BEING_CLEANED], OF_REFUSAL[Refusal.LIMIT_REACHED]),
    ),
)
END: Final = Endpoint(
    "POST",
    f"{ADMIN}/sessions/{{user_id}}/end",
    "End a user's lab session now: its VMs are deleted by the ordinary cleanup",
    Scope.ADMIN,
    answers=(Answer(200, "Lab session ends now", "Session"),),
    body="WithReason",
    problems=(*_OF_ACTION, _NOT_FOUND, OF_REFUSAL[Refusal.BEING_CLEANED]),
)
RETRY: Final = Endpoint(
    "POST",
    f"{ADMIN}/sessions/{{user_id}}/retry",
    "Make the next cleanup attempt for a user due now",
    Scope.ADMIN,
    answers=(Answer(200, "Next cleanup attempt is due now", "Concerned"),),
    body="WithReason",
    problems=(
        *(*_OF_ACTION, _NOT_FOUND),
        *(OF_REFUSAL[Refusal.NOTHING_WAITS], OF_REFUSAL[Refusal.ATTEMPT_RUNNING]),
    ),
)
FORGET: Final = Endpoint(
    "POST",
    f"{ADMIN}/sessions/{{user_id}}/forget",
    "Give a user's lab session up, and what is owed of earlier ones: their VMs may run on",
    Scope.ADMIN,
    answers=(Answer(200, "Lab session forgotten, its VMs may still run", "Concerned"),),
    body="Forget",
    problems=(*_OF_ACTION, MISSING_FIELDS, _NOT_FOUND, OF_REFUSAL[Refusal.CHANGED]),
)
RETRY_MANY: Final = Endpoint(
    "POST",
    f"{ADMIN}/retry",
    "Make the next cleanup attempt due now for all whom a filter matches, or count them",
    Scope.ADMIN,
    answers=(Answer(200, "Waiting cleanups matched", "RetriedMany"),),
    body="RetryMany",
    problems=(*_OF_ACTION, MISSING_FIELDS, COUNT_CHANGED),
)
PAUSED: Final = Endpoint(
    "GET",
    f"{ADMIN}/pause",
    "Show whether cleanups are paused",
    Scope.ADMIN,
    answers=(Answer(200, "Pause retrieved successfully", "Paused"),),
)
PAUSE: Final = Endpoint(
    "POST",
    f"{ADMIN}/pause",
    "Let no cleanup attempt begin until then",
    Scope.ADMIN,
    answers=(Answer(200, "Cleanups are paused", "Paused"),),
    body="Pause",
    problems=(*_OF_ACTION, MISSING_FIELDS),
)
RESUME: Final = Endpoint(
    "POST",
    f"{ADMIN}/resume",
    "Let cleanups go on before the end of their pause",
    Scope.ADMIN,
    answers=(Answer(200, "Cleanups go on", "Paused"),),
    body="Nothing",
    problems=(*_OF_ACTION, NOT_PAUSED),
)
AUDIT: Final = Endpoint(
    "GET",
    f"{ADMIN}/audit",
    "Show what operators have done, the newest first",
    Scope.ADMIN,
    answers=(Answer(200, "Audit retrieved successfully", "Audit"),),
    problems=(INVALID_PARAMETER,),
    query=(
        Parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
            f"How many entries at most, {PAGE} if it is absent",
        ),
        Parameter("cursor", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "`next_cursor` of the page before"),
    ),
)


CONCERNED: Final[Schema] = {
    "type": "object",
    "required": ["user_id", "session_ids", "vms"],
    "properties": {
        "user_id": {"type": "string"},
        "session_ids": {**TEXTS, "description": "Of the session, and of those of which VMs are owed"},
        "vms": {**TEXTS, "description": "Their VMs that the backend has not confirmed"},
    },
}
RETRIED_MANY: Final[Schema] = {
    "type": "object",
    "required": ["matched", "retried", "running", "failed", "dry_run"],
    "properties": {
        "matched": {**COUNT, "description": "Users whom the filter matches"},
        "retried": {**COUNT, "description": "Of them, whose next attempt is due now"},
        "running": {**COUNT, "description": "Of them, whose attempt runs already"},
        "failed": {**COUNT, "description": "Of them, who could not be written; the log says why"},
        "dry_run": {"type": "boolean"},
    },
}
PAUSE_SHOWN: Final[Schema] = {
    "type": "object",
    "required": ["paused"],
    "properties": {
        "paused": {
            "type": ["object", "null"],
            "required": ["since", "until", "remaining_seconds", "reason", "by"],
            "properties": {
                "since": INSTANT,
                "until": INSTANT,
                "remaining_seconds": {"type": "number", "minimum": 0},
                "reason": {"type": "string"},
                "by": {"type": "string"},
            },
        }
    },
}
AUDIT_PAGE: Final[Schema] = {
    "type": "object",
    "required": ["entries", "next_cursor"],
    "properties": {
        "entries": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["seq", "at", "who", "action", "user_id", "reason", "detail", "outcome"],
                "properties": {
                    "seq": {"type": "integer"},
                    "at": INSTANT,
                    "who": {"type": "string", "description": "As the operator called itself"},
                    "action": {"type": "string"},
                    "user_id": {"type": ["string", "null"]},
                    "reason": {"type": ["string", "null"]},
                    "detail": {"type": "object"},
                    "outcome": {"type": "string", "description": "`done`, `begun`, or why not"},
                },
            },
        },
        "next_cursor": {"type": ["string", "null"], "description": "Of the next page; null on the last one"},
    },
}
EXAMPLES: Final[Mapping[str, Any]] = {
    "OperatorsExtension": {"minutes": 30, "reason": "The exam goes on"},
    "WithReason": {"reason": "Course cancelled"},
    "RetryMany": {"status": "stuck", "error": "HTTP 503", "dry_run": False, "expected": 0, "reason": "It is up again"},
    "Pause": {"minutes": 30, "reason": "The lab backend is being moved"},
    "Nothing": {},
    "Forget": {"reason": "Deleted by hand at the provider", "session_id": "5f0c7d3e-session"},
}
