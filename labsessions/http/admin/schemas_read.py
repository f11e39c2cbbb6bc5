"""What the answers to operators look like, for the API's description; each with an example of a whole answer's data."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from labsessions.core.model import Status
from labsessions.core.record import END_REASONS
from labsessions.http.checks import Schema
from labsessions.http.shapes import COUNT, INSTANT, INSTANT_OR_NULL, TEXT, TEXT_OR_NULL, object_of

_NUMBER: Final = {"type": "number"}
_NUMBER_OR_NULL: Final = {"type": ["number", "null"]}
_AT: Final = "2027-01-15T09:00:00.000Z"


def _object(example: Mapping[str, Any] | None = None, **members: Schema) -> dict[str, Any]:
    schema = object_of(**members)
    return schema if example is None else {**schema, "examples": [example]}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "null"}]}


def _list(of: Schema) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _told(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


_ITEM_EXAMPLE: Final = {
    "user_id": "ada",
    "id": "0b0e7a5c-5a0f-4f0e-9a9f-7a1f0a4f1c11",
    "labId": "k8s-101",
    "labTitle": "Pods – first steps",
    "labGroupID": "group-7",
    "lab_request_id": "vm-4711",
    "status": "cleaning",
    "overdue": True,
    "created_at": "2027-01-15T08:00:00.000Z",
    "expires_at": _AT,
    "remaining_seconds": -252.0,
    "attempts": 1,
    "last_error": "1 of 1 VMs not deleted: vm-4711 (master): HTTP 503",
    "next_attempt_at": "2027-01-15T09:05:03.000Z",
    "duration": 60,
}
_ITEM: Final = _object(
    _ITEM_EXAMPLE,
    user_id=TEXT,
    id=TEXT,
    labId=TEXT,
    labTitle=TEXT,
    labGroupID=TEXT,
    lab_request_id=TEXT,
    status={"enum": [*get_args(Status)]},
    overdue=_told({"type": "boolean"}, "Whether the deadline has passed"),
    created_at=INSTANT,
    expires_at=INSTANT,
    remaining_seconds=_told(_NUMBER, "To the deadline; less than 0 if it has passed"),
    attempts=_told(COUNT, "Cleanup attempts begun"),
    last_error=TEXT_OR_NULL,
    next_attempt_at=INSTANT_OR_NULL,
    duration=_told(_NUMBER, "Minutes from creation to the deadline"),
)
_ENDED_EXAMPLE: Final = {
    "generation": "7c1f4d5e-0d0b-4a5e-8a63-3d6c3b1f2a10",
    "user_id": "ada",
    "id": "0b0e7a5c-5a0f-4f0e-9a9f-7a1f0a4f1c11",
    "labId": "k8s-101",
    "created_at": "2027-01-15T08:00:00.000Z",
    "expires_at": _AT,
    "ended_at": "2027-01-15T09:00:01.204Z",
    "reason": "expired",
    "attempts": 1,
    "lateness_seconds": 1.204,
    "last_error": None,
}
_ENDED: Final = _object(
    generation=_told(TEXT, "The service's own id of this session"),
    user_id=TEXT,
    id=TEXT,
    labId=TEXT,
    created_at=INSTANT,
    expires_at=INSTANT,
    ended_at=INSTANT,
    reason={"enum": [*END_REASONS]},
    attempts=COUNT,
    lateness_seconds=_told(_NUMBER_OR_NULL, "From the deadline to the end, if it expired"),
    last_error=_told(TEXT_OR_NULL, "Of the last attempt that failed"),
)
_EVENT_EXAMPLE: Final = {
    "seq": 4711,
    "at": _AT,
    "type": "session.cleaning",
    "session_id": "0b0e7a5c-5a0f-4f0e-9a9f-7a1f0a4f1c11",
    "data": {"attempts": 1},
}
_EVENT: Final = _object(seq=COUNT, at=INSTANT, type=TEXT, session_id=TEXT, data={"type": "object"})
_OWED: Final = _object(
    lab_request_id=TEXT,
    since=_told(INSTANT, "When the session was deleted"),
    attempts=COUNT,
    status={"enum": ["cleaning", "stuck"]},
    last_error=TEXT_OR_NULL,
    next_attempt_at=INSTANT,
)
_GROUP: Final = _object(
    error=TEXT,
    count=COUNT,
    oldest_since=_told(INSTANT, "The earliest deadline among them"),
    example_user_id=_told(TEXT, "Whose deadline that is"),
)
_ROW: Final = _object(
    key=_told(TEXT, "The day (UTC) or the `labId`"),
    ended=COUNT,
    by_reason=_told({"type": "object", "additionalProperties": COUNT}, "How many ended why"),
    attempts_mean=_NUMBER,
    attempts_max=COUNT,
    late_p50_seconds=_told(_NUMBER_OR_NULL, "Half of those that expired were no later, to two digits"),
    late_p95_seconds=_told(_NUMBER_OR_NULL, "Likewise 95 %"),
    late_max_seconds=_NUMBER_OR_NULL,
)
_COUNTS: Final = ("active", "ending_soon", "cleaning", "overdue", "stuck", "owed", "owed_stuck")
_CURSOR: Final = _told(TEXT_OR_NULL, "For the next page, as `cursor`; null at the end")

SCHEMAS: Final[Mapping[str, Schema]] = {
    "AdminOverview": _object(
        {
            "server_time": _AT,
            "version": "0.1.0",
            "started_at": "2027-01-14T06:00:00.000Z",
            "verdict": {"ok": True, "text": "every session on time", "since": None},
            "problems": [],
            "counts": dict.fromkeys(_COUNTS, 0) | {"active": 412, "ending_soon": 30},
            "oldest_overdue_seconds": None,
            "scheduler": {"heartbeat_age_seconds": 0, "paused": None, "clock_problem": None},
            "backend": {"state": "up", "since": None, "last_error": None},
            "last_backup": {"at": "2027-01-15T03:00:00.000Z", "age_seconds": 21600},
            "resident_actors": 40,
            "effects_running": 0,
            "test_clock": False,
        },
        server_time=INSTANT,
        version=TEXT,
        started_at=INSTANT,
        verdict=_object(
            ok={"type": "boolean"}, text=_told(TEXT, "One sentence"), since=_told(INSTANT_OR_NULL, "If not ok")
        ),
        problems=_told(_list(TEXT), "As in readiness"),
        counts=_told(_or_null(_object(**dict.fromkeys(_COUNTS, COUNT))), "Null if the store cannot be read"),
        oldest_overdue_seconds=_NUMBER_OR_NULL,
        scheduler=_object(
            heartbeat_age_seconds=_told(_NUMBER_OR_NULL, "How long ago it was in order; null if it has ended"),
            paused=_or_null(_object(since=INSTANT, until=INSTANT, reason=TEXT, by=TEXT)),
            clock_problem=TEXT_OR_NULL,
        ),
        backend=_object(
            state={"enum": ["up", "down", "probing", "unknown"]},
            since=_told(INSTANT_OR_NULL, "Since when it has been down"),
            last_error=_told(TEXT_OR_NULL, "Of the last cleanup attempt, if that failed"),
        ),
        last_backup=_or_null(_object(at=INSTANT, age_seconds=_NUMBER)),
        resident_actors=COUNT,
        effects_running=COUNT,
        test_clock=_told({"type": "boolean"}, "Whether time is driven by clients"),
    ),
    "AdminExpiries": _object(
        {
            "start": _AT,
            "bucket_seconds": 300,
            "buckets": [0, 3, 120],
            "overdue": 0,
            "drain_per_second": 12.5,
            "limit_per_second": None,
        },
        start=INSTANT,
        bucket_seconds=COUNT,
        buckets=_told(_list(COUNT), "How many deadlines are in each; of the first, only those still to come"),
        overdue=COUNT,
        drain_per_second=_told(_NUMBER_OR_NULL, "The most that were cleaned up lately; else what the limit allows"),
        limit_per_second=_told(_NUMBER_OR_NULL, "`cleanup.rate_per_second`; null is no limit"),
    ),
    "AdminSessions": _object(
        {"sessions": [_ITEM_EXAMPLE], "next_cursor": None, "total": 1},
        sessions=_list(_ITEM),
        next_cursor=_CURSOR,
        total=_told({"type": ["integer", "null"]}, "How many there are in all; null where counting would be dear"),
    ),
    "AdminUser": _object(
        {"session": None, "owed": [], "events": [_EVENT_EXAMPLE], "last_ended": _ENDED_EXAMPLE},
        session=_or_null(_told(_ITEM, "With all that is stored of it")),
        owed=_told(_list(_OWED), "VMs of deleted sessions that the backend has still to confirm"),
        events=_told(_list(_EVENT), "The newest 50, the newest first"),
        last_ended=_or_null(_ENDED),
    ),
    "AdminEvents": _object(
        {"events": [_EVENT_EXAMPLE], "next_before": None},
        events=_list(_EVENT),
        next_before=_told({"type": ["integer", "null"]}, "For the next page, as `before`; null at the end"),
    ),
    "AdminHistory": _object({"ended": [_ENDED_EXAMPLE], "next_cursor": None}, ended=_list(_ENDED), next_cursor=_CURSOR),
    "AdminAnalytics": _object(
        {
            "rows": [
                {
                    "key": "2027-01-15",
                    "ended": 480,
                    "by_reason": {"deleted": 60, "expired": 420},
                    "attempts_mean": 0.9,
                    "attempts_max": 3,
                    "late_p50_seconds": 0.3,
                    "late_p95_seconds": 2.1,
                    "late_max_seconds": 301.7,
                }
            ]
        },
        rows=_list(_ROW),
    ),
    "AdminFailures": _object(
        {"groups": [{"error": "HTTP 503", "count": 3, "oldest_since": _AT, "example_user_id": "ada"}]},
        groups=_list(_GROUP),
    ),
}
