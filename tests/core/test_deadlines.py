"""Every instant that matters: one millisecond before it, exactly at it, one after it."""

from collections.abc import Callable

import pytest
from builders import MINUTE, NOW, OTHER_GENERATION, POLICY, User
from hypothesis import given
from msgspec import structs
from strategies import durations, generations, instants, seeded, states

from labsessions.core.attempts import NO_ANSWER
from labsessions.core.machine import wake_at
from labsessions.core.messages import AttemptFailed, AttemptStarted, Clean, Stuck, Wake
from labsessions.core.model import State, duration_ms
from labsessions.core.policy import Policy

around = pytest.mark.parametrize(("offset_ms", "started"), [(-1, 0), (0, 1), (1, 1)])


def cleans(user: User) -> int:
    """How many attempts have been asked for."""
    return sum(isinstance(effect, Clean) for effect in user.effects)


@around
def test_the_deadline(offset_ms: int, started: int) -> None:
    """Not a millisecond before it (CONTRACT §3.3)."""
    user = User().create(duration=0.05)
    user.say(Wake(), NOW + 3_000 + offset_ms)
    assert cleans(user) == started


@around
def test_the_retry_after_a_failure(offset_ms: int, started: int) -> None:
    """The interval counts from the failure, not from the start of the attempt, and is never cut short."""
    user = User().create().expire()
    failed_ms = user.session.expires_ms + 12_345
    user.say(user.outcome(error="refused"), failed_ms)
    user.say(Wake(), failed_ms + POLICY.retry_interval_ms + offset_ms)
    assert cleans(user) == 1 + started


@around
def test_the_retry_has_the_spread_of_its_generation(offset_ms: int, started: int) -> None:
    """The spread is added to every retry of the session, the same each time."""
    policy = structs.replace(POLICY, spread=0.1)
    user = User(policy).create(OTHER_GENERATION).expire()
    for attempt in range(1, 4):
        failed_ms = user.cleanup.retry_ms - policy.backstop_ms + 10
        user.fail(after_ms=10)
        user.say(Wake(), failed_ms + policy.retry_after_ms(OTHER_GENERATION) + offset_ms)
        assert cleans(user) == attempt + started
        if not started:
            user.expire()


@around
def test_the_backstop_of_a_lost_outcome(offset_ms: int, started: int) -> None:
    """An attempt has its whole limit and then the interval before it is given up for lost."""
    user = User().create().expire()
    user.say(Wake(), user.session.expires_ms + POLICY.attempt_limit_ms + POLICY.retry_interval_ms + offset_ms)
    assert cleans(user) == 1 + started


def test_a_late_wake_up_arms_the_backstop_from_when_it_came() -> None:
    """After a long stop of the service the attempt still has its whole limit."""
    user = User().create()
    late_ms = user.session.expires_ms + 90 * 24 * 60 * MINUTE
    user.say(Wake(), late_ms)
    assert user.due_ms == late_ms + POLICY.backstop_ms
    assert user.cleanup.started_ms == late_ms


@pytest.mark.parametrize("reach", [lambda: User().create(), lambda: User().create().expire().fail()])
def test_a_doubled_wake_up_starts_one_attempt(reach: Callable[[], User]) -> None:
    """The second of two wake-ups at the same instant is early: the first one has armed the backstop."""
    user = reach()
    before, due_ms = cleans(user), user.due_ms
    first = user.say(Wake(), due_ms)
    second = user.say(Wake(), due_ms)

    assert cleans(user) == before + 1
    assert second.state is first.state
    assert (second.events, second.effects) == ((), ())


def test_a_changed_policy_does_not_move_an_alarm_that_is_armed() -> None:
    """What `wake_at` needs is frozen into the state when it is decided."""
    user = User().create().expire().fail()
    due_ms = user.due_ms
    user.policy = Policy(retry_interval_ms=1, attempt_limit_ms=1)
    user.say(Wake(), due_ms - 1)

    assert user.due_ms == due_ms
    assert cleans(user) == 1


# --- lost outcomes and the label "stuck" ------------------------------------------------------------------


def test_a_lost_outcome_is_a_failure_that_is_tried_again() -> None:
    """Found in flight at the backstop, the attempt is noted as failed and the next one starts at once."""
    user = User().create().expire()
    decision = user.say(Wake(), user.due_ms)

    match decision.events:
        case (AttemptFailed(lost), AttemptStarted(again)):
            assert lost.cleanup is not None
            assert lost.cleanup.last_error == NO_ANSWER
            assert (lost.cleanup.attempts, lost.cleanup.in_flight) == (1, False)
            assert again == user.session
            assert lost.version == again.version == 3  # one decision, one version
        case other:
            pytest.fail(f"unexpected events: {other}")
    assert (user.cleanup.attempts, user.cleanup.in_flight) == (2, True)
    assert user.cleanup.last_error == NO_ANSWER
    assert user.newest_clean.attempt == 2


def test_a_lost_outcome_keeps_the_confirmations() -> None:
    """VMs confirmed by an earlier attempt aren't asked for again after a crash in a later one."""
    nodes = [{"worker_lab_request_id": "w"}]
    user = User().create(worker_nodes=nodes).expire().fail("w").expire().expire()
    assert user.cleanup.attempts == 3
    assert user.newest_clean.vms == ("vm-master",)


@pytest.mark.parametrize("lost", [False, True], ids=["failed", "lost"])
@pytest.mark.parametrize(("attempts", "stuck"), [(2, False), (3, True), (4, True)])
def test_stuck_from_the_limit_of_attempts_on(attempts: int, *, stuck: bool, lost: bool) -> None:
    """The third failure of three labels it stuck, whether the backend said no or nothing was heard."""
    user = User().create().expire()
    for _ in range(attempts - 1):
        if not lost:
            user.fail()
        user.expire()
    if lost:
        user.expire()
    else:
        user.fail()
    assert (user.session.status == "stuck") is stuck


@pytest.mark.parametrize("lost", [False, True], ids=["failed", "lost"])
def test_stuck_is_said_once_and_since_when(*, lost: bool) -> None:
    """One event per session, at the third failure; the attempts go on for ever."""
    user = User().create().expire()
    said: list[tuple[int, int | None]] = []
    for _ in range(10):
        due_ms = user.due_ms
        now_ms = due_ms if lost else due_ms - POLICY.backstop_ms + 500
        message = Wake() if lost else user.outcome(error="503")
        for event in user.say(message, now_ms).events:
            if isinstance(event, Stuck) and event.session.cleanup is not None:
                assert event.session.cleanup.stuck_since_ms == now_ms
                said.append((event.session.cleanup.attempts, event.session.cleanup.stuck_since_ms))
        if not lost:
            user.expire()

    assert [attempts for attempts, _ in said] == [3]
    assert user.cleanup.stuck_since_ms == said[0][1]
    assert user.cleanup.attempts == 11


def test_the_failure_that_makes_it_stuck_is_still_told_as_a_failure() -> None:
    """The label comes beside the failure, not instead of it; a lost outcome is followed by the next attempt."""
    user = User().create().expire().fail().expire().fail().expire()
    lost = User().create().expire().expire().expire()
    failure = user.say(user.outcome(error="503"), user.due_ms - 1).events
    loss = lost.say(Wake(), lost.due_ms).events

    assert failure == (AttemptFailed(user.session), Stuck(user.session))
    assert [type(event) for event in loss] == [AttemptFailed, Stuck, AttemptStarted]


@pytest.mark.parametrize(("limit", "said"), [(3, 0), (2, 1), (1, 1)])
def test_a_lower_limit_labels_at_the_next_failure(limit: int, said: int) -> None:
    """A setting lowered below the attempts already made labels once, at the next failure – here the second."""
    user = User(structs.replace(POLICY, stuck_after=99)).create().expire().fail().expire()
    user.policy = structs.replace(POLICY, stuck_after=limit)
    events = user.say(user.outcome(error="503"), user.due_ms - POLICY.backstop_ms + 1).events
    assert sum(isinstance(event, Stuck) for event in events) == said


# --- properties -------------------------------------------------------------------------------------------


@seeded
@given(durations, instants, generations)
def test_no_session_without_a_wake_up(minutes: float, now_ms: int, generation: str) -> None:
    """A session and its wake-up are one value: creation + duration, rounded up (CONTRACT §3.1)."""
    user = User().create(generation, now_ms, duration=minutes)
    assert wake_at(user.state) == user.session.expires_ms == now_ms + duration_ms(minutes)
    assert user.due_ms > now_ms


@seeded
@given(states)
def test_a_wake_up_exactly_while_there_is_a_session(state: State) -> None:
    """For any state at all: no wake-up without anything to do, nor anything to do or to forget without a wake-up."""
    assert (wake_at(state) is None) is (state == State())
