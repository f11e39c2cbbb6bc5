"""Each check over plain values is fed with what it must not let pass, and with what comes closest to it."""

from typing import Any

import pytest
from builders import GENERATION, NOW, OTHER_GENERATION, POLICY, User, active, in_flight, waiting, worker_nodes
from msgspec import structs

from actors.ids import ActorId
from actors.storage import DueAlarm, Lane
from labsessions.core.machine import wake_at
from labsessions.core.messages import Clean, Delete
from labsessions.core.model import Session, duration_ms
from labsessions.core.projection import row
from labsessions.simulation import invariants
from labsessions.simulation.books import Book, End
from labsessions.simulation.trace import BrokenError

A, B = ActorId("n", "a"), ActorId("n", "b")


def breaks(number: int) -> Any:
    """Expect that invariant `number` is broken."""
    return pytest.raises(BrokenError, match=rf"^invariant {number}: ")


def test_a_session_without_a_wake_up_and_a_wake_up_without_a_session() -> None:
    """Invariant 1, both ways, and the same number of each for different users."""
    invariants.armed_exactly_if_stored([A, B], [B, A])
    for cells, armed in (([A, B], [A]), ([A], [A, B]), ([A], [B])):
        with breaks(1):
            invariants.armed_exactly_if_stored(cells, armed)


@pytest.mark.parametrize("due", [-1, 0, 1])
def test_an_attempt_a_millisecond_early(due: int) -> None:
    """Invariant 2: one before, equal, one after."""
    if due > 0:
        with breaks(2):
            invariants.not_early("u", NOW + due, NOW)
    else:
        invariants.not_early("u", NOW + due, NOW)


def test_a_retry_that_is_armed_too_early_or_too_late() -> None:
    """Invariants 2 and 3: both bounds belong to the span."""
    for retry_ms in (10, 15, 20):
        invariants.retried_in_time("u", retry_ms, 10, 20)
    with breaks(2):
        invariants.retried_in_time("u", 9, 10, 20)
    with breaks(3):
        invariants.retried_in_time("u", 21, 10, 20)


def test_a_vm_that_nobody_confirmed() -> None:
    """Invariant 3: a stranger's confirmation is no substitute."""
    invariants.all_confirmed("u", ["m", "w"], ["w", "m"])
    with breaks(3):
        invariants.all_confirmed("u", ["m", "w"], ["m", "stranger"])


def test_a_session_that_is_still_there() -> None:
    """Invariant 3: gone, or replaced by a new one, is right."""
    session = active().session
    invariants.gone("u", None, GENERATION, 1)
    invariants.gone("u", session, OTHER_GENERATION, 1)
    with breaks(3):
        invariants.gone("u", session, GENERATION, 1)


def test_calls_that_must_not_start() -> None:
    """Invariants 2, 4 and 5: of no session, of an ended one, on a newer one, before the cleanup or its attempt."""

    def call(**facts: Any) -> None:
        own: dict[str, Any] = {"user": "u", "generation": GENERATION, "attempt": 1, "ended_ms": None, "elapsed_ms": 7}
        invariants.may_call(**{**own, **facts})

    cleaning = waiting().session
    call(current=cleaning)
    with breaks(5):
        call(current=cleaning, attempt=2)
    with breaks(2):
        call(current=active().session)
    with breaks(5):
        call(current=None)
    call(current=None, ended_ms=7)  # the instant in which it ends
    with breaks(4):
        call(current=None, ended_ms=6)
    with breaks(4):
        call(current=structs.replace(cleaning, generation=OTHER_GENERATION), ended_ms=7)


def owing(**members: Any) -> tuple[Session, Clean]:
    """An obligation of the master and a worker, `members` of its cleanup changed."""
    user = User(structs.replace(POLICY, owed_after_ms=1000)).create(worker_nodes=worker_nodes("w"))
    user.say(Delete(), NOW)
    user.expire()
    (debt,) = user.state.owed
    assert debt.cleanup is not None
    return structs.replace(debt, cleanup=structs.replace(debt.cleanup, **members)), user.newest_clean


def test_calls_for_an_obligation_that_must_not_start() -> None:
    """Invariants 4 and 5: after its end, before its attempt is stored or after it, on a VM of the newer session."""
    debt, clean = owing()

    def call(**facts: Any) -> None:
        own: dict[str, Any] = {"clean": clean, "debt": debt, "book": Book("u"), "over_ms": 0, "elapsed_ms": 7}
        invariants.may_call_for_debt(**{**own, **facts})

    call()
    call(debt=None, over_ms=7)  # the instant in which it ends
    with breaks(4):
        call(debt=None, over_ms=6)
    with breaks(5):
        call(clean=structs.replace(clean, attempt=2))
    at_rest, _ = owing(in_flight=False)
    call(debt=at_rest, book=Book("u", stored_ms=7))
    with breaks(4):
        call(debt=at_rest, book=Book("u", stored_ms=6))
    named = active().session
    call(book=Book("u", states=[named], named_ms=7))
    with breaks(4):
        call(book=Book("u", states=[named], named_ms=6))
    workers_only = structs.replace(clean, vms=("w",), services=False)
    call(clean=workers_only, book=Book("u", states=[named], named_ms=6))
    with breaks(4):
        call(clean=structs.replace(workers_only, services=True), book=Book("u", states=[named], named_ms=6))


def test_the_part_that_is_due_first() -> None:
    """An open attempt lets the session start and no other obligation; of what may start, the earliest is due."""
    running, _ = owing(retry_ms=NOW + 9)
    at_rest, _ = owing(in_flight=False, retry_ms=NOW)
    session = active().session
    assert invariants.first_due(None, ()) is None
    assert invariants.first_due(session, (at_rest,)) is at_rest
    assert invariants.first_due(session, (at_rest, running)) is running
    assert invariants.first_due(in_flight().session, (at_rest,)) is not at_rest


def test_owed_vms_that_disagree() -> None:
    """Invariant 6: one too many, one too few."""
    invariants.owed_vms_agree([("g", "a")], [("g", "a")])
    for shown in ([], [("g", "a"), ("g", "b")]):
        with breaks(6):
            invariants.owed_vms_agree(shown, [("g", "a")])


def test_a_wake_up_for_nothing() -> None:
    """Invariant 6: who has neither session nor obligation has none."""
    with breaks(6):
        invariants.alarm_agrees(None, (), DueAlarm(A, NOW, Lane.FIRST, 0))


def test_a_first_attempt_that_is_kept_waiting() -> None:
    """Invariant 7: no longer than the bound."""
    invariants.prompt("u", 10, 10)
    with breaks(7):
        invariants.prompt("u", 11, 10)


@pytest.mark.parametrize("make", [active, waiting])
def test_views_that_disagree(make: Any) -> None:
    """Invariant 6: each thing that the wake-up or the row may tell differently."""
    user = make()
    user.state = structs.replace(
        user.state,
        session=structs.replace(user.session, lab=structs.replace(user.session.lab, worker_nodes=worker_nodes("w"))),
    )
    session, shown, due_ms = user.session, row(user.state), wake_at(user.state)
    assert shown is not None
    assert due_ms is not None
    lane, other = (Lane.FIRST, Lane.RETRY) if session.cleanup is None else (Lane.RETRY, Lane.FIRST)
    alarm = DueAlarm(A, due_ms, lane, 0)
    invariants.all_agree(session, alarm, shown)
    invariants.all_agree(session, alarm._replace(deferrals=1, due_ms=due_ms + 1000), shown)
    wrong_alarms = (
        alarm._replace(due_ms=due_ms + 1),
        alarm._replace(due_ms=due_ms - 1),
        alarm._replace(due_ms=due_ms - 1, deferrals=1),
        alarm._replace(lane=other),
    )
    for wrong in wrong_alarms:
        with breaks(6):
            invariants.all_agree(session, wrong, shown)
    with breaks(6):
        invariants.all_agree(session, alarm, None)
    wrong_columns = {
        "generation": OTHER_GENERATION,
        "version": session.version + 1,
        "duration": 61,
        "terminal_url": "elsewhere",
        "attempts": 7,
        "last_error": "none of that",
        "expires_at": "2026-01-01T00:00:00.000Z",
        "next_attempt_at": "2026-01-01T00:00:00.000Z",
        "worker_nodes": None,
        "status": "active" if session.cleanup else "cleaning",
    }
    for column, value in wrong_columns.items():
        with breaks(6):
            invariants.all_agree(session, alarm, {**shown, column: value})


def test_an_outcome_that_is_written_twice_or_lost() -> None:
    """Invariant 8: the very line of that time, one for each, and none for others."""
    line: dict[str, Any] = {"seq": 1, "end_reason": "expired"}
    ends = {GENERATION: End("expired", 0, dict(line))}
    invariants.recorded_once({(1,): ends[GENERATION].line}, ends)
    wrong_histories: list[dict[tuple[Any, ...], Any]] = [
        {(1,): dict(line)},
        {(2,): ends[GENERATION].line},
        {},
        {(1,): ends[GENERATION].line, (2,): line},
    ]
    for history in wrong_histories:
        with breaks(8):
            invariants.recorded_once(history, ends)


@pytest.mark.parametrize("told", [{}, {GENERATION: 2}, {GENERATION: 1, "another": 1}, {"another": 1}])
def test_each_end_is_told_of_once(told: dict[str, int]) -> None:
    """Neither not at all nor twice, and no end that there was not."""
    ends = {GENERATION: End("deleted", 0, {})}
    invariants.told_once({GENERATION: 1}, ends)
    invariants.told_once({}, {})
    with breaks(8):
        invariants.told_once(told, ends)


@pytest.mark.parametrize("factor", [1, 1.5, 1.33, 10])
@pytest.mark.parametrize("minutes", [1e-05, 0.05, 0.333, 1, 5.0, 60, 90.5])
def test_the_deadline_by_exact_arithmetic(minutes: float, factor: float) -> None:
    """Two ways of counting, one result."""
    assert NOW + duration_ms(minutes, factor) == invariants.deadline_ms(NOW, minutes, factor)
