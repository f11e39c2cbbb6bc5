"""Obligations: what a manual delete leaves behind where the operator has chosen that the service makes sure."""

import pytest
from builders import (
    GENERATION,
    HOUR,
    MASTER,
    NOW,
    OTHER_GENERATION,
    POLICY,
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

from labsessions.core.attempts import NO_ANSWER
from labsessions.core.machine import is_retry, wake_at
from labsessions.core.messages import (
    Abandon,
    AttemptEnded,
    AttemptFailed,
    AttemptStarted,
    Clean,
    Create,
    Created,
    Current,
    Delete,
    Ended,
    Owed,
    Refusal,
    Settled,
    Show,
    Stuck,
    TakenOver,
    Update,
    Wake,
)
from labsessions.core.model import LabChanges, Session, State
from labsessions.core.projection import iso, owed, row

GRACE = 60_000
ENSURE = structs.replace(POLICY, owed_after_ms=GRACE)
THIRD = "22222222-2222-4222-8222-222222222222"
OTHER_VM = "vm-other"


def ensuring(user: User) -> User:
    """The same user under the setting `ensure`."""
    user.policy = ENSURE
    return user


def owing(*workers: str) -> User:
    """A session of one hour, deleted by hand at `NOW`."""
    user = ensuring(User().create(worker_nodes=worker_nodes(*workers)))
    user.say(Delete(), NOW)
    return user


def owing_in_flight(*workers: str) -> User:
    """The grace period is over, the first attempt under way."""
    return owing(*workers).expire()


def only(user: User) -> Session:
    """The one obligation there is."""
    (part,) = user.state.owed
    return part


def clean(user: User, attempt: int, *vms: str, services: bool = True) -> Clean:
    """The effect expected for an attempt of the first session."""
    return Clean(
        generation=GENERATION,
        attempt=attempt,
        user_id="user-1",
        master=MASTER,
        vms=vms,
        limit_ms=user.policy.attempt_limit_ms,
        services=services,
    )


def test_cancel_leaves_nothing() -> None:
    """The default: the wake-up is cancelled, and nothing is kept."""
    decision = active().say(Delete(), NOW)
    assert decision.state == State()
    assert [type(event) for event in decision.events] == [Ended]


def test_ensure_keeps_the_vms_for_after_the_grace_period() -> None:
    """The history is that of any delete; the VMs are an obligation, due after the grace, and the reply says so."""
    user = ensuring(User().create(worker_nodes=worker_nodes(*WORKERS)))
    session = user.session
    decision = user.say(Delete(), NOW + 5)

    assert decision.reply == Current(session, owed=True)
    assert decision.events == (Ended(session, "deleted", NOW + 5), Owed(only(user)))
    assert decision.effects == ()
    assert user.state.session is None
    assert only(user).pending == (MASTER, *WORKERS)
    assert (wake_at(user.state), is_retry(user.state)) == (NOW + 5 + GRACE, False)


def test_clients_see_no_obligation() -> None:
    """GET, PUT and DELETE answer that there is nothing; there is no row; a POST is allowed."""
    user = owing()
    for message in (Show(), Update(LabChanges(terminal_url="t")), Delete()):
        decision = user.say(message, NOW + 1)
        assert (decision.reply, decision.events, decision.effects) == (Refusal.NOT_FOUND, (), ())
    assert row(user.state) is None
    decision = user.say(Create(OTHER_GENERATION, lab(lab_request_id=OTHER_VM)), NOW + 1)
    assert decision.reply == Current(user.session)
    assert decision.events == (Created(user.session),)
    assert only(user).pending == (MASTER,)


@pytest.mark.parametrize(("after_ms", "attempts"), [(-1, 0), (0, 1), (1, 1)])
def test_the_attempt_waits_for_the_end_of_the_grace_period(after_ms: int, attempts: int) -> None:
    """Not one millisecond earlier."""
    user = owing(*WORKERS)
    decision = user.say(Wake(), NOW + GRACE + after_ms)
    assert decision.effects == (clean(user, 1, MASTER, *WORKERS),) * attempts
    assert decision.events == (AttemptStarted(only(user)),) * attempts
    assert is_retry(user.state) is (attempts > 0)
    assert wake_at(user.state) == NOW + GRACE + (after_ms + ENSURE.backstop_ms if attempts else 0)


def test_when_all_is_confirmed_nothing_is_left() -> None:
    """The end of an obligation is a fact of its own, not a second line of history."""
    user = owing_in_flight()
    decision = user.say(user.outcome(MASTER), NOW + GRACE + 9)
    assert decision.state == State()
    (event,) = decision.events
    assert isinstance(event, Settled)
    assert (event.session.generation, event.at_ms) == (GENERATION, NOW + GRACE + 9)
    assert decision.effects == ()


def test_a_failure_is_retried_after_the_interval_for_what_is_left() -> None:
    """As for any cleanup: confirmed VMs are not asked for again."""
    user = owing_in_flight(*WORKERS)
    decision = user.say(user.outcome(MASTER, error="503"), NOW + GRACE + 9)
    assert decision.events == (AttemptFailed(only(user)),)
    assert wake_at(user.state) == NOW + GRACE + 9 + ENSURE.retry_interval_ms
    assert is_retry(user.state)
    assert user.expire().newest_clean == clean(user, 2, *WORKERS)


def test_a_lost_outcome_needs_nothing_but_the_backstop() -> None:
    """A crash in mid-call: the backstop tells the failure and tries again."""
    user = owing_in_flight()
    decision = user.say(Wake(), user.due_ms)
    assert [type(event) for event in decision.events] == [AttemptFailed, AttemptStarted]
    assert decision.effects == (clean(user, 2, MASTER),)
    cleanup = only(user).cleanup
    assert cleanup is not None
    assert cleanup.last_error == NO_ANSWER


def test_stuck_is_said_once_and_never_ends_it() -> None:
    """The label comes with the third failure here, and then no more."""
    user = owing()
    said = []
    for _ in range(5):
        user.expire()
        decision = user.say(user.outcome(error="503"), user.due_ms - ENSURE.backstop_ms + 1)
        said.append(any(isinstance(event, Stuck) for event in decision.events))
    assert said == [False, False, True, False, False]


def test_a_session_stuck_before_is_not_labelled_again() -> None:
    """A cleanup that becomes an obligation goes on counting: the label was said already."""
    user = ensuring(stuck())
    user.say(Delete(), NOW)
    user.expire()
    decision = user.say(user.outcome(error="503"), NOW + GRACE + 1)
    assert [type(event) for event in decision.events] == [AttemptFailed]


def test_delete_during_an_attempt_abandons_it_and_counts_on() -> None:
    """Its late answer still confirms VMs, and is never taken for that of the next attempt."""
    user = ensuring(User().create(worker_nodes=worker_nodes(*WORKERS)).expire())
    late = user.outcome(MASTER, error="503")
    decision = user.say(Delete(), NOW + HOUR + 1)
    assert decision.effects == (Abandon(GENERATION),)
    assert only(user).cleanup is not None
    assert is_retry(user.state)

    assert user.say(late, NOW + HOUR + 2).events == ()
    assert only(user).pending == WORKERS
    assert user.say(late, NOW + HOUR + 3).state is user.state, "told twice"
    assert user.due_ms == NOW + HOUR + 1 + GRACE
    assert user.expire().newest_clean == clean(user, 2, *WORKERS)


def test_a_changed_setting_moves_no_obligation() -> None:
    """What was decided at the delete stands, also where the operator has gone back to `cancel`."""
    user = owing()
    user.policy = POLICY
    assert user.due_ms == NOW + GRACE
    assert user.expire().newest_clean == clean(user, 1, MASTER)


# --- a newer session ------------------------------------------------------------------------------------------


def test_a_new_session_with_the_same_vms_ends_the_obligation() -> None:
    """The very same lab again: nothing is owed any more."""
    user = owing(*WORKERS)
    decision = user.say(Create(OTHER_GENERATION, lab(worker_nodes=worker_nodes(*WORKERS))), NOW + 1)
    assert user.state.owed == ()
    created, taken = decision.events
    assert created == Created(user.session)
    assert isinstance(taken, TakenOver)
    assert (taken.session.vms, taken.vms) == ((), (MASTER, *WORKERS))
    assert decision.effects == ()


def test_a_new_session_takes_over_only_what_it_names() -> None:
    """The rest is owed as before, at the same time; services of a master that was taken over are left alone."""
    user = owing(*WORKERS)
    user.say(Create(OTHER_GENERATION, lab()), NOW + 1)
    assert only(user).pending == WORKERS
    assert user.due_ms == NOW + GRACE
    assert user.expire().newest_clean == clean(user, 1, *WORKERS, services=False)


def test_a_put_takes_over_too() -> None:
    """A worker named later belongs to the session from then on."""
    user = owing(*WORKERS)
    user.say(Create(OTHER_GENERATION, lab(lab_request_id=OTHER_VM)), NOW + 1)
    decision = user.say(Update(LabChanges(worker_nodes=worker_nodes(WORKERS[0]))), NOW + 2)
    assert only(user).pending == (MASTER, WORKERS[1])
    assert isinstance(decision.events[-1], TakenOver)
    assert user.say(Update(LabChanges(terminal_url="t")), NOW + 3).events[1:] == ()


def test_an_attempt_that_names_a_vm_taken_over_is_abandoned() -> None:
    """No further call is started; the rest is tried again at once, and a late answer confirms only the rest."""
    user = owing_in_flight(*WORKERS)
    late = user.outcome(MASTER, WORKERS[0], error="503")
    now_ms = NOW + GRACE + 5
    decision = user.say(Create(OTHER_GENERATION, lab()), now_ms)
    assert decision.effects == (Abandon(GENERATION),)
    assert (wake_at(user.state), is_retry(user.state)) == (now_ms, False)
    user.say(late, now_ms)
    assert only(user).pending == (WORKERS[1],)
    assert user.session.vms == (MASTER,)
    assert user.expire().newest_clean == clean(user, 2, WORKERS[1], services=False)


def test_an_attempt_that_names_no_vm_of_the_session_goes_on() -> None:
    """A near miss: another lab disturbs nothing."""
    user = owing_in_flight()
    assert user.say(Create(OTHER_GENERATION, lab(lab_request_id=OTHER_VM)), NOW + GRACE + 5).effects == ()
    assert only(user).in_flight


def test_what_is_left_may_be_confirmed_already() -> None:
    """The unconfirmed VM is taken over: the obligation is over."""
    user = owing_in_flight(WORKERS[0])
    user.say(user.outcome(MASTER, error="503"), NOW + GRACE + 1)
    user.say(
        Create(OTHER_GENERATION, lab(lab_request_id=OTHER_VM, worker_nodes=worker_nodes(WORKERS[0]))), NOW + GRACE + 2
    )
    assert user.state.owed == ()


# --- sharing the one attempt ------------------------------------------------------------------------------------


def beside(duration: float = 60) -> User:
    """An obligation of `MASTER` due at the end of the grace period, and a newer session with another VM."""
    user = owing()
    user.say(Create(OTHER_GENERATION, lab(lab_request_id=OTHER_VM, duration=duration)), NOW)
    return user


def test_the_first_due_is_woken_first() -> None:
    """`wake_at` is the minimum over the parts."""
    assert beside().due_ms == NOW + GRACE
    assert beside(duration=0.5).due_ms == NOW + 30_000


def test_the_session_goes_first_where_both_are_due() -> None:
    """The obligation then waits for the end of its attempt, without any wake-up in vain."""
    user = beside(duration=2)
    decision = user.say(Wake(), NOW + 120_000)
    (effect,) = decision.effects
    assert isinstance(effect, Clean)
    assert effect.generation == OTHER_GENERATION
    assert user.due_ms == NOW + 120_000 + ENSURE.backstop_ms
    user.say(user.outcome(OTHER_VM), NOW + 121_000)
    assert (user.due_ms, is_retry(user.state)) == (NOW + GRACE, False)
    assert user.expire().newest_clean == clean(user, 1, MASTER)


def test_a_hanging_attempt_of_an_obligation_delays_no_session() -> None:
    """At the session's deadline it is abandoned, and armed again for as soon as the session's attempt is over."""
    user = beside(duration=1.5).expire()
    assert user.newest_clean == clean(user, 1, MASTER)
    assert (user.due_ms, is_retry(user.state)) == (NOW + 90_000, False)
    decision = user.say(Wake(), NOW + 90_000)
    abandon, started = decision.effects
    assert abandon == Abandon(GENERATION)
    assert isinstance(started, Clean)
    assert started.generation == OTHER_GENERATION
    assert [type(event) for event in decision.events] == [AttemptStarted]
    user.say(user.outcome(error="503"), NOW + 91_000)
    assert (user.due_ms, is_retry(user.state)) == (NOW + 90_000, True)
    assert user.expire().newest_clean == clean(user, 2, MASTER)


def test_a_wake_up_for_the_session_alone_leaves_no_trace_on_an_obligation_at_rest() -> None:
    """A near miss: what isn't in flight isn't abandoned."""
    user = beside(duration=0.5)
    before = only(user)
    assert len(user.say(Wake(), NOW + 30_000).effects) == 1
    assert only(user) is before


def test_no_first_attempt_waits_among_the_retries() -> None:
    """An obligation's retry beside an active session isn't in the retries' lane, as there is one wake-up for both."""
    user = beside().expire()
    user.say(user.outcome(error="503"), NOW + GRACE + 1)
    assert user.due_ms == NOW + GRACE + 1 + ENSURE.retry_interval_ms
    assert not is_retry(user.state)


def test_obligations_wait_for_each_other() -> None:
    """One attempt at a time, the longest due first."""
    user = beside()
    user.say(Delete(), NOW + 10)
    assert user.expire().newest_clean == clean(user, 1, MASTER)
    assert user.due_ms == NOW + GRACE + ENSURE.backstop_ms
    user.say(user.outcome(error="503"), NOW + GRACE + 20)
    assert (user.due_ms, is_retry(user.state)) == (NOW + GRACE + 10, False)
    assert user.expire().newest_clean.generation == OTHER_GENERATION


def test_deleting_a_session_at_rest_leaves_the_running_attempt_of_an_obligation() -> None:
    """There is one effect per user: to abandon the session's would stop the obligation's."""
    user = ensuring(waiting())
    user.say(Delete(), NOW)
    user.say(Create(OTHER_GENERATION, lab(lab_request_id=OTHER_VM, duration=0.05)), NOW)
    user.say(Wake(), NOW + 3_000)
    user.say(user.outcome(error="503"), NOW + 3_001)
    user.say(Wake(), NOW + GRACE)
    assert only(user).in_flight
    assert user.say(Delete(), NOW + GRACE + 1).effects == ()


def test_an_old_confirmation_of_a_session_stops_no_other_attempt() -> None:
    """Likewise where an earlier attempt's answer ends a session at rest."""
    user = owing()
    user.say(Create(OTHER_GENERATION, lab(lab_request_id=OTHER_VM, duration=0.05)), NOW)
    for _ in range(2):
        user.say(Wake(), NOW + 3_000)
        user.say(user.outcome(error="503"), NOW + 3_000)
        user.policy = structs.replace(ENSURE, retry_interval_ms=0)
    user.policy = structs.replace(ENSURE, retry_interval_ms=300_000)
    user.say(Wake(), NOW + 3_000)
    user.say(AttemptEnded(OTHER_GENERATION, 3, (), "503"), NOW + 3_001)
    user.say(Wake(), NOW + GRACE)
    assert only(user).in_flight
    decision = user.say(AttemptEnded(OTHER_GENERATION, 1, (OTHER_VM,), None), NOW + GRACE + 1)
    assert decision.effects == ()
    assert [type(event) for event in decision.events] == [Ended]


def test_an_old_confirmation_of_an_obligation_stops_its_own_attempt() -> None:
    """The attempt in flight has nothing left to ask for."""
    user = owing_in_flight()
    user.say(user.outcome(error="503"), NOW + GRACE + 1)
    user.expire()
    decision = user.say(AttemptEnded(GENERATION, 1, (MASTER,), None), user.due_ms - 1)
    assert (decision.state, decision.effects) == (State(), (Abandon(GENERATION),))


# --- what operators see -----------------------------------------------------------------------------------------


def test_operators_see_each_vm_that_is_owed() -> None:
    """With the attempts, the last error and the next attempt of its obligation."""
    user = owing_in_flight(*WORKERS)
    user.say(user.outcome(MASTER, error="503"), NOW + GRACE)
    common = {
        "user_id": "user-1",
        "generation": GENERATION,
        "since": iso(NOW),
        "attempts": 1,
        "last_error": "503",
        "next_attempt_at": iso(NOW + GRACE + ENSURE.retry_interval_ms),
        "status": "cleaning",
    }
    assert owed(user.state) == [{**common, "lab_request_id": vm} for vm in WORKERS]
    assert owed(in_flight().state) == []


@pytest.mark.parametrize(
    ("failures", "status"), [(0, "cleaning"), (POLICY.stuck_after - 1, "cleaning"), (POLICY.stuck_after, "stuck")]
)
def test_operators_see_which_vms_are_stuck(failures: int, status: str) -> None:
    """From the failed attempt on that labels a session."""
    user = owing()
    for _ in range(failures):
        user.expire()
        user.say(user.outcome(error="503"), user.due_ms - ENSURE.backstop_ms + 1)
    assert [line["status"] for line in owed(user.state)] == [status]
