"""The table of `core.machine`, cell by cell: the row *cleaning*, from the first attempt to the last answer.

The instants follow from `builders.POLICY`: retry after 300 s, attempts of at most 60 s, no spread, stuck at three.
"""

from collections.abc import Callable

import pytest
from builders import GENERATION, HOUR, MASTER, NOW, WORKERS, User, in_flight, stuck, waiting, worker_nodes
from msgspec import structs

from labsessions.core.decision import Decision
from labsessions.core.messages import (
    Abandon,
    AttemptFailed,
    AttemptStarted,
    Clean,
    Current,
    Delete,
    Done,
    Ended,
    Refusal,
    Update,
    Wake,
)
from labsessions.core.model import Cleanup, LabChanges, State

LATER = NOW + 1_000
DEADLINE = NOW + HOUR
CLEANING = [in_flight, waiting, stuck]


@pytest.mark.parametrize("reach", CLEANING)
def test_cleaning_refuses_an_update(reach: Callable[[], User]) -> None:
    """Once cleanup has begun, a PUT is refused – also one that would move the deadline into the future."""
    user = reach()
    before = user.state
    decision = user.say(Update(LabChanges(duration=43_200)), LATER)

    assert decision == Decision(before, (), (), Refusal.BEING_CLEANED)
    assert decision.state is before


@pytest.mark.parametrize("reach", CLEANING)
def test_cleaning_delete_ends_it_and_abandons_the_attempt(reach: Callable[[], User]) -> None:
    """A DELETE cancels the retry at once and stops what is in flight (CONTRACT §3.5)."""
    user = reach()
    before = user.session
    decision = user.say(Delete(), LATER)

    assert decision == Decision(
        State(),
        (Ended(before, "deleted", LATER),),
        (Abandon(GENERATION),),
        Current(before),
    )


@pytest.mark.parametrize("reach", CLEANING)
def test_cleaning_wake_before_the_retry_is_early(reach: Callable[[], User]) -> None:
    """A wake-up before the retry hears that there is nothing to do."""
    user = reach()
    before = user.state
    decision = user.say(Wake(), user.due_ms - 1)

    assert decision == Decision(before, (), (), Done())
    assert decision.state is before


def test_cleaning_wake_at_the_retry_starts_the_next_attempt() -> None:
    """The next attempt has the next number, its own backstop, and remembers when and why it began."""
    user = waiting()
    before = user.session
    retry_ms = DEADLINE + 1_000 + 300_000
    decision = user.say(Wake(), retry_ms)

    after = structs.replace(
        before,
        version=4,
        cleanup=Cleanup(
            attempts=2,
            in_flight=True,
            retry_ms=retry_ms + 360_000,
            started_ms=DEADLINE,
            last_error="backend said 503",
        ),
    )
    clean = Clean(generation=GENERATION, attempt=2, user_id="user-1", master=MASTER, vms=(MASTER,), limit_ms=60_000)
    assert decision == Decision(State(session=after), (AttemptStarted(after),), (clean,), Done())


def test_cleaning_confirmed_ends_it() -> None:
    """When every VM is confirmed nothing is left of the session but the fact that it expired."""
    user = in_flight()
    cleanup = structs.replace(user.cleanup, confirmed=(MASTER,))
    final = structs.replace(user.session, version=3, cleanup=cleanup)
    decision = user.say(user.outcome(MASTER), DEADLINE + 700)

    assert decision == Decision(State(), (Ended(final, "expired", DEADLINE + 700),), (), Done())


def test_cleaning_failed_notes_the_error_and_the_retry() -> None:
    """A failure is noted with the VMs confirmed so far; the retry comes the interval after the failure."""
    user = User().create(worker_nodes=worker_nodes(*WORKERS)).expire()
    before = user.session
    decision = user.say(user.outcome(MASTER, error="vm-worker-1: status 500"), DEADLINE + 700)

    after = structs.replace(
        before,
        version=3,
        cleanup=Cleanup(
            attempts=1,
            in_flight=False,
            retry_ms=DEADLINE + 700 + 300_000,
            started_ms=DEADLINE,
            confirmed=(MASTER,),
            last_error="vm-worker-1: status 500",
        ),
    )
    assert decision == Decision(State(session=after), (AttemptFailed(after),), (), Done())


def test_cleaning_an_outcome_without_an_error_that_lacks_a_vm_has_failed() -> None:
    """The stored confirmations decide, not the absence of an error: a VM short is a failure with a reason."""
    user = User().create(worker_nodes=worker_nodes(*WORKERS)).expire()
    user.say(user.outcome(MASTER, WORKERS[0]), DEADLINE + 700)

    assert user.cleanup.last_error == "not every VM was confirmed"
    assert user.cleanup.in_flight is False


def test_cleaning_an_outcome_with_an_error_that_confirms_every_vm_has_succeeded() -> None:
    """The stored confirmations decide, not the presence of an error."""
    user = in_flight()
    decision = user.say(user.outcome(MASTER, error="timed out after the last answer"), DEADLINE + 700)

    assert decision.state == State()
