"""What is counted of facts, calls and requests."""

import pytest
from builders import NOW, POLICY, User, worker_nodes
from msgspec import structs

from labsessions.core.messages import Create, Delete, Event, Message, Wake
from labsessions.metrics.tally import Tally


class Counted(User):
    """A user whose facts are counted."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(structs.replace(POLICY, stuck_after=2))
        self.tally = tally

    def say(self, message: Message, now_ms: int):  # type: ignore[no-untyped-def]  # noqa: ANN201 - as in `User`
        """See `User`."""
        decision = super().say(message, now_ms)
        self.tally.happened(decision.events)
        return decision


@pytest.fixture
def tally() -> Tally:
    """Nothing counted yet."""
    return Tally()


def attempts(tally: Tally) -> tuple[int, ...]:
    """Begun, confirmed, failed, abandoned."""
    return (tally.attempts_started, *(tally.attempts[outcome] for outcome in ("confirmed", "failed", "abandoned")))


def ended(tally: Tally) -> dict[str, int]:
    """Those reasons that there were."""
    return {reason: number for reason, number in tally.ended.items() if number}


def test_a_session_that_is_cleaned_up_late(tally: Tally) -> None:
    """Its lateness is from the deadline to the last confirmation: here one failure, then 1 s after the retry began."""
    user = Counted(tally).create(duration=1).expire().fail()
    user.expire()
    confirmed_ms = user.due_ms
    user.say(user.outcome(*user.session.vms), confirmed_ms)
    assert (tally.created, ended(tally), attempts(tally)) == (1, {"expired": 1}, (2, 1, 1, 0))
    assert sum(tally.lateness.counts) == 1
    assert tally.lateness.total == pytest.approx((confirmed_ms - NOW) / 1000 - 60)
    assert tally.stuck == 0


def test_a_session_that_is_deleted_by_hand_has_no_lateness(tally: Tally) -> None:
    """Nor an attempt, unless one was running: that one is abandoned."""
    Counted(tally).create().say(Delete(), NOW)
    assert (ended(tally), attempts(tally)) == ({"deleted": 1}, (0, 0, 0, 0))
    cleaning = Counted(tally).create().expire()
    cleaning.say(Delete(), cleaning.due_ms)
    assert (tally.ended["deleted"], attempts(tally)) == (2, (1, 0, 0, 1))
    assert sum(tally.lateness.counts) == 0


def test_a_label_is_counted_once(tally: Tally) -> None:
    """However often the cleanup fails after it."""
    user = Counted(tally).create(worker_nodes=worker_nodes("w"))
    for _ in range(4):
        user.expire().fail()
    assert (tally.stuck, attempts(tally)) == (1, (4, 0, 4, 0))


def test_owed_vms_are_attempts_too(tally: Tally) -> None:
    """Confirmed when the last one is; the session has ended by hand, so nothing is late."""
    user = Counted(tally)
    user.policy = structs.replace(POLICY, owed_after_ms=0)
    user.create().say(Delete(), NOW)
    user.say(Wake(), user.due_ms)
    user.say(user.outcome(*user.newest_clean.vms), NOW)
    assert (ended(tally), attempts(tally)) == ({"deleted": 1}, (1, 1, 0, 0))
    assert sum(tally.lateness.counts) == 0


def test_a_refusal_is_no_fact(tally: Tally) -> None:
    """Nothing has happened, so nothing is counted."""
    user = Counted(tally).create()
    user.say(Create("another", user.session.lab), NOW)
    nothing: tuple[Event, ...] = ()
    tally.happened(nothing)
    assert tally.created == 1


@pytest.mark.parametrize(
    ("code", "label"),
    [("202", "202"), ("503", "503"), ("timeout", "timeout"), ("299", "other"), ("999", "other"), ("0", "other")],
)
def test_codes_of_the_backend_are_few(tally: Tally, code: str, label: str) -> None:
    """A status that HTTP doesn't know is none of its own: a backend must not make up series without end."""
    tally.called("/api/v1/labs/delete", code, 0.02)
    assert list(tally.calls) == [("/api/v1/labs/delete", label)]


def test_requests_are_counted_by_route_and_status(tally: Tally) -> None:
    """Each with its time."""
    for status, seconds in ((200, 0.001), (200, 0.002), (404, 0.004)):
        tally.answered("GET", "/x", status, seconds)
    assert {key: (sum(h.counts), round(h.total, 3)) for key, h in tally.requests.items()} == {
        ("GET", "/x", 200): (2, 0.003),
        ("GET", "/x", 404): (1, 0.004),
    }
