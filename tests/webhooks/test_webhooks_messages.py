"""What an event looks like to a receiver: its type, its body, its id."""

from typing import Any

import msgspec
import pytest

from labsessions.core.record import END_REASONS, EventType
from labsessions.webhooks.messages import TYPES, USUAL, message

ROW: dict[str, Any] = {
    "seq": 4711,
    "at": "2026-11-25T08:00:00.123Z",
    "user_id": "ada",
    "generation": "g-1",
    "session_id": "s-1",
    "type": "session.cleanup_failed",
    "data": '{"attempts":1,"error":"HTTP 500"}',
}


def test_the_body() -> None:
    """Type, instant, and what is stored, with the ids before it."""
    told = message("ops", ROW)
    assert msgspec.json.decode(told.body) == {
        "type": "session.cleanup_failed",
        "timestamp": "2026-11-25T08:00:00.123Z",
        "data": {"seq": 4711, "user_id": "ada", "session_id": "s-1", "attempts": 1, "error": "HTTP 500"},
    }
    assert (told.seq, told.type, told.at) == (4711, "session.cleanup_failed", ROW["at"])


def test_the_id_is_the_same_in_each_process() -> None:
    """Receivers keep it: here it is, letter by letter."""
    assert message("ops", ROW) == message("ops", dict(ROW))
    assert message("ops", ROW).id == "msg_c3d8acffe1165a43afd78c8d81d0e441"


@pytest.mark.parametrize("change", [{"seq": 4712}, {"generation": "g-2"}, {"at": "2026-11-25T08:00:00.124Z"}])
def test_another_event_or_endpoint_has_another_id(change: dict[str, Any]) -> None:
    """Also one that got the same number after a restore."""
    ids = {message("ops", ROW).id, message("other", ROW).id, message("ops", ROW | change).id}
    assert len(ids) == 3


ENDS = {
    "expired": "session.cleaned",
    "ended_by_operator": "session.cleaned",
    "deleted": "session.deleted",
    "forgotten": "session.forgotten",
}


@pytest.mark.parametrize("reason", ENDS)
def test_an_end_is_told_by_what_has_become_of_the_session(reason: str) -> None:
    """By hand it is `deleted`; `cleaned` says that all VMs are gone, `forgotten` that nobody knows."""
    assert set(END_REASONS) <= ENDS.keys()
    told = message("ops", ROW | {"type": "session.ended", "data": msgspec.json.encode({"reason": reason}).decode()})
    assert told.type == ENDS[reason]
    assert told.type in USUAL


@pytest.mark.parametrize("kind", EventType)
def test_every_stored_type_can_be_asked_for(kind: EventType) -> None:
    """None is left out."""
    assert message("ops", ROW | {"type": kind.value}).type in TYPES
