"""What the sessions' part of the API takes and answers, as JSON Schema."""

from typing import Final

from labsessions.core.record import END_REASONS, EventType
from labsessions.http.checks import Schema
from labsessions.http.errors import OF_REFUSAL
from labsessions.http.extension import SCHEMA as EXTENSION
from labsessions.http.fields import SessionFields
from labsessions.http.shapes import INSTANT, TEXTS, object_of, reference, sse_events
from labsessions.http.stream import GAP

EVENT_TYPES: Final = (*(kind.value for kind in EventType), GAP)
_REASONS: Final = [problem.why_not for problem in OF_REFUSAL.values() if problem.why_not is not None]
_ENDS: Final = (
    "`expired`: cleaned up; `deleted`: by hand; `ended_by_operator`: cleaned up before its time; "
    "`forgotten`: given up by an operator, its VMs may run on"
)


def schemas(fields: SessionFields) -> dict[str, Schema]:
    """By the names that endpoints give their answers and bodies."""
    lab = fields.lab_schema()
    return {
        "Lab": lab,
        "LabChanges": fields.changes_schema(),
        "Extension": EXTENSION,
        "Session": _session(lab),
        "ExtendedSession": {
            "allOf": [reference("Session"), {"required": ["extension"], "properties": {"extension": _granted()}}]
        },
        "Events": sse_events(f"Each event is one of: {', '.join(EVENT_TYPES)}"),
        "Outcome": object_of(
            id={"type": "string"},
            labId={"type": "string"},
            created_at=INSTANT,
            expires_at=INSTANT,
            ended_at=INSTANT,
            reason={"enum": [*END_REASONS], "description": _ENDS},
            attempts={"type": "integer", "minimum": 0, "description": "Cleanup attempts begun"},
            lateness_seconds={"type": ["number", "null"], "description": "From `expires_at` to `ended_at`, if expired"},
        ),
        "Deleted": object_of(user_id={"type": "string"}, deleted={"const": True}),
        "Failure": object_of(
            ("why_not",),
            success={"const": False},
            error={"type": "string", "description": "For people"},
            code={"type": "string", "description": "For programs"},
            request_id={"type": "string"},
            why_not={"type": "string", "description": "As in the session, where that is the reason"},
        ),
        "Health": object_of(
            ("problems",),
            status={"const": "healthy"},
            service={"type": "string"},
            timestamp=INSTANT,
            problems=TEXTS,
        ),
        "Alive": object_of(status={"const": "alive"}),
        "Readiness": object_of(
            (
                "not_configured",
                "stuck",
                "owed_stuck",
                "from_future",
                "undeliverable",
                "overdue_seconds",
                "heartbeat_age_seconds",
                "breaker",
                "free_mib",
                "paused",
            ),
            ready={"type": "boolean"},
            problems=TEXTS,
            not_configured=TEXTS,
            stuck={"type": "integer", "description": "Sessions stuck in cleanup"},
            owed_stuck={"type": "integer", "description": "VMs of deleted sessions that are stuck in cleanup"},
            from_future={
                "type": "integer",
                "description": "Sessions created later than now, by a clock that was ahead",
            },
            undeliverable={"type": "integer", "description": "Wake-ups that cannot be delivered"},
            overdue_seconds={"type": "number", "description": "Age of the oldest wake-up that is due"},
            heartbeat_age_seconds={
                "type": ["number", "null"],
                "description": "How long ago the dispatcher of wake-ups was in order; null: it has ended",
            },
            breaker={"type": "string", "description": "The circuit breaker towards the lab backend"},
            free_mib={"type": "integer", "description": "Room for the data"},
            paused={
                "type": ["object", "null"],
                "description": "Who holds cleanups back, since when, until when and why",
            },
        ),
        "Overview": object_of(
            service={"type": "string"},
            version={"type": "string"},
            endpoints={
                "type": "array",
                "items": object_of(method={"type": "string"}, path={"type": "string"}, description={"type": "string"}),
            },
            not_configured=TEXTS,
        ),
        "Description": {"type": "object"},
        "Page": {"type": "string"},
    }


def _session(lab: Schema) -> Schema:
    """What was sent, with the id that was made if none was, and what the service knows of it."""
    made = {
        "created_at": INSTANT,
        "updated_at": INSTANT,
        "status": {"enum": ["active", "cleaning", "stuck"]},
        "expires_at": INSTANT,
        "remaining_seconds": {"type": "number", "minimum": 0},
        "server_time": INSTANT,
        "max_expires_at": {**INSTANT, "description": "The latest end that it can be given"},
        "extendable": {"type": "boolean", "description": "Whether it could get more time now"},
        "why_not": {"enum": [None, *_REASONS], "description": "Why it could not"},
        "duration": {"type": "number", "exclusiveMinimum": 0, "description": "Minutes from creation to end"},
        "time_factor": {"type": "number", "minimum": 1},
    }
    under_cleanup = {
        "attempts": {"type": "integer", "minimum": 0, "description": "Cleanup attempts begun"},
        "last_error": {"type": ["string", "null"]},
        "next_attempt_at": INSTANT,
    }
    return {
        "type": "object",
        "required": [*(lab["properties"] | made)],
        "properties": {**lab["properties"], "id": {"type": "string"}, **made, **under_cleanup},
    }


def _granted() -> Schema:
    return object_of(
        granted_seconds={"type": "number", "description": "How much later it ends now; less than 0: earlier"},
        partial={"type": "boolean", "description": "Whether more was asked for"},
        left_seconds={"type": "number", "minimum": 0, "description": "How much more it could get"},
    )
