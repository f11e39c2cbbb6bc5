"""Warnings before the end: when, how often, and of which deadline; and what they must not do."""

import pytest
from builders import HOUR, MINUTE, NOW, POLICY, User, lab
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from strategies import seeded

from labsessions.core.decision import Decision
from labsessions.core.machine import is_notice, is_retry
from labsessions.core.messages import (
    AttemptStarted,
    Clean,
    Delete,
    Done,
    Expiring,
    ExtendBy,
    Update,
    Wake,
)
from labsessions.core.model import LabChanges, State

DEADLINE = NOW + HOUR
FIRST, LAST = DEADLINE - 15 * MINUTE, DEADLINE - 5 * MINUTE
WARNED = structs.replace(POLICY, warn_before_ms=(15 * MINUTE, 5 * MINUTE))


def warned(**members: object) -> User:
    """A session of one hour that is warned of a quarter of an hour and five minutes before its end."""
    return User(WARNED).create(**members)  # type: ignore[arg-type]


def leads(user: User) -> tuple[int, ...]:
    """The warnings to come, in minutes before the end."""
    return tuple(lead // MINUTE for lead in user.session.leads_ms)


def test_each_lead_time_warns_once_and_then_the_end_comes() -> None:
    """The state is the same but for the warning; the end is met by the same wake-up as without warnings."""
    user = warned()
    before = user.session
    for instant, left in ((FIRST, (5 * MINUTE,)), (LAST, ())):
        assert (user.due_ms, is_notice(user.state), is_retry(user.state)) == (instant, True, False)
        after = structs.replace(before, leads_ms=left)
        assert user.say(Wake(), instant) == Decision(State(session=after), (Expiring(after, instant),), (), Done())
        assert user.say(Wake(), instant).events == ()
    assert (user.due_ms, is_notice(user.state)) == (DEADLINE, False)
    decision = user.say(Wake(), DEADLINE)
    assert isinstance(decision.effects[0], Clean)
    assert decision.events == (AttemptStarted(user.session),)
    assert not is_notice(user.state)


@pytest.mark.parametrize(
    ("offset_ms", "left_minutes", "events"),
    [(-1, (15, 5), 0), (0, (5,), 1), (1, (5,), 1), (10 * MINUTE - 1, (5,), 1), (10 * MINUTE, (), 1)],
)
def test_a_warning_is_never_early_and_several_are_one(
    offset_ms: int, left_minutes: tuple[int, ...], events: int
) -> None:
    """A millisecond before it is due, at it, after it; one before the next one is due too, and at that."""
    user = warned()
    decision = user.say(Wake(), FIRST + offset_ms)
    assert (leads(user), len(decision.events), decision.effects) == (left_minutes, events, ())


@pytest.mark.parametrize(("late_ms", "events"), [(-1, 1), (0, 0), (1, 0)])
def test_after_the_end_there_is_no_warning_and_no_attempt_by_its_wake_up(late_ms: int, events: int) -> None:
    """The process was down: the next wake-up, which waits among the first attempts, begins the cleanup."""
    user = warned()
    decision = user.say(Wake(), DEADLINE + late_ms)
    assert (len(decision.events), decision.effects, leads(user)) == (events, (), ())
    assert (user.due_ms, is_notice(user.state)) == (DEADLINE, False)
    assert isinstance(user.say(Wake(), DEADLINE + max(0, late_ms)).effects[0], Clean)


@pytest.mark.parametrize(
    ("minutes", "expected"), [(4, ()), (5, ()), (5.0001, (5,)), (15, (5,)), (15.0001, (15, 5)), (16, (15, 5))]
)
def test_a_lab_that_is_shorter_than_the_lead_time_is_not_warned_of(minutes: float, expected: tuple[int, ...]) -> None:
    """Nor one that is just as long: whoever starts it knows how long it lasts."""
    assert leads(warned(duration=minutes)) == expected


def test_what_is_left_says_the_event() -> None:
    """Also when it comes late."""
    user = warned()
    (event,) = user.say(Wake(), LAST + 1_000).events
    assert isinstance(event, Expiring)
    assert event.session.expires_ms - event.at_ms == 5 * MINUTE - 1_000


@pytest.mark.parametrize("given", [0, 1, 2])
def test_a_deadline_that_moves_is_warned_of_anew(given: int) -> None:
    """However many warnings of the old one there were; by PUT and by extension."""
    for message in (Update(LabChanges(duration=120)), ExtendBy(60)):
        user = warned()
        for _ in range(given):
            user.expire()
        user.say(message, LAST + 1)
        assert leads(user) == (15, 5)
        assert user.due_ms == FIRST + HOUR


def test_a_change_of_something_else_moves_no_warning() -> None:
    """What was given stays given."""
    user = warned().expire()
    user.say(Update(LabChanges(terminal_url="https://terminal.test/2", duration=60)), FIRST + 1)
    assert leads(user) == (5,)


@pytest.mark.parametrize(
    ("minutes", "expected"), [(-30, (15, 5)), (-45, (5,)), (-44.9999, (15, 5)), (-55, ()), (-61, ())]
)
def test_a_deadline_that_comes_near_is_warned_of_as_far_as_it_lies_ahead(
    minutes: float, expected: tuple[int, ...]
) -> None:
    """At once there is no warning: who shortened it knows."""
    user = warned()
    user.say(ExtendBy(minutes), NOW)
    assert leads(user) == expected


def test_the_policy_of_the_time_when_the_deadline_was_set_holds() -> None:
    """Other settings don't move what is armed."""
    user = warned()
    user.policy = POLICY
    assert user.due_ms == FIRST
    user.say(Wake(), FIRST)
    assert leads(user) == (5,)
    user.say(ExtendBy(5), FIRST)
    assert leads(user) == ()


def test_who_is_being_cleaned_is_not_warned() -> None:
    """Neither is an obligation, if the session was deleted before its warning."""
    user = warned()
    user.policy = structs.replace(WARNED, owed_after_ms=1_000)
    user.say(Delete(), NOW)
    (owed,) = user.state.owed
    assert (owed.leads_ms, is_notice(user.state)) == ((), False)


def test_a_warning_goes_before_an_obligation_and_does_not_touch_it() -> None:
    """Both are due: the next wake-up is the obligation's, at once."""
    user = User(structs.replace(WARNED, owed_after_ms=30 * MINUTE)).create(lab_request_id="vm-old")
    user.say(Delete(), NOW + 15 * MINUTE)
    user.create(now_ms=NOW + MINUTE + 15 * MINUTE, generation="11111111-1111-4111-8111-111111111111", duration=44)
    assert user.due_ms == NOW + 45 * MINUTE == user.session.due_ms
    (owed,) = user.state.owed
    decision = user.say(Wake(), NOW + 45 * MINUTE)
    assert ([type(event) for event in decision.events], decision.effects) == ([Expiring], ())
    assert user.state.owed == (owed,)
    assert (user.due_ms, is_notice(user.state)) == (NOW + 45 * MINUTE, False)
    assert isinstance(user.say(Wake(), NOW + 45 * MINUTE).effects[0], Clean)


@seeded
@given(st.lists(st.integers(1, 90 * MINUTE), max_size=5, unique=True), st.integers(1, 120))
def test_woken_on_time_there_are_as_many_warnings_as_lead_times(lead_times: list[int], minutes: int) -> None:
    """For any lead times and durations, and the cleanup begins at the deadline."""
    before = tuple(sorted(lead_times, reverse=True))
    user = User(structs.replace(POLICY, warn_before_ms=before)).create(duration=minutes)
    instants: list[int] = []
    while is_notice(user.state):
        instants.append(user.due_ms)
        (event,) = user.say(Wake(), user.due_ms).events
        assert event == Expiring(user.session, instants[-1])
    deadline = NOW + minutes * MINUTE
    assert instants == [deadline - lead for lead in before if lead < minutes * MINUTE]
    assert user.session == structs.replace(user.session, lab=lab(duration=minutes), version=1)
    assert user.due_ms == deadline
