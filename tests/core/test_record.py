"""What is kept of each fact: its type, whose it is, and a few words; never the lab."""

import json
from typing import Any

from builders import GENERATION, HOUR, MASTER, MINUTE, NOW, POLICY, User, lab, worker_nodes
from msgspec import structs

from labsessions.core.messages import Create, Delete, Event, Expiring, TakenOver, Update, Wake
from labsessions.core.model import LabChanges
from labsessions.core.projection import iso
from labsessions.core.record import END_REASONS, EVENT_COLUMNS, LONGEST_ERROR, EventType, recorded

AT = NOW + 7


def told(event: Event) -> tuple[str, dict[str, Any]]:
    """Type and data of the row."""
    row = recorded(event, AT)
    return row["type"], json.loads(row["data"])


def events(user: User, message: Any, now_ms: int) -> list[tuple[str, dict[str, Any]]]:
    """What is kept of what the message leads to."""
    return [told(event) for event in user.say(message, now_ms).events]


def test_a_row_says_when_whose_and_what() -> None:
    """All columns in their order; the number is the table's."""
    user = User().create()
    (event,) = user.say(Update(LabChanges(duration=90)), NOW + 1).events
    row = recorded(event, AT)
    assert tuple(row) == EVENT_COLUMNS
    assert row == {
        "at": iso(AT),
        "user_id": "user-1",
        "generation": GENERATION,
        "session_id": "session-1",
        "type": "session.updated",
        "data": row["data"],
    }


def test_the_life_of_a_session() -> None:
    """Created, changed, cleaned in vain until it is stuck, ended: one event each, in that order."""
    user = User()
    assert [told(event) for event in _created(user)] == [("session.created", {"expires_at": iso(NOW + HOUR)})]
    assert events(user, Update(LabChanges(terminal_url="wss://x")), NOW + 1) == [
        ("session.updated", {"expires_at": iso(NOW + HOUR), "old_expires_at": iso(NOW + HOUR)})
    ]
    assert events(user, Update(LabChanges(duration=61)), NOW + 2) == [
        ("session.updated", {"expires_at": iso(NOW + HOUR + MINUTE), "old_expires_at": iso(NOW + HOUR)})
    ]
    for attempt in range(1, POLICY.stuck_after + 1):
        user.expire()
        at_ms = user.cleanup.retry_ms
        said = events(user, user.outcome(error="no " * 99), at_ms - 1)
        failed = {
            "attempts": attempt,
            "error": ("no " * 99)[:LONGEST_ERROR],
            "next_attempt_at": iso(user.cleanup.retry_ms),
        }
        stuck = [("session.stuck", {"attempts": attempt})] if attempt == POLICY.stuck_after else []
        assert said == [("session.cleanup_failed", failed), *stuck]
    user.expire()
    ended_ms = user.session.expires_ms + 1_500
    assert events(user, user.outcome(MASTER), ended_ms) == [
        ("session.ended", {"reason": "expired", "attempts": POLICY.stuck_after + 1, "lateness_seconds": 1.5})
    ]


def _created(user: User) -> tuple[Event, ...]:
    return user.say(Create(GENERATION, lab()), NOW).events


def test_a_session_s_end_is_near() -> None:
    """What is left stands beside the deadline."""
    session = User().create().session
    assert told(Expiring(session, NOW + HOUR - 300_000)) == (
        "session.expiring",
        {"expires_at": iso(NOW + HOUR), "remaining_seconds": 300.0},
    )


def test_an_attempt_begins() -> None:
    """The first one means that the time is over."""
    user = User().create()
    assert events(user, Wake(), user.due_ms) == [("session.cleaning", {"attempts": 1})]


def test_a_session_deleted_by_hand_was_never_late() -> None:
    """And has ended, whatever becomes of its VMs."""
    assert events(User().create(), Delete(), NOW + 1) == [
        ("session.ended", {"reason": "deleted", "attempts": 0, "lateness_seconds": None})
    ]


def test_what_comes_after_a_delete_is_marked() -> None:
    """The cleanup of an obligation isn't one of the session that the user may have by then."""
    user = User(structs.replace(POLICY, owed_after_ms=1_000)).create(worker_nodes=worker_nodes("w1"))
    (ended, owed) = events(user, Delete(), NOW + 1)
    assert ended[0] == "session.ended"
    assert "owed" not in ended[1]
    assert owed == ("session.owed", {"vms": 2, "owed": True})
    assert events(user, Wake(), user.due_ms) == [("session.cleaning", {"attempts": 1, "owed": True})]
    assert events(user, user.outcome(MASTER, "w1"), NOW + HOUR) == [("session.settled", {"vms": 2, "owed": True})]


def test_a_vm_that_a_newer_session_has_taken_over() -> None:
    """It belongs to the obligation no more."""
    user = User(structs.replace(POLICY, owed_after_ms=1_000)).create()
    user.say(Delete(), NOW + 1)
    (part,) = user.state.owed
    assert told(TakenOver(part, (MASTER,))) == ("session.taken_over", {"vms": 1, "owed": True})


def test_the_row_of_an_event_is_lean() -> None:
    """No lab stands in it: with the ids of a real session it has about 200 bytes."""
    user = User().create(id=GENERATION)
    (event,) = user.say(Delete(), NOW + 1).events
    assert len("".join(recorded(event, AT).values())) < 220


def test_the_types_are_a_closed_vocabulary() -> None:
    """Clients go by them: none is renamed or dropped."""
    assert {kind.value for kind in EventType} >= {
        "session.created",
        "session.updated",
        "session.expiring",
        "session.cleaning",
        "session.cleanup_failed",
        "session.stuck",
        "session.ended",
        "session.owed",
        "session.taken_over",
        "session.settled",
        "session.forgotten",
    }


def test_reasons_are_a_closed_vocabulary() -> None:
    """Those that the history may have."""
    assert END_REASONS == ("expired", "deleted", "ended_by_operator", "forgotten")
