"""Journal and ledger are fed with what a broken service would store, answer and call; right stories pass."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from builders import GENERATION, HOUR, MASTER, NOW, OTHER_GENERATION, lab, worker_nodes
from desk import ACTOR, USER, Desk
from msgspec import structs
from test_simulation_invariants import breaks

from actors.storage import Alarm, Lane, Write
from labsessions.core.messages import (
    AttemptEnded,
    Create,
    Current,
    Delete,
    Ended,
    ExtendBy,
    Extended,
    ExtendUntil,
    Keyed,
    Refusal,
    Show,
    Update,
    Wake,
)
from labsessions.core.model import LabChanges, Session, State

WORKERS = ("w1", "w2")
CREATE = Create(GENERATION, lab(worker_nodes=worker_nodes(*WORKERS)))


def created() -> Desk:
    """A session of an hour with two workers, acknowledged."""
    desk = Desk()
    desk.say(CREATE)
    return desk


def cleaning() -> Desk:
    """Its first attempt is stored and under way."""
    desk = created()
    desk.at(NOW + HOUR)
    desk.say(Wake())
    desk.ledger.attempt_started(desk.clean())
    return desk


def failed() -> Desk:
    """The attempt has failed after a second, though one worker is gone; the failure is stored."""
    desk = cleaning()
    desk.at(NOW + HOUR + 1000)
    desk.ledger.vm_confirmed(desk.clean(), "w1")
    outcome = desk.user.outcome("w1", error="503")
    desk.ledger.attempt_ended(outcome)
    desk.say(outcome)
    return desk


def cleaned() -> Desk:
    """All VMs are confirmed, and the session is gone."""
    desk = cleaning()
    for vm in (MASTER, *WORKERS):
        desk.ledger.call_started(desk.clean())
        desk.ledger.vm_confirmed(desk.clean(), vm)
    outcome = desk.user.outcome(MASTER, *WORKERS)
    desk.ledger.attempt_ended(outcome)
    desk.say(outcome)
    return desk


def changed(desk: Desk, **members: Any) -> Write:
    """The write of a session that differs from the stored one in `members`, one version on."""
    session = desk.user.session
    return desk.write(State(session=structs.replace(session, version=session.version + 1, **members)))


def test_right_stories_pass() -> None:
    """A whole life with a failure, a retry, an update and a delete breaks nothing."""
    desk = failed()
    desk.at(desk.user.due_ms)
    desk.say(Wake())
    desk.ledger.attempt_started(desk.clean())
    assert desk.clean().vms == (MASTER, "w2")
    for vm in desk.clean().vms:
        desk.ledger.vm_confirmed(desk.clean(), vm)
    desk.say(desk.user.outcome(*desk.clean().vms))
    desk.say(Create(OTHER_GENERATION, CREATE.lab))
    desk.say(Update(LabChanges(duration=120, worker_nodes=worker_nodes("w3"))))
    for extension in (ExtendBy(5), ExtendBy(-0.05), ExtendUntil(desk.wall_ms + HOUR), ExtendBy(10**6), ExtendBy(1)):
        desk.say(extension)
    desk.say(ExtendUntil(desk.user.session.expires_ms))
    desk.say(Delete())
    desk.journal.check()
    figures = {"sessions": 2, "attempts": 2, "expired": 1, "updates": 1, "extensions": 4, "deleted": 1}
    assert desk.books.counts == figures


# --- what is stored ------------------------------------------------------------------------------------------


def early(desk: Desk) -> None:
    """An attempt is stored a millisecond before the deadline."""
    desk.at(NOW + HOUR)
    write = desk.write(desk.decide(Wake()).state)
    desk.at(NOW + HOUR - 1)
    desk.apply(write)


def late(desk: Desk) -> None:
    """Nothing is wrong with the service as a whole, and the first attempt starts a second and a bit late."""
    desk.at(NOW + HOUR + 1001)
    desk.say(Wake())


def late_and_waiting(desk: Desk) -> None:
    """Nobody needs to see the attempt to know that it is late."""
    desk.at(NOW + HOUR + 1001)
    desk.journal.check()


def late_after_trouble(desk: Desk) -> None:
    """Half a minute after it is over, trouble is no excuse any more."""
    desk.at(NOW + HOUR + 32_001)
    desk.books.disturbed_ms = desk.elapsed_ms - 32_001
    desk.say(Wake())


def no_backstop(desk: Desk) -> None:
    """An attempt is stored with a next one that is not even its limit away."""
    desk.at(NOW + HOUR)
    cleanup = structs.replace(desk.decide(Wake()).state.session.cleanup, retry_ms=NOW + HOUR + 1)  # type: ignore[union-attr,type-var]
    desk.apply(desk.write(State(session=structs.replace(desk.user.session, cleanup=cleanup))))


def early_retry(desk: Desk) -> None:
    """A failure is stored with a retry a millisecond before the interval is over."""
    desk.ledger.attempt_ended(outcome := desk.user.outcome(error="503"))
    session = desk.decide(outcome).state.session
    assert session is not None
    assert session.cleanup is not None
    cleanup = structs.replace(session.cleanup, retry_ms=session.cleanup.retry_ms - 1)
    desk.apply(desk.write(State(session=structs.replace(session, cleanup=cleanup))))


def unheard_failure(desk: Desk) -> None:
    """A failure is stored that no attempt has told."""
    desk.say(desk.user.outcome(error="503"))


def unheard_confirmation(desk: Desk) -> None:
    """A VM is stored as confirmed, and the backend has not said so."""
    desk.ledger.attempt_ended(outcome := desk.user.outcome("w1", error="503"))
    desk.say(outcome)


def forgotten_confirmation(desk: Desk) -> None:
    """A confirmation that was stored is not there any more."""
    cleanup = desk.user.cleanup
    desk.apply(changed(desk, cleanup=structs.replace(cleanup, confirmed=())))


def ends_unconfirmed(desk: Desk) -> None:
    """The session ends as cleaned, but one worker was never confirmed."""
    for vm in (MASTER, "w1"):
        desk.ledger.vm_confirmed(desk.clean(), vm)
    desk.say(desk.user.outcome(MASTER, *WORKERS))


def ends_unasked(desk: Desk) -> None:
    """The session is deleted, and nobody has asked for it."""
    decision = desk.decide(Delete())
    desk.apply(desk.write(decision.state, *decision.events))


def ends_unrecorded(desk: Desk) -> None:
    """The session ends without a line in the history."""
    desk.ledger.asked(USER, Delete())
    desk.apply(desk.write(State()))


def changes_unasked(desk: Desk) -> None:
    """A member of the lab changes, and nobody has asked for it."""
    desk.apply(changed(desk, lab=structs.replace(desk.user.session.lab, terminal_url="elsewhere")))


def moves_unasked(desk: Desk) -> None:
    """The deadline moves alone."""
    desk.apply(changed(desk, expires_ms=NOW))


def extends_unasked(desk: Desk) -> None:
    """The deadline moves with the duration as for an extension, and nobody has asked for one."""
    desk.apply(desk.write(desk.decide(ExtendBy(5)).state))


def extends_too_far(desk: Desk) -> None:
    """A minute more was asked for, and a minute and a bit is stored."""
    desk.ledger.asked(USER, ExtendBy(1))
    desk.apply(desk.write(desk.decide(ExtendBy(1.001)).state))


def extends_beyond_the_limit(desk: Desk) -> None:
    """As much as was asked for, and more than is allowed."""
    desk.ledger.asked(USER, ExtendBy(90))
    desk.books.policy = structs.replace(desk.books.policy, max_total_minutes=120)
    desk.apply(desk.write(desk.decide(ExtendBy(90)).state))


def goes_back(desk: Desk) -> None:
    """An older version is stored again."""
    desk.apply(desk.write(State(session=structs.replace(desk.user.session, version=0))))


def is_replaced(desk: Desk) -> None:
    """Another session is there without the end of the first."""
    desk.ledger.asked(USER, Create(OTHER_GENERATION, CREATE.lab))
    desk.apply(changed(desk, generation=OTHER_GENERATION))


def skips_an_attempt(desk: Desk) -> None:
    """The number of attempts grows by two."""
    desk.apply(changed(desk, cleanup=structs.replace(desk.user.cleanup, attempts=3)))


def appears(desk: Desk) -> None:
    """A session that nobody asked for."""
    desk.apply(desk.write(desk.decide(CREATE).state))


def comes_back(desk: Desk) -> None:
    """A session that has ended is there again."""
    desk.ledger.asked(USER, CREATE)
    desk.apply(desk.write(desk.decide(CREATE).state))


def wrong_deadline(desk: Desk) -> None:
    """A new session expires a millisecond early."""
    desk.ledger.asked(USER, CREATE)
    session = desk.decide(CREATE).state.session
    assert session is not None
    desk.apply(desk.write(State(session=structs.replace(session, expires_ms=session.expires_ms - 1))))


def put_off_for_nothing(desk: Desk) -> None:
    """A wake-up is put off, though nothing of its own has failed."""
    desk.apply(desk.put_off(1000))


def tried_again_and_again(desk: Desk) -> None:
    """One row that cannot be written is tried more often in a second than anybody asks for it."""
    for _ in range(61):
        desk.journal.refused([desk.write(desk.user.state)], poisoned=True)


def put_off_for_long(desk: Desk) -> None:
    """A wake-up that could not be delivered is put off for more than the retry interval."""
    desk.books.of(USER).troubles += 1
    desk.wall_ms = NOW + HOUR
    desk.apply(desk.put_off(desk.books.policy.retry_interval_ms + 1))


def woken_again_and_again(desk: Desk) -> None:
    """One wake-up after the other finds nothing to do."""
    for _ in range(61):
        desk.apply(desk.write(desk.user.state))


def no_alarm(desk: Desk) -> None:
    """The session's wake-up has vanished."""
    del desk.disk.armed[ACTOR]
    desk.journal.check()


def no_row(desk: Desk) -> None:
    """The session's row has vanished."""
    desk.disk.tables["labs_sessions"].clear()
    desk.journal.check()


def stale_row(desk: Desk) -> None:
    """The row was forgotten in a transaction."""
    desk.ledger.asked(USER, Update(LabChanges(terminal_url="elsewhere")))
    decision = desk.decide(Update(LabChanges(terminal_url="elsewhere")))
    desk.apply(desk.write(decision.state, rows=()))
    desk.journal.check()


def behind_the_back(desk: Desk) -> None:
    """The cell is another one than was seen written."""
    desk.disk.cells[ACTOR] = desk.disk.cells[ACTOR] + b" "
    desk.journal.check()


def written_again(desk: Desk) -> None:
    """The outcome is written a second time."""
    lines = desk.disk.tables["session_history"]
    lines[2,] = dict(lines[1,], seq=2)
    desk.journal.check()


@pytest.mark.parametrize(
    ("number", "before", "act"),
    [
        (1, created, no_alarm),
        (2, created, early),
        (2, created, no_backstop),
        (2, cleaning, early_retry),
        (2, Desk, wrong_deadline),
        (3, cleaning, unheard_confirmation),
        (3, cleaning, ends_unconfirmed),
        (3, created, put_off_for_long),
        (4, failed, forgotten_confirmation),
        (4, created, is_replaced),
        (4, cleaning, skips_an_attempt),
        (4, cleaned, comes_back),
        (5, cleaning, unheard_failure),
        (5, created, ends_unasked),
        (5, created, changes_unasked),
        (5, created, moves_unasked),
        (5, created, extends_unasked),
        (5, created, extends_too_far),
        (5, created, extends_beyond_the_limit),
        (5, created, goes_back),
        (5, Desk, appears),
        (6, created, no_row),
        (6, created, stale_row),
        (6, created, behind_the_back),
        (7, created, late),
        (7, created, late_and_waiting),
        (7, created, late_after_trouble),
        (7, created, put_off_for_nothing),
        (7, created, tried_again_and_again),
        (7, created, woken_again_and_again),
        (8, created, ends_unrecorded),
        (8, cleaned, written_again),
    ],
)
def test_what_must_not_be_stored(number: int, before: Callable[[], Desk], act: Callable[[Desk], None]) -> None:
    """Each wrong thing that may happen to the disk breaks the invariant that speaks of it."""
    desk = before()
    with breaks(number):
        act(desk)


def test_near_misses_of_what_is_stored() -> None:
    """Just in time, put off for a reason, and late for a reason, are all fine."""
    desk = created()
    desk.books.of(USER).troubles += 1
    deferral = desk.put_off(HOUR)
    desk.say(ExtendBy(1))
    desk.apply(deferral)  # of an alarm that isn't armed any more: the store passes over it
    assert desk.disk.armed[ACTOR].deferrals == 0

    desk = created()
    desk.at(NOW + HOUR + 1000)
    desk.say(Wake())

    desk = created()
    desk.at(NOW + HOUR + 2000)
    desk.books.woken_ms.append(desk.elapsed_ms)
    desk.say(Wake())

    desk = created()
    desk.at(NOW + HOUR + 31_000 + 1000)
    desk.books.disturbed_ms = desk.elapsed_ms - 32_000
    desk.say(Wake())

    desk = created()
    desk.books.of(USER).troubles += 1
    desk.wall_ms = NOW + HOUR
    desk.apply(desk.put_off(desk.books.policy.retry_interval_ms))
    desk.journal.check()

    desk = created()
    desk.at(NOW + HOUR + 1001)
    desk.books.disturbed()
    desk.say(Wake())

    for _ in range(3):
        desk.at(desk.wall_ms + 1000)
        for _ in range(60):
            desk.journal.refused([desk.write(desk.user.state)], poisoned=True)
        desk.at(desk.wall_ms + 1000)
        for _ in range(60):
            desk.apply(desk.write(desk.user.state))


def test_the_clock_that_was_set_forward_and_back() -> None:
    """An attempt is not early if the clock has shown its instant since it was armed, whatever it shows now."""
    desk = created()
    desk.at(NOW + HOUR)
    write = desk.write(desk.decide(Wake()).state)
    desk.books.clock_changes()
    desk.wall_ms = NOW
    desk.apply(write)


# --- what clients are told -----------------------------------------------------------------------------------


def current(desk: Desk, **members: Any) -> Current:
    """The session as it is durable, with other `members`."""
    return Current(structs.replace(desk.user.session, **members))


def test_answers_that_are_not_true() -> None:
    """Invariant 5: acknowledged and not stored, found and not there, not found and there, deleted twice."""
    desk = created()
    session: Session = desk.user.session
    wrong: list[tuple[Any, Any]] = [
        (Create(OTHER_GENERATION, CREATE.lab), Current(session)),
        (Update(LabChanges(terminal_url="t")), Current(session)),
        (Update(LabChanges(terminal_url="t")), Refusal.BEING_CLEANED),
        (Update(LabChanges(terminal_url="t")), Refusal.NOT_FOUND),
        (ExtendBy(5), Extended(session, 300_000, partial=False)),
        (ExtendBy(5), Extended(structs.replace(session, version=2), 0, partial=False)),
        (ExtendUntil(NOW), Refusal.BEING_CLEANED),
        (ExtendUntil(NOW), Refusal.NOT_FOUND),
        (ExtendUntil(NOW), Refusal.EXISTS),
        (ExtendBy(5), Current(session)),
        (Delete(), Current(session)),
        (Delete(), Refusal.NOT_FOUND),
        (Show(), Refusal.NOT_FOUND),
        (Show(), current(desk, version=2)),
        (Show(), Refusal.EXISTS),
    ]
    for message, reply in wrong:
        request = desk.ledger.asked(USER, message)
        with breaks(5):
            desk.ledger.replied(request, reply)
    nobody = desk.ledger.asked("nobody", CREATE)
    with breaks(5):
        desk.ledger.replied(nobody, Refusal.EXISTS)
    first, second = desk.ledger.asked(USER, Delete()), desk.ledger.asked(USER, Delete())
    decision = desk.decide(Delete())
    desk.apply(desk.write(decision.state, *decision.events))
    desk.ledger.replied(first, decision.reply)
    with breaks(5):
        desk.ledger.replied(second, decision.reply)


def test_answers_that_were_true_in_the_meantime() -> None:
    """A question is answered with what was durable at any time since it was asked, but not with older things."""
    desk = created()
    show = desk.ledger.asked(USER, Show())
    before = Current(desk.user.session)
    desk.say(Update(LabChanges(terminal_url="t")))
    desk.ledger.replied(show, before)
    with breaks(5):
        desk.ledger.replied(desk.ledger.asked(USER, Show()), before)


def test_errors_without_a_reason_or_with_an_effect() -> None:
    """Invariants 5 and 7: an error means that nothing has happened, and that it is this user's own."""
    desk = created()
    with breaks(7):
        desk.ledger.failed(desk.ledger.asked(USER, Show()), stopping=False)
    desk.ledger.failed(desk.ledger.asked(USER, Show()), stopping=True)
    request = desk.ledger.asked(USER, Show())
    desk.journal.refused([desk.write(State())], poisoned=True)
    desk.ledger.failed(request, stopping=False)
    request = desk.ledger.asked(USER, update := Update(LabChanges(terminal_url="t")))
    desk.apply(desk.write(desk.decide(update).state))
    with breaks(5):
        desk.ledger.failed(request, stopping=True)


# --- what is called ------------------------------------------------------------------------------------------


def test_calls_after_the_end() -> None:
    """Invariant 4: none once the delete is acknowledged, not in the same instant; none on the next session."""
    desk = cleaning()
    clean = desk.clean()
    desk.ledger.call_started(clean)
    request = desk.ledger.asked(USER, Delete())
    decision = desk.decide(Delete())
    desk.apply(desk.write(decision.state, *decision.events))
    desk.ledger.call_started(clean)  # stored, but nobody knows yet
    desk.ledger.replied(request, decision.reply)
    with breaks(4):
        desk.ledger.call_started(clean)

    desk = cleaned()
    desk.ledger.call_started(desk.clean())
    desk.at(desk.wall_ms + 1)
    with breaks(4):
        desk.ledger.call_started(desk.clean())
    desk.say(Create(OTHER_GENERATION, CREATE.lab))
    with breaks(4):
        desk.ledger.call_started(desk.clean())


def test_attempts_that_are_made_twice_ask_again_or_forget() -> None:
    """Invariants 3, 4 and 5 at the start of an attempt."""
    desk = cleaning()
    with breaks(4):
        desk.ledger.attempt_started(desk.clean())
    desk = failed()
    second = structs.replace(desk.clean(), attempt=2)
    with breaks(5):
        desk.ledger.attempt_started(second)
    desk.at(desk.user.due_ms)
    desk.say(Wake())
    with breaks(4):
        desk.ledger.attempt_started(structs.replace(desk.clean(), vms=(MASTER, *WORKERS)))
    desk = failed()
    desk.at(desk.user.due_ms)
    desk.say(Wake())
    with breaks(3):
        desk.ledger.attempt_started(structs.replace(desk.clean(), vms=(MASTER,)))


def test_a_confirmation_of_yesterday_is_none_of_today() -> None:
    """The backend has confirmed the VMs of an earlier session with the same ids: today's must be asked for again."""
    desk = cleaned()
    yesterday = desk.clean()
    desk.say(Create(OTHER_GENERATION, CREATE.lab))
    desk.ledger.vm_confirmed(yesterday, MASTER)
    assert desk.books.of(USER).confirmed == {}
    ended = Ended(desk.user.session, "expired", desk.wall_ms)
    with breaks(3):
        desk.apply(desk.write(State(), ended))


def test_an_outcome_is_noted_with_its_time() -> None:
    """Where the clock was not set in between, the retry is counted from the outcome."""
    desk = cleaning()
    desk.ledger.attempt_ended(AttemptEnded(GENERATION, 1, (), "503"))
    assert desk.books.outcomes[GENERATION, 1].wall_ms == NOW + HOUR


def keyed(digest: str = "d", generation: str = GENERATION) -> Keyed:
    """A create with a key."""
    return Keyed("k", digest, Create(generation, CREATE.lab))


def made() -> Desk:
    """A session has come of a key, and is deleted."""
    desk = Desk()
    desk.say(keyed())
    desk.say(Delete())
    return desk


def test_right_stories_with_keys_pass() -> None:
    """Known, used for something else, and lapsed."""
    desk = made()
    desk.say(keyed(generation=OTHER_GENERATION))
    assert desk.say(keyed("e")).reply is Refusal.KEY_REUSED
    assert desk.books.counts["keys known"] == 2
    desk.at(NOW + desk.user.policy.keys_kept_ms)
    desk.say(keyed("e", OTHER_GENERATION))
    assert desk.user.session.generation == OTHER_GENERATION


def test_a_second_session_of_one_key() -> None:
    """Invariant 5: until the key has lapsed, by the latest that the clock has shown."""
    for after_ms, breaks_it in ((0, True), (-1, True), (1, False)):
        desk = made()
        desk.user.state = State()
        until_ms = NOW + desk.user.policy.keys_kept_ms
        desk.at(NOW if after_ms == 0 else until_ms + after_ms)
        with breaks(5) if breaks_it else nullcontext():
            desk.say(keyed(generation=OTHER_GENERATION))


def test_answers_to_keys_that_are_not_true() -> None:
    """Invariant 5: another session, other words, a key that nobody has used."""
    desk = made()
    told = desk.decide(keyed()).reply
    assert isinstance(told, Current)
    wrong: list[tuple[Keyed, Any]] = [
        (keyed(), structs.replace(told, session=structs.replace(told.session, version=2))),
        (keyed("e"), told),
        (keyed(), Refusal.KEY_REUSED),
        (Keyed("l", "d", CREATE), told),
    ]
    for message, reply in wrong:
        with breaks(5):
            desk.ledger.replied(desk.ledger.asked(USER, message), reply)


def test_the_wake_up_of_answers_is_when_the_last_one_lapses() -> None:
    """Invariant 6, to the millisecond."""
    desk = made()
    state = desk.user.state
    due_ms = state.answered[0].until_ms
    for wrong_ms in (due_ms - 1, due_ms + 1):
        desk.apply(desk.write(state, alarm=Alarm(wrong_ms, Lane.FIRST)))
        with breaks(6):
            desk.journal.check()
