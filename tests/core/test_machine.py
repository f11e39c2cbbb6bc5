"""The table of `core.machine`, cell by cell: the rows *none* and *active*, and what holds for any session.

The instants follow from `builders.POLICY`: retry after 300 s, attempts of at most 60 s, no spread, stuck at three.
"""

from collections.abc import Callable

import pytest
from builders import (
    GENERATION,
    HOUR,
    MASTER,
    NOW,
    OTHER_GENERATION,
    WORKERS,
    User,
    active,
    in_flight,
    lab,
    stuck,
    waiting,
    worker_nodes,
)
from msgspec import structs

from labsessions.core.decision import Decision
from labsessions.core.machine import is_retry, wake_at
from labsessions.core.messages import (
    AttemptEnded,
    AttemptStarted,
    Clean,
    Create,
    Created,
    Current,
    Delete,
    Done,
    Ended,
    Message,
    Refusal,
    Show,
    Update,
    Updated,
    Wake,
)
from labsessions.core.model import Cleanup, LabChanges, Session, State

LATER = NOW + 1_000
DEADLINE = NOW + HOUR
LIVE = [active, in_flight, waiting, stuck]

# --- none -------------------------------------------------------------------------------------------------


def test_none_create_starts_an_active_session() -> None:
    """A new session begins at version 1, owes its VMs and has its deadline; there is nothing to do yet."""
    new = lab(worker_nodes=worker_nodes(*WORKERS))
    decision = User().say(Create(GENERATION, new), NOW)

    session = Session(
        generation=GENERATION,
        version=1,
        lab=new,
        vms=(MASTER, *WORKERS),
        created_ms=NOW,
        updated_ms=NOW,
        expires_ms=DEADLINE,
    )
    assert decision == Decision(State(session=session), (Created(session),), (), Current(session))


@pytest.mark.parametrize("message", [Update(LabChanges(terminal_url="x")), Delete(), Show()])
def test_none_refuses_what_needs_a_session(message: Message) -> None:
    """Without a session a PUT, a DELETE and a GET hear "not found", and nothing happens."""
    assert User().say(message, NOW) == Decision(State(), (), (), Refusal.NOT_FOUND)


@pytest.mark.parametrize("message", [Wake(), AttemptEnded(GENERATION, 1, (MASTER,), None)])
def test_none_ignores_wake_ups_and_outcomes(message: Message) -> None:
    """Without a session a stale wake-up and a stale outcome change nothing."""
    assert User().say(message, NOW) == Decision(State(), (), (), Done())


# --- any session ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reach", LIVE)
def test_a_session_refuses_a_second_one(reach: Callable[[], User]) -> None:
    """One session per user: a POST is refused and changes nothing, also under cleanup (CONTRACT §3.4)."""
    user = reach()
    before = user.state
    decision = user.say(Create(OTHER_GENERATION, lab(id="another")), LATER)

    assert decision == Decision(before, (), (), Refusal.EXISTS)
    assert decision.state is before


@pytest.mark.parametrize("reach", LIVE)
def test_a_session_is_shown_as_it_is(reach: Callable[[], User]) -> None:
    """A GET answers the session and changes nothing, also under cleanup (CONTRACT §3.4)."""
    user = reach()
    before = user.state
    decision = user.say(Show(), LATER)

    assert decision == Decision(before, (), (), Current(user.session))
    assert decision.state is before


# --- active -----------------------------------------------------------------------------------------------


def test_active_update_changes_members_and_keeps_the_deadline() -> None:
    """A PUT that says nothing of the duration changes its members, and moves neither deadline nor birth."""
    user = active()
    before = user.session
    decision = user.say(Update(LabChanges(terminal_url="https://terminal.test/2")), LATER)

    after = structs.replace(before, version=2, updated_ms=LATER, lab=lab(terminal_url="https://terminal.test/2"))
    assert decision == Decision(State(session=after), (Updated(after, before.expires_ms),), (), Current(after))


def test_active_update_moves_the_deadline() -> None:
    """A new duration counts from the creation, not from the PUT (CONTRACT §3.2)."""
    user = active()
    before = user.session
    decision = user.say(Update(LabChanges(duration=90)), LATER)

    after = structs.replace(
        before, version=2, updated_ms=LATER, lab=lab(duration=90), expires_ms=NOW + HOUR + HOUR // 2
    )
    assert decision == Decision(State(session=after), (Updated(after, before.expires_ms),), (), Current(after))


def test_active_delete_ends_it_without_any_call() -> None:
    """A DELETE leaves nothing behind, answers what was there, and has no cleanup to abandon (CONTRACT §3.5)."""
    user = active()
    before = user.session
    decision = user.say(Delete(), LATER)

    assert decision == Decision(State(), (Ended(before, "deleted", LATER),), (), Current(before))
    assert wake_at(decision.state) is None


def test_active_wake_before_the_deadline_is_early() -> None:
    """A wake-up before the deadline hears that there is nothing to do."""
    user = active()
    before = user.state
    decision = user.say(Wake(), LATER)

    assert decision == Decision(before, (), (), Done())
    assert decision.state is before


def test_active_wake_at_the_deadline_starts_the_first_attempt() -> None:
    """At the deadline the backstop is armed and the attempt asked for in one decision."""
    user = User().create(worker_nodes=worker_nodes(*WORKERS))
    before = user.session
    decision = user.say(Wake(), DEADLINE)

    after = structs.replace(
        before,
        version=2,
        cleanup=Cleanup(attempts=1, in_flight=True, retry_ms=DEADLINE + 360_000, started_ms=DEADLINE),
    )
    clean = Clean(
        generation=GENERATION,
        attempt=1,
        user_id="user-1",
        master=MASTER,
        vms=(MASTER, *WORKERS),
        limit_ms=60_000,
    )
    assert decision == Decision(State(session=after), (AttemptStarted(after),), (clean,), Done())


def test_active_ignores_outcomes() -> None:
    """An active session has no attempt, so an outcome is stale: even a full confirmation of its own generation."""
    user = active()
    before = user.state
    decision = user.say(AttemptEnded(GENERATION, 1, (MASTER,), None), LATER)

    assert decision == Decision(before, (), (), Done())
    assert decision.state is before


# --- derived ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reach", "retry"),
    [(User, False), (active, False), (in_flight, True), (waiting, True), (stuck, True)],
)
def test_a_wake_up_is_a_retry_from_the_first_attempt_on(reach: Callable[[], User], *, retry: bool) -> None:
    """First attempts go before retries, so the state tells them apart: only a deadline is a first attempt."""
    assert is_retry(reach().state) is retry
