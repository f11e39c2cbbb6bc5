"""Whose outcome it is: generations, attempts and confirmations (CONTRACT §3.4 to §3.6)."""

import pytest
from builders import GENERATION, MASTER, OTHER_GENERATION, WORKERS, User, worker_nodes

from labsessions.core.attempts import NO_ANSWER
from labsessions.core.messages import Abandon, AttemptEnded, Clean, Delete, Done, Ended, Wake
from labsessions.core.model import State

ALL = (MASTER, *WORKERS)
FIRST, SECOND = WORKERS


def kubernetes() -> User:
    """A lab with a master and two workers, its first attempt in flight."""
    return User().create(worker_nodes=worker_nodes(*WORKERS)).expire()


def unchanged(user: User, message: AttemptEnded | Wake) -> bool:
    """Whether `message` leaves the user exactly as it was, says nothing and asks for nothing."""
    before = user.state
    decision = user.say(message, user.due_ms - 1)
    return decision.state is before and decision[1:] == ((), (), Done())


# --- another generation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("expired", [False, True], ids=["active", "cleaning"])
def test_a_confirmation_cannot_touch_a_session_re_created_with_the_same_ids(*, expired: bool) -> None:
    """Deleted in mid-attempt and created again, ids and all: yesterday's answer is about yesterday's lab."""
    user = kubernetes()
    late, deleted_ms = user.outcome(*ALL), user.due_ms - 1
    user.say(Delete(), deleted_ms)
    user.create(OTHER_GENERATION, now_ms=deleted_ms + 1, worker_nodes=worker_nodes(*WORKERS))
    if expired:
        user.expire()

    assert unchanged(user, late)
    assert user.session.pending == ALL


def test_a_failure_of_another_generation_is_not_noted() -> None:
    """Neither its error nor its retry time counts."""
    user = kubernetes()
    assert unchanged(user, AttemptEnded(OTHER_GENERATION, 1, (MASTER,), "503"))


def test_an_outcome_after_the_end_changes_nothing() -> None:
    """A second confirmation, or one after a DELETE, finds nothing."""
    user = kubernetes()
    outcome = user.outcome(*ALL)
    now_ms = user.due_ms - 1
    user.say(outcome, now_ms)

    assert user.say(outcome, now_ms) == (State(), (), (), Done())
    assert user.say(Wake(), now_ms) == (State(), (), (), Done())


def test_a_wake_up_after_a_delete_is_harmless() -> None:
    """A cancelled wake-up that was already on its way hears that there is nothing to do."""
    user = User().create()
    due_ms = user.due_ms
    user.say(Delete(), due_ms - 1)

    assert user.say(Wake(), due_ms) == (State(), (), (), Done())


def test_a_wake_up_of_a_deleted_session_is_early_for_the_next_one() -> None:
    """It asks, it doesn't order: the new session's own deadline decides."""
    user = User().create(duration=1)
    due_ms = user.due_ms
    user.say(Delete(), due_ms - 1)
    user.create(OTHER_GENERATION, now_ms=due_ms - 1)
    user.say(Wake(), due_ms)

    assert user.session.status == "active"


# --- an earlier attempt -----------------------------------------------------------------------------------


def test_a_confirmation_of_an_earlier_attempt_counts() -> None:
    """The VM is gone, whichever call was told so; it isn't asked for again."""
    user = kubernetes()
    late = user.outcome(FIRST, error="timed out")
    user.expire()  # the backstop: the second attempt
    user.say(late, user.due_ms - 1)
    assert user.session.pending == (MASTER, SECOND)

    user.fail(MASTER).expire()
    assert user.newest_clean.vms == (SECOND,)


def test_an_error_of_an_earlier_attempt_does_not_count() -> None:
    """Its reason and its retry time are stale: the attempt in flight keeps its backstop."""
    user = kubernetes()
    late = user.outcome(FIRST, error="timed out")
    user.expire()
    due_ms = user.due_ms
    decision = user.say(late, due_ms - 1)

    assert (decision.events, decision.effects, decision.reply) == ((), (), Done())
    assert (user.due_ms, user.cleanup.attempts, user.cleanup.in_flight) == (due_ms, 2, True)
    assert user.cleanup.last_error == NO_ANSWER


def test_an_earlier_attempt_that_confirms_nothing_new_changes_nothing() -> None:
    """Also if it repeats what is known."""
    user = kubernetes()
    late = user.outcome(FIRST, error="timed out")
    user.fail(FIRST).expire()
    assert unchanged(user, late)
    assert unchanged(user, AttemptEnded(GENERATION, 1, (), "timed out"))


def test_a_doubled_outcome_does_not_move_the_retry() -> None:
    """The attempt has ended; told again, neither its error nor its time counts."""
    user = kubernetes()
    outcome = user.outcome(FIRST, error="503")
    user.say(outcome, user.due_ms - 1)
    assert unchanged(user, outcome)


def test_confirmations_between_attempts_count() -> None:
    """After its failure was noted, an attempt may still bring a confirmation: it is kept, the retry stays."""
    user = kubernetes().fail(FIRST)
    due_ms = user.due_ms
    user.say(user.outcome(SECOND, error="503"), due_ms - 1)
    assert user.session.pending == (MASTER,)
    assert user.due_ms == due_ms


@pytest.mark.parametrize("attempt", [0, 2, 99])
def test_an_attempt_that_was_never_made_cannot_fail(attempt: int) -> None:
    """An unknown number is stale, larger ones too; only the attempt in flight may note a failure."""
    user = kubernetes()
    assert unchanged(user, AttemptEnded(GENERATION, attempt, (), "503"))


def test_the_union_of_confirmations_ends_the_session() -> None:
    """Each attempt confirmed a part; together they are all (confirmed = stored, CONTRACT §3.4)."""
    user = kubernetes().fail(SECOND).expire().fail(FIRST).expire()
    assert user.newest_clean.vms == (MASTER,)
    decision = user.say(user.outcome(MASTER), user.due_ms - 1)

    match decision.events:
        case (Ended(session, "expired", _),):
            assert session.cleanup is not None
            assert session.cleanup.confirmed == ALL
            assert session.pending == ()
        case other:
            pytest.fail(f"unexpected events: {other}")
    assert decision.state == State()
    assert decision.effects == ()


def test_an_earlier_attempt_may_end_the_session_and_stops_the_one_in_flight() -> None:
    """Nothing is pending any more, so the calls of the newer attempt are pointless."""
    user = kubernetes()
    late = user.outcome(*ALL)
    user.expire()
    decision = user.say(late, user.due_ms - 1)

    assert decision.state == State()
    assert decision.effects == (Abandon(GENERATION),)


def test_unknown_vms_in_a_confirmation_are_ignored() -> None:
    """Only VMs of the session are noted, in its order and each once; strangers cannot end it."""
    user = kubernetes()
    user.say(user.outcome("stranger", SECOND, MASTER, SECOND, "other"), user.due_ms - 1)
    assert user.cleanup.confirmed == (MASTER, SECOND)
    assert user.session.pending == (FIRST,)


# --- effects ----------------------------------------------------------------------------------------------


def test_each_attempt_asks_only_for_what_is_pending() -> None:
    """Confirmed VMs are never asked for again, and the master stays the address of the services."""
    user = kubernetes().fail().expire().fail(MASTER).expire().fail(SECOND).expire()
    asked = [(e.attempt, e.master, e.vms) for e in user.effects if isinstance(e, Clean)]
    assert asked == [(1, MASTER, ALL), (2, MASTER, ALL), (3, MASTER, WORKERS), (4, MASTER, (FIRST,))]


def test_abandon_is_asked_only_of_a_cleanup_under_way() -> None:
    """An active session has nothing to stop; one under cleanup may have, also between two attempts."""
    deleted: list[tuple[str, int]] = []
    for user in (User().create(), kubernetes(), kubernetes().fail()):
        status, now_ms = user.session.status, user.due_ms - 1
        deleted.append((status, len(user.say(Delete(), now_ms).effects)))
    assert deleted == [("active", 0), ("cleaning", 1), ("cleaning", 1)]
