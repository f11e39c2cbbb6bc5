"""What is kept of each fact: a row of `session_events`, small, without the lab, and its type of a closed vocabulary.

A new kind of event is a new type and a case of `_told`. Clients go by the types, so none is ever renamed.
"""

from enum import Enum
from typing import Any, Final, assert_never

import msgspec

from labsessions.core.messages import (
    AttemptFailed,
    AttemptStarted,
    Created,
    Ended,
    Event,
    Expiring,
    Forgotten,
    Owed,
    Settled,
    Stuck,
    TakenOver,
    Updated,
)
from labsessions.core.model import Session
from labsessions.core.operators import BY_OPERATOR, FORGOTTEN
from labsessions.core.projection import iso

# All but the number, `seq`, which the table gives.
EVENT_COLUMNS = ("at", "user_id", "generation", "session_id", "type", "data")
# Of an error, in characters: the whole of it stands in the session as long as it is the last one.
LONGEST_ERROR: Final = 200
# Why a session has ended, as the history and its last event say it.
END_REASONS: Final = ("expired", "deleted", BY_OPERATOR, FORGOTTEN)


class EventType(Enum):
    """What an event is called where it is stored and in the stream of events."""

    CREATED = "session.created"
    UPDATED = "session.updated"
    EXPIRING = "session.expiring"
    CLEANING = "session.cleaning"
    CLEANUP_FAILED = "session.cleanup_failed"
    STUCK = "session.stuck"
    ENDED = "session.ended"
    OWED = "session.owed"
    TAKEN_OVER = "session.taken_over"
    SETTLED = "session.settled"
    FORGOTTEN = "session.forgotten"


def recorded(event: Event, now_ms: int) -> dict[str, Any]:
    """The row of `session_events` for a fact of this instant; `data` is a JSON object, by type."""
    session = event.session
    kind, data = _told(event)
    if session.deleted_ms is not None:
        data["owed"] = True  # it is about the VMs of a session that has ended already
    return {
        "at": iso(now_ms),
        "user_id": session.lab.user_id,
        "generation": session.generation,
        "session_id": session.lab.id,
        "type": kind.value,
        "data": msgspec.json.encode(data).decode(),
    }


def _told(event: Event) -> tuple[EventType, dict[str, Any]]:  # noqa: C901, PLR0911 - one for each kind
    match event:
        case Created(session):
            return EventType.CREATED, {"expires_at": iso(session.expires_ms)}
        case Updated(session, old_expires_ms):
            return EventType.UPDATED, {
                "expires_at": iso(session.expires_ms),
                "old_expires_at": iso(old_expires_ms),
            }
        case Expiring(session, at_ms):
            left_seconds = (session.expires_ms - at_ms) / 1000
            return EventType.EXPIRING, {"expires_at": iso(session.expires_ms), "remaining_seconds": left_seconds}
        case AttemptStarted(session):
            return EventType.CLEANING, _attempts(session)
        case AttemptFailed(session):
            return EventType.CLEANUP_FAILED, {**_attempts(session), **_failure(session)}
        case Stuck(session):
            return EventType.STUCK, _attempts(session)
        case Ended(session, reason):
            late_ms = event.lateness_ms
            return EventType.ENDED, {
                "reason": reason,
                **_attempts(session),
                "lateness_seconds": None if late_ms is None else late_ms / 1000,
            }
        case Owed(session):
            return EventType.OWED, {"vms": len(session.pending)}
        case TakenOver(_, vms):
            return EventType.TAKEN_OVER, {"vms": len(vms)}
        case Settled(session):
            return EventType.SETTLED, {"vms": len(session.vms)}
        case Forgotten(session):
            return EventType.FORGOTTEN, {"vms": len(session.pending)}
        case _:  # pragma: no cover
            assert_never(event)


def _attempts(session: Session) -> dict[str, Any]:
    return {"attempts": 0 if session.cleanup is None else session.cleanup.attempts}


def _failure(session: Session) -> dict[str, Any]:
    cleanup = session.cleanup
    error = None if cleanup is None else cleanup.last_error
    return {
        "error": None if error is None else error[:LONGEST_ERROR],
        "next_attempt_at": None if cleanup is None else iso(cleanup.retry_ms),
    }
