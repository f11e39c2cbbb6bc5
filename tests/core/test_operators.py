"""What operators do: a session ends now, is tried again now, or is given up."""

import msgspec
import pytest
from builders import (
    GENERATION,
    HOUR,
    MASTER,
    MINUTE,
    NOW,
    OTHER_GENERATION,
    POLICY,
    User,
    active,
    in_flight,
    lab,
    stuck,
    waiting,
    worker_nodes,
)
from msgspec import structs

from labsessions.core.audit import entry_of, line
from labsessions.core.codec import decode, encode
from labsessions.core.machine import is_notice, is_retry, wake_at
from labsessions.core.messages import (
    Abandon,
    Affected,
    AttemptEnded,
    AttemptStarted,
    Create,
    Current,
    Delete,
    Done,
    Ended,
    EndNow,
    ExtendBy,
    ExtendUntil,
    Forget,
    Forgotten,
    Operated,
    Refusal,
    RetryNow,
    Update,
    Updated,
    Wake,
)
from labsessions.core.model import Cleanup, LabChanges, Session, State
from labsessions.core.projection import history, iso, owed, row
from labsessions.core.record import recorded

GRACE = 60_000
ENSURE = structs.replace(POLICY, owed_after_ms=GRACE)


def owing(*, attempted: bool = False) -> User:
    """A session that was deleted at `NOW`; the service makes sure of its VM."""
    user = User(ENSURE).create()
    user.say(Delete(), NOW)
    return user.expire() if attempted else user


def again(user: User, vm: str = "vm-new") -> User:
    """A newer session beside whatever is owed."""
    user.say(Create(OTHER_GENERATION, lab(id="session-2", lab_request_id=vm)), NOW + 1)
    return user


# --- the end now -------------------------------------------------------------------------------------------


def test_the_deadline_becomes_now() -> None:
    """Creation + duration is the new deadline, and the first attempt is due at once, in the lane of first ones."""
    user = active()
    decision = user.say(EndNow(), NOW + 7 * MINUTE)
    session = user.session
    assert decision.reply == Current(session)
    assert decision.events == (Updated(session, old_expires_ms=NOW + HOUR),)
    assert decision.effects == ()
    assert (session.expires_ms, session.lab.duration, session.updated_ms) == (NOW + 7 * MINUTE, 7, NOW + 7 * MINUTE)
    assert session.version == 2
    assert wake_at(user.state) == NOW + 7 * MINUTE
    assert not is_retry(user.state)
    assert not is_notice(user.state)


def test_the_ordinary_cleanup_follows() -> None:
    """The wake-up begins attempt number 1; when it is confirmed, the history says who has ended the session."""
    user = active()
    user.say(EndNow(), NOW + MINUTE)
    started = user.say(Wake(), NOW + MINUTE)
    assert started.events == (AttemptStarted(user.session),)
    assert user.cleanup.attempts == 1
    (ended,) = user.say(user.outcome(MASTER), NOW + MINUTE + 30).events
    assert isinstance(ended, Ended)
    assert ended.reason == "ended_by_operator"
    assert ended.lateness_ms == 30
    assert history(ended)["end_reason"] == "ended_by_operator"
    assert history(ended)["lateness_ms"] == 30
    data = msgspec.json.decode(recorded(ended, NOW)["data"])
    assert data == {"reason": "ended_by_operator", "attempts": 1, "lateness_seconds": 0.03}
    assert user.state == State()


def test_the_reason_outlives_restarts_and_retries() -> None:
    """It is stored with the session: after a crash in mid-call and a failure it is still the operator's end."""
    user = active()
    user.say(EndNow(), NOW + MINUTE)
    user.state = decode(encode(user.state))
    user.expire()
    user.state = decode(encode(user.state))  # the attempt is lost
    user.expire().fail().expire()
    assert user.cleanup.attempts == 3
    (ended,) = user.say(user.outcome(MASTER), NOW + HOUR).events
    assert isinstance(ended, Ended)
    assert ended.reason == "ended_by_operator"


def test_a_client_cannot_put_the_end_off() -> None:
    """Until the wake-up is delivered, which may take a while, the session is being cleaned already."""
    user = active()
    user.say(EndNow(), NOW + MINUTE)
    for message in (Update(LabChanges(duration=90)), ExtendBy(30), ExtendUntil(NOW + HOUR), EndNow()):
        assert user.say(message, NOW + MINUTE).reply is Refusal.BEING_CLEANED
    shown = row(user.state)
    assert shown is not None
    assert (shown["status"], shown["attempts"]) == ("cleaning", 0)
    assert shown["next_attempt_at"] == iso(NOW + MINUTE)


@pytest.mark.parametrize("late_ms", [0, 1, HOUR])
def test_the_end_of_a_session_whose_deadline_has_passed(late_ms: int) -> None:
    """The deadline stays, as does the duration as the client has written it: lateness counts from there."""
    user = User().create(duration=60.0)
    before = user.session
    user.say(EndNow(), NOW + HOUR + late_ms)
    assert user.session.expires_ms == NOW + HOUR
    assert user.session.lab is before.lab
    assert wake_at(user.state) == NOW + HOUR + late_ms


@pytest.mark.parametrize("now_ms", [NOW - HOUR, NOW, NOW + 1])
def test_a_duration_stays_more_than_nothing(now_ms: int) -> None:
    """Also if the clock was set back since the creation: the session is as short as one can be."""
    user = active()
    user.say(EndNow(), now_ms)
    assert user.session.expires_ms == NOW + 1
    assert user.session.lab.duration > 0
    assert wake_at(user.state) == now_ms


def test_warnings_are_over_with_the_end() -> None:
    """Whoever is ended now is not warned of it."""
    user = User(structs.replace(POLICY, warn_before_ms=(10_000,))).create()
    assert is_notice(user.state)
    user.say(EndNow(), NOW + MINUTE)
    assert user.session.leads_ms == ()
    assert not is_notice(user.state)


def test_the_end_goes_before_the_retry_of_an_obligation() -> None:
    """The wake-up doesn't wait among the retries, though an obligation is due earlier; the session is tried first."""
    user = owing(attempted=True)
    user.say(AttemptEnded(GENERATION, 1, (), "503"), NOW + GRACE)
    again(user)
    due_ms = NOW + GRACE + POLICY.retry_interval_ms
    user.say(EndNow(), due_ms + 1)
    assert wake_at(user.state) == due_ms
    assert not is_retry(user.state)
    user.say(Wake(), due_ms + 1)
    assert user.newest_clean.generation == OTHER_GENERATION


def test_a_deletion_after_the_end_is_one() -> None:
    """The user was faster than the first attempt."""
    user = active()
    user.say(EndNow(), NOW + MINUTE)
    decision = user.say(Delete(), NOW + MINUTE)
    (ended,) = decision.events
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.lateness_ms) == ("deleted", None)
    assert user.state == State()


@pytest.mark.parametrize("user", [in_flight(), waiting(), stuck()])
def test_what_is_being_cleaned_has_ended(user: User) -> None:
    """There is nothing more to end."""
    before = user.state
    decision = user.say(EndNow(), user.due_ms)
    assert decision.reply is Refusal.BEING_CLEANED
    assert user.state is before


# --- the retry now -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [waiting(), stuck()])
def test_the_next_attempt_is_due_now(user: User) -> None:
    """In the lane of retries, counted on; the label stays."""
    was = user.session
    now_ms = user.due_ms - MINUTE
    decision = user.say(RetryNow(), now_ms)
    assert decision.reply == Affected((user.session,))
    assert (decision.events, decision.effects) == ((), ())
    assert wake_at(user.state) == now_ms
    assert is_retry(user.state)
    assert user.session.status == was.status
    assert user.session.version == was.version + 1
    user.say(Wake(), now_ms)
    assert user.newest_clean.attempt == user.cleanup.attempts


def test_a_retry_that_is_due_stays_due_since_then() -> None:
    """It waits for its turn, which it doesn't lose by this."""
    user = waiting()
    due_ms = user.due_ms
    user.say(RetryNow(), due_ms + MINUTE)
    assert wake_at(user.state) == due_ms


def test_nothing_is_retried_while_an_attempt_runs() -> None:
    """Its outcome decides."""
    user = in_flight()
    before = user.state
    assert user.say(RetryNow(), NOW + HOUR).reply is Refusal.ATTEMPT_RUNNING
    assert user.state is before


def test_nothing_waits_of_a_session_that_runs() -> None:
    """Unlike of a user who has none."""
    assert active().say(RetryNow(), NOW).reply is Refusal.NOTHING_WAITS
    assert User().say(RetryNow(), NOW).reply is Refusal.NOT_FOUND


def test_obligations_are_tried_now_if_no_session_is_being_cleaned() -> None:
    """Also beside a session that runs, and though the grace period isn't over."""
    user = again(owing())
    (part,) = user.state.owed
    assert part.due_ms == NOW + GRACE
    decision = user.say(RetryNow(), NOW + 2)
    (part,) = user.state.owed
    assert decision.reply == Affected((part,))
    assert part.due_ms == NOW + 2
    user.say(Wake(), NOW + 2)
    assert user.newest_clean.generation == GENERATION
    assert user.say(RetryNow(), NOW + 3).reply is Refusal.ATTEMPT_RUNNING


def test_several_obligations_are_all_due() -> None:
    """They go one after another, as always."""
    user = again(owing())
    user.say(Delete(), NOW + 1)
    reply = user.say(RetryNow(), NOW + 2).reply
    assert reply == Affected(user.state.owed)
    assert [part.due_ms for part in user.state.owed] == [NOW + 2, NOW + 2]


def test_the_session_is_meant_before_its_obligations() -> None:
    """While it waits, they keep their time, even if an attempt of one is under way."""
    user = again(owing())
    user.say(EndNow(), NOW + 2)
    user.say(Wake(), NOW + 2)
    user.say(AttemptEnded(OTHER_GENERATION, 1, (), "503"), NOW + 3)
    user.say(Wake(), NOW + GRACE)
    assert user.newest_clean.generation == GENERATION
    (part,) = user.state.owed
    reply = user.say(RetryNow(), NOW + GRACE + 1).reply
    assert reply == Affected((user.session,))
    assert user.state.owed == (part,)
    assert wake_at(user.state) == NOW + GRACE + 1


# --- what is given up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [active(), waiting(), stuck()])
def test_a_session_is_forgotten(user: User) -> None:
    """It is gone without a call, and stands in the history; the reply still has its VMs."""
    session, now_ms = user.session, user.due_ms - 1
    decision = user.say(Forget(), now_ms)
    assert decision.reply == Affected((session,))
    assert decision.effects == ()
    (ended,) = decision.events
    assert ended == Ended(session, "forgotten", now_ms)
    assert history(ended)["end_reason"] == "forgotten"
    assert history(ended)["lateness_ms"] is None
    assert user.state == State()
    assert encode(user.state) is None


def test_a_running_attempt_is_abandoned() -> None:
    """Its answer changes nothing any more."""
    user = in_flight()
    assert user.say(Forget(), NOW + HOUR).effects == (Abandon(GENERATION),)
    decision = user.say(AttemptEnded(GENERATION, 1, (MASTER,), None), NOW + HOUR)
    assert (decision.state, decision.events) == (State(), ())


def test_obligations_are_forgotten_with_it() -> None:
    """Each with an event of its own: the history has had its line since the deletion."""
    user = again(owing(attempted=True))
    (part,), session = user.state.owed, user.session
    decision = user.say(Forget(), NOW + GRACE)
    assert decision.reply == Affected((session, part))
    assert decision.events == (Ended(session, "forgotten", NOW + GRACE), Forgotten(part))
    assert decision.effects == (Abandon(GENERATION),)
    event = recorded(Forgotten(part), NOW)
    assert event["type"] == "session.forgotten"
    assert msgspec.json.decode(event["data"]) == {"vms": 1, "owed": True}
    assert user.state == State()
    assert owed(user.state) == []


def test_only_the_session_that_was_meant() -> None:
    """By its id: what the operator has not looked at stays, and goes on."""
    user = again(owing(attempted=True))
    (part,), session = user.state.owed, user.session
    decision = user.say(Forget("session-2"), NOW + GRACE)
    assert decision.reply == Affected((session,))
    assert decision.effects == ()
    assert user.state == State(owed=(part,))
    assert user.say(Forget("session-2"), NOW + GRACE).reply is Refusal.CHANGED
    decision = user.say(Forget(part.lab.id), NOW + GRACE)
    assert (decision.events, decision.effects) == ((Forgotten(part),), (Abandon(GENERATION),))
    assert user.state == State()


def test_there_is_nothing_to_forget() -> None:
    """Nobody's session, or another one by now."""
    assert User().say(Forget(), NOW).reply is Refusal.NOT_FOUND
    assert User().say(Forget("session-1"), NOW).reply is Refusal.NOT_FOUND
    user = active()
    before = user.state
    assert user.say(Forget("session-0"), NOW).reply is Refusal.CHANGED
    assert user.state is before


def test_a_new_session_may_start_at_once() -> None:
    """Even with the same ids; nothing of the forgotten one touches it."""
    user = in_flight()
    user.say(Forget(), NOW + HOUR)
    user.say(Create(OTHER_GENERATION, lab()), NOW + HOUR)
    before = user.state
    assert user.say(AttemptEnded(GENERATION, 1, (MASTER,), None), NOW + HOUR).state is before


# --- who, what and why -------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [EndNow(), RetryNow(), Forget(), ExtendBy(5), ExtendUntil(NOW + 2 * HOUR)])
@pytest.mark.parametrize("make", [User, active, waiting])
def test_an_operators_message_does_what_it_holds(
    message: EndNow | RetryNow | Forget | ExtendBy | ExtendUntil, make: type[User]
) -> None:
    """Who says it and why decides nothing."""
    plain, operated = make().say(message, NOW), make().say(Operated("ada", "why not", message), NOW)
    assert operated == plain


def test_what_is_kept_of_an_extension() -> None:
    """What was asked for, what was granted, and of which session."""
    user = active()
    operated = Operated("ada", "exam", ExtendBy(30))
    entry = entry_of("user-1", operated, user.say(operated, NOW).reply)
    told = line(entry, NOW + 1)
    assert {**told, "detail": msgspec.json.decode(told["detail"])} == {
        "at": iso(NOW + 1),
        "who": "ada",
        "action": "extend",
        "user_id": "user-1",
        "reason": "exam",
        "detail": {
            "minutes": 30,
            "session_ids": ["session-1"],
            "vms": [MASTER],
            "granted_seconds": 1800.0,
            "expires_at": iso(NOW + HOUR + 30 * MINUTE),
        },
        "outcome": "done",
    }


def test_what_is_kept_of_an_end() -> None:
    """Which session it was, and its VMs."""
    operated = Operated("ada", None, EndNow())
    entry = entry_of("user-1", operated, active().say(operated, NOW).reply)
    assert (entry.action, entry.reason, entry.outcome) == ("end", None, "done")
    assert entry.detail == {"session_ids": ["session-1"], "vms": [MASTER]}


def test_what_is_kept_of_what_is_given_up() -> None:
    """The VMs that may still run: those that were not confirmed."""
    user = User().create(worker_nodes=worker_nodes("w1", "w2")).expire().fail("w1")
    entry = entry_of("user-1", Operated("ada", "gone", Forget("session-1")), user.say(Forget(), NOW).reply)
    assert (entry.action, entry.outcome, entry.reason) == ("forget", "done", "gone")
    assert entry.detail == {"session_id": "session-1", "session_ids": ["session-1"], "vms": [MASTER, "w2"]}


@pytest.mark.parametrize(
    ("message", "action", "detail"),
    [
        (EndNow(), "end", {}),
        (RetryNow(), "retry", {}),
        (Forget(), "forget", {}),
        (ExtendUntil(10**18), "extend", {"until_ms": 10**18}),
    ],
)
def test_refusals_are_kept_too(
    message: EndNow | RetryNow | Forget | ExtendUntil, action: str, detail: dict[str, int]
) -> None:
    """With the reason in a word; an instant beyond any date is no trouble."""
    operated = Operated("ada", None, message)
    entry = entry_of("user-1", operated, User().say(operated, NOW).reply)
    assert (entry.action, entry.outcome, entry.detail) == (action, "not_found", detail)


def test_what_has_no_session_to_tell_of() -> None:
    """Only what was asked is kept."""
    assert entry_of("u", Operated("ada", None, RetryNow()), Done()).detail == {}


def test_a_cleanup_of_an_older_release_has_expired() -> None:
    """Its cell doesn't say why the session ends: then there was no other way."""
    stored = encode(waiting().state)
    assert stored is not None
    older = stored.replace(b',"reason":"expired"', b"")
    assert older != stored
    session = decode(older).session
    assert isinstance(session, Session)
    assert isinstance(session.cleanup, Cleanup)
    assert session.cleanup.reason == "expired"
    assert decode(older) == waiting().state
