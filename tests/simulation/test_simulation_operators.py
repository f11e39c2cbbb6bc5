"""The books on operators are fed with what a broken service would do in their name; right stories pass."""

from collections.abc import Callable

import pytest
from builders import GENERATION, HOUR, MASTER, MINUTE, NOW, OTHER_GENERATION, lab
from desk import USER, Desk
from msgspec import structs
from test_simulation_invariants import breaks

from labsessions.core.messages import (
    Affected,
    AttemptEnded,
    Create,
    Current,
    Delete,
    EndNow,
    Forget,
    Operated,
    Refusal,
    Reply,
    RetryNow,
    Wake,
)
from labsessions.core.model import Session, State

CREATE = Create(GENERATION, lab())


def by_operator(message: EndNow | RetryNow | Forget) -> Operated:
    """As it comes from the admin API."""
    return Operated("ada", None, message)


def created() -> Desk:
    """A session of an hour."""
    desk = Desk()
    desk.say(CREATE)
    return desk


def ended() -> Desk:
    """An operator has ended it after a minute."""
    desk = created()
    desk.at(NOW + MINUTE)
    desk.say(by_operator(EndNow()))
    return desk


def failed() -> Desk:
    """Its first attempt has failed after a second."""
    desk = ended()
    desk.say(Wake())
    desk.ledger.attempt_started(desk.clean())
    desk.at(NOW + MINUTE + 1000)
    outcome = desk.user.outcome(error="503")
    desk.ledger.attempt_ended(outcome)
    desk.say(outcome)
    return desk


def owing() -> Desk:
    """Deleted by hand a moment ago, its VM is owed in a minute."""
    desk = Desk()
    desk.user.policy = desk.books.policy = structs.replace(desk.user.policy, owed_after_ms=MINUTE)
    desk.say(CREATE)
    desk.say(Delete())
    return desk


def test_right_stories_pass() -> None:
    """An end, a retry and what it leads to, what is given up, and what is refused."""
    desk = failed()
    desk.say(by_operator(EndNow()))
    desk.say(by_operator(RetryNow()))
    desk.say(Wake())
    desk.say(by_operator(RetryNow()))  # one runs
    desk.ledger.vm_confirmed(desk.clean(), MASTER)
    outcome = desk.user.outcome(MASTER)
    desk.ledger.attempt_ended(outcome)
    desk.say(outcome)
    desk.say(by_operator(RetryNow()))  # there is nothing
    desk.say(Create(OTHER_GENERATION, lab()))
    desk.say(by_operator(RetryNow()))  # nothing waits
    desk.say(by_operator(Forget("another")))
    desk.say(by_operator(Forget()))
    desk.journal.check()
    assert desk.books.counts == {
        "sessions": 2,
        "attempts": 1,
        "ends by operators": 1,
        "retries by operators": 1,
        "ended_by_operator": 1,
        "forgotten": 1,
    }


def test_right_stories_of_obligations_pass() -> None:
    """They are tried before their time, and given up."""
    desk = owing()
    desk.say(by_operator(RetryNow()))
    desk.say(Wake())
    desk.ledger.attempt_started(desk.clean())
    desk.say(by_operator(RetryNow()))  # one runs
    desk.say(by_operator(Forget()))
    desk.journal.check()
    figures = {"sessions": 1, "deleted": 1, "obligations": 1, "retries by operators": 1, "attempts": 1}
    assert desk.books.counts == {**figures, "obligations over": 1}
    with breaks(4):
        desk.ledger.call_started(desk.clean())


def stored(desk: Desk, message: EndNow | RetryNow | Forget) -> Session:
    """What the core makes of it; nothing is stored."""
    session = desk.decide(message).state.session
    assert session is not None
    return session


def ends_unasked(desk: Desk) -> None:
    """A session ends now, and nobody has wanted it."""
    desk.apply(desk.write(desk.decide(EndNow()).state))


def ends_early(desk: Desk) -> None:
    """Its deadline is a millisecond before now."""
    desk.ledger.asked(USER, by_operator(EndNow()))
    session = stored(desk, EndNow())
    desk.apply(desk.write(State(session=structs.replace(session, expires_ms=session.expires_ms - 1))))


def ends_later(desk: Desk) -> None:
    """It isn't due yet."""
    desk.ledger.asked(USER, by_operator(EndNow()))
    session = stored(desk, EndNow())
    assert session.cleanup is not None
    cleanup = structs.replace(session.cleanup, retry_ms=session.cleanup.retry_ms + 1)
    desk.apply(desk.write(State(session=structs.replace(session, cleanup=cleanup))))


def ends_with_warnings(desk: Desk) -> None:
    """Somebody would be warned of an end that was."""
    desk.ledger.asked(USER, by_operator(EndNow()))
    desk.apply(desk.write(State(session=structs.replace(stored(desk, EndNow()), leads_ms=(1000,)))))


def forgets_why(desk: Desk) -> None:
    """The history says that it had expired."""
    session = desk.user.session
    assert session.cleanup is not None
    desk.user.state = State(
        session=structs.replace(session, cleanup=structs.replace(session.cleanup, reason="expired"))
    )
    desk.at(desk.user.due_ms)
    desk.say(Wake())
    desk.ledger.vm_confirmed(desk.clean(), MASTER)
    desk.ledger.attempt_ended(outcome := desk.user.outcome(MASTER))
    desk.say(outcome)


def retries_unasked(desk: Desk) -> None:
    """The next attempt is due earlier, and nobody has wanted it."""
    desk.apply(desk.write(desk.decide(RetryNow()).state))


def puts_off(desk: Desk) -> None:
    """An operator has wanted it earlier, and it is later."""
    desk.ledger.asked(USER, by_operator(RetryNow()))
    session = stored(desk, RetryNow())
    assert session.cleanup is not None
    cleanup = structs.replace(session.cleanup, retry_ms=session.cleanup.retry_ms + HOUR)
    desk.apply(desk.write(State(session=structs.replace(session, cleanup=cleanup))))


def forgets_unasked(desk: Desk) -> None:
    """A session is given up, and nobody has wanted it."""
    decision = desk.decide(Forget())
    desk.apply(desk.write(decision.state, *decision.events))


def calls_after(desk: Desk) -> None:
    """What is forgotten is asked for once more."""
    desk.say(by_operator(Forget()))
    desk.ledger.call_started(desk.clean())


def owes_unasked(desk: Desk) -> None:
    """An obligation is given up, and nobody has wanted it."""
    decision = desk.decide(Forget())
    desk.apply(desk.write(decision.state, *decision.events))


def owed_retried_unasked(desk: Desk) -> None:
    """An obligation is tried before its time, and nobody has wanted it."""
    desk.apply(desk.write(desk.decide(RetryNow()).state))


@pytest.mark.parametrize(
    ("make", "fault", "number"),
    [
        (created, ends_unasked, 5),
        (created, ends_early, 2),
        (created, ends_later, 6),
        (created, ends_with_warnings, 2),
        (failed, forgets_why, 5),
        (failed, retries_unasked, 2),
        (failed, puts_off, 2),
        (created, forgets_unasked, 5),
        (failed, calls_after, 4),
        (owing, owes_unasked, 3),
        (owing, owed_retried_unasked, 2),
    ],
)
def test_what_is_done_in_their_name(make: Callable[[], Desk], fault: Callable[[Desk], None], number: int) -> None:
    """Each story breaks the promise of this number, and no other."""
    desk = make()
    with breaks(number):
        fault(desk)


def _session(desk: Desk) -> Session:
    return desk.user.session


@pytest.mark.parametrize(
    ("make", "message", "reply"),
    [
        (created, EndNow(), lambda desk: Current(_session(desk))),
        (created, EndNow(), lambda _: Refusal.NOT_FOUND),
        (created, EndNow(), lambda _: Refusal.BEING_CLEANED),
        (created, RetryNow(), lambda desk: Affected((structs.replace(_session(desk), version=9),))),
        (failed, RetryNow(), lambda _: Refusal.NOTHING_WAITS),
        (created, Forget(), lambda desk: Affected((_session(desk),))),
        (owing, Forget(), lambda desk: Affected(desk.user.state.owed)),
        (created, Forget(), lambda _: Refusal.CHANGED),
        (created, Forget(), lambda _: Refusal.LIMIT_REACHED),
    ],
)
def test_what_they_are_told(
    make: Callable[[], Desk], message: EndNow | RetryNow | Forget, reply: Callable[[Desk], Reply]
) -> None:
    """A reply to what was not done, or that was not so."""
    desk = make()
    request = desk.ledger.asked(USER, by_operator(message))
    with breaks(5):
        desk.ledger.replied(request, reply(desk))


def test_a_late_answer_after_forgetting_is_none() -> None:
    """It finds nothing."""
    desk = failed()
    desk.say(by_operator(Forget()))
    outcome = AttemptEnded(GENERATION, 1, (MASTER,), None)
    desk.say(outcome)
    desk.journal.check()
    assert desk.user.state == State()
