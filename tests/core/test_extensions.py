"""More time and less: what is granted around the limit and around the deadline, and extra time per person."""

from fractions import Fraction
from typing import Any

import pytest
from builders import HOUR, MINUTE, NOW, POLICY, User, in_flight, lab, stuck, waiting
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs
from strategies import durations, instants, more_minutes, seeded, sessions, time_factors

from labsessions.core.deadline import latest_ms, why_not
from labsessions.core.decision import Decision
from labsessions.core.machine import wake_at
from labsessions.core.messages import (
    Create,
    Current,
    ExtendBy,
    Extended,
    ExtendUntil,
    Refusal,
    Update,
    Updated,
    Wake,
)
from labsessions.core.model import LabChanges, Session, State, duration_ms, minutes_of
from labsessions.core.projection import iso, public

LATER = NOW + 10 * MINUTE
DEADLINE = NOW + HOUR
# An hour is given, and another one may be added.
LIMITED = structs.replace(POLICY, max_total_minutes=120)
LIMIT = NOW + 2 * HOUR

Extend = ExtendBy | ExtendUntil


def limited(**members: Any) -> User:
    """A session of one hour that may last two."""
    return User(LIMITED).create(**members)


def extend(user: User, message: Extend, now_ms: int = LATER) -> Extended:
    """What is granted; something must be."""
    reply = user.say(message, now_ms).reply
    assert isinstance(reply, Extended)
    assert reply.session == user.session
    return reply


# --- the deadline moves ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "granted_ms", "duration"),
    [
        (ExtendBy(30), 30 * MINUTE, 90),
        (ExtendBy(0.05), 3_000, 60.05),
        (ExtendBy(1e-05), 1, 60.000016),
        (ExtendUntil(DEADLINE + MINUTE), MINUTE, 61),
        (ExtendUntil(DEADLINE + 1), 1, 60.000016),
        (ExtendBy(-15), -15 * MINUTE, 45),
        (ExtendUntil(DEADLINE - 1), -1, 59.999983),
    ],
)
def test_the_deadline_moves_and_the_duration_with_it(message: Extend, granted_ms: int, duration: float) -> None:
    """Later or earlier, in one change: session, wake-up and the fact that clients and operators are told."""
    user = limited()
    before = user.session
    decision = user.say(message, LATER)

    after = structs.replace(
        before, version=2, updated_ms=LATER, lab=lab(duration=duration), expires_ms=DEADLINE + granted_ms
    )
    assert decision == Decision(
        State(session=after), (Updated(after, old_expires_ms=DEADLINE),), (), Extended(after, granted_ms, partial=False)
    )
    assert user.due_ms == DEADLINE + granted_ms


@pytest.mark.parametrize("minutes", [60, 60.0])
def test_what_changes_nothing_is_granted_and_not_stored(minutes: float) -> None:
    """Asked twice for the same instant, it is the same answer, and the session is as it was."""
    user = limited(duration=minutes)
    before = user.state
    decision = user.say(ExtendUntil(DEADLINE), LATER)
    assert decision == Decision(before, (), (), Extended(user.session, 0, partial=False))
    assert decision.state is before


@pytest.mark.parametrize("message", [ExtendBy(1), ExtendBy(-1), ExtendUntil(DEADLINE)])
def test_nobody_without_a_session_gets_time(message: Extend) -> None:
    """Not found, as for every other change."""
    assert User().say(message, NOW) == Decision(State(), (), (), Refusal.NOT_FOUND)


@pytest.mark.parametrize("reach", [in_flight, waiting, stuck])
@pytest.mark.parametrize("message", [ExtendBy(1), ExtendBy(-1), ExtendUntil(NOW), ExtendUntil(NOW + 9 * HOUR)])
def test_a_session_that_is_being_cleaned_stays_as_it_is(reach: type[User], message: Extend) -> None:
    """Once the cleanup has begun nothing brings the lab back, and nothing is promised."""
    user = reach()
    before = user.state
    assert user.say(message, DEADLINE + 1_500) == Decision(before, (), (), Refusal.BEING_CLEANED)


# --- around the limit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset_ms", [-1, 0, 1])
def test_the_limit(offset_ms: int) -> None:
    """A millisecond less than the limit and the limit itself are granted whole, one more only in part."""
    for message in (ExtendUntil(LIMIT + offset_ms), ExtendBy(minutes_of(HOUR + offset_ms))):
        reply = extend(limited(), message)
        assert (reply.granted_ms, reply.partial) == (HOUR + min(offset_ms, 0), offset_ms > 0)
        assert reply.session.expires_ms == min(LIMIT + offset_ms, LIMIT)


@pytest.mark.parametrize("message", [ExtendBy(1e-09), ExtendBy(600), ExtendUntil(LIMIT + 1), ExtendUntil(LIMIT + HOUR)])
def test_at_the_limit_nothing_is_left(message: Extend) -> None:
    """Where not a millisecond can be granted it is a refusal, and nothing changes."""
    user = limited()
    assert extend(user, ExtendBy(600)).partial
    before = user.state
    assert user.say(message, LATER) == Decision(before, (), (), Refusal.LIMIT_REACHED)
    assert extend(user, ExtendUntil(LIMIT)).granted_ms == 0


def test_a_millisecond_below_the_limit_something_is_left() -> None:
    """However little it is, it is granted, and said to be a part."""
    user = limited()
    extend(user, ExtendUntil(LIMIT - 1))
    assert extend(user, ExtendBy(600)) == Extended(user.session, 1, partial=True)


def test_what_was_given_back_can_be_had_again() -> None:
    """The limit is on the total, not on the number of extensions."""
    user = limited()
    for _ in range(5):
        assert extend(user, ExtendBy(60)).granted_ms == HOUR
        assert extend(user, ExtendBy(-60)).granted_ms == -HOUR


def test_a_lowered_limit_takes_nothing_away() -> None:
    """A session that is longer than a new limit keeps its deadline; it can be shortened, and not extended again."""
    user = limited()
    extend(user, ExtendBy(60))
    user.policy = structs.replace(POLICY, max_total_minutes=30)

    assert latest_ms(user.session, user.policy) == LIMIT
    assert user.say(ExtendBy(1), LATER).reply is Refusal.LIMIT_REACHED
    assert extend(user, ExtendBy(-30)).session.expires_ms == LIMIT - 30 * MINUTE
    assert user.say(ExtendBy(1), LATER).reply is Refusal.LIMIT_REACHED


# --- around the deadline -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset_ms", [-1, 0, 1])
def test_before_the_wake_up_an_extension_is_kept(offset_ms: int) -> None:
    """Granted at the deadline or just after it: the wake-up that was due starts nothing, the new one is on time."""
    user = limited()
    now_ms = DEADLINE + offset_ms
    reply = extend(user, ExtendBy(5), now_ms)

    assert reply.session.expires_ms == max(DEADLINE, now_ms) + 5 * MINUTE
    user.say(Wake(), now_ms)
    user.say(Wake(), reply.session.expires_ms - 1)
    assert user.effects == []
    user.say(Wake(), reply.session.expires_ms)
    assert user.newest_clean.attempt == 1


@pytest.mark.parametrize("offset_ms", [0, 1])
def test_after_the_wake_up_it_is_refused(offset_ms: int) -> None:
    """The cleanup has begun: no promise that the backend's answer would break."""
    user = limited()
    user.say(Wake(), DEADLINE)
    assert user.say(ExtendBy(5), DEADLINE + offset_ms).reply is Refusal.BEING_CLEANED


@pytest.mark.parametrize(("offset_ms", "granted"), [(-1, True), (0, False), (1, False)])
def test_time_that_has_passed_is_not_granted(offset_ms: int, *, granted: bool) -> None:
    """The service was down: up to the limit there is time to be used, from then on it is refused, not promised."""
    user = limited()
    reply = user.say(ExtendBy(60), LIMIT + offset_ms).reply
    assert (reply == Extended(user.session, HOUR, partial=True)) is granted
    assert (reply is Refusal.LIMIT_REACHED) is not granted


@pytest.mark.parametrize(
    "message", [ExtendUntil(0), ExtendUntil(NOW), ExtendUntil(LATER - 1), ExtendUntil(LATER), ExtendBy(-600)]
)
def test_an_end_in_the_past_is_now(message: Extend) -> None:
    """Shortened to what is over, the session ends now, and is not late before it could be cleaned."""
    user = limited()
    assert extend(user, message) == Extended(user.session, LATER - DEADLINE, partial=False)
    assert user.due_ms == LATER
    assert user.effects == []
    user.say(Wake(), LATER)
    assert user.newest_clean.attempt == 1


@pytest.mark.parametrize("message", [ExtendUntil(DEADLINE + 4), ExtendUntil(DEADLINE + 5), ExtendBy(-1)])
def test_a_deadline_that_has_passed_is_not_moved_to_another_one_that_has(message: Extend) -> None:
    """Nothing is granted that is over already."""
    user = limited()
    before = user.state
    assert extend(user, message, DEADLINE + 5) == Extended(user.session, 0, partial=False)
    assert user.state is before


def test_a_clock_that_was_set_back_makes_no_session_without_a_duration() -> None:
    """Ended before it was created, by the clock: it has the shortest duration that there is."""
    user = limited()
    extend(user, ExtendUntil(0), NOW - HOUR)
    assert user.session.expires_ms == NOW + 1
    assert user.session.lab.duration > 0


# --- extra time per person ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "factor", "duration"),
    [
        (60, 1.5, 90),
        (60, 4 / 3, 80),
        (0.05, 2, 0.1),
        (45.5, 1.25, 56.875),
        (60.0, 1.0, 60.0),
        (1e-09, 10, 0.000016),
        (1, 1.000001, 1.000016),
    ],
)
def test_the_factor_multiplies_the_duration(minutes: float, factor: float, duration: float) -> None:
    """The session's duration is the given one times the factor, so that it is what creation and deadline say."""
    user = User().create(duration=minutes, time_factor=factor)
    assert user.session.lab == lab(duration=duration, time_factor=factor)
    assert user.session.expires_ms == NOW + duration_ms(duration) == NOW + duration_ms(minutes, factor)


@pytest.mark.parametrize(
    ("message", "granted_ms"),
    [(ExtendBy(10), 15 * MINUTE), (ExtendBy(-10), -15 * MINUTE), (ExtendUntil(DEADLINE + HOUR), HOUR // 2)],
)
def test_the_factor_multiplies_minutes_and_no_instant(message: Extend, granted_ms: int) -> None:
    """Ten minutes more for everybody are fifteen for this person; noon is noon."""
    assert extend(limited(time_factor=1.5), message).granted_ms == granted_ms


def test_the_factor_multiplies_the_limit() -> None:
    """What others may add, this person may add times the factor."""
    user = limited(time_factor=1.5)
    assert latest_ms(user.session, LIMITED) == NOW + 3 * HOUR
    assert extend(user, ExtendBy(61)) == Extended(user.session, 3 * HOUR // 2, partial=True)


def test_a_put_names_the_whole_duration_whatever_the_factor() -> None:
    """What a client has read it can write back: `duration` is creation to deadline for everybody (CONTRACT §3.2)."""
    user = limited(time_factor=1.5)
    before = user.session
    reply = user.say(Update(LabChanges(duration=before.lab.duration)), LATER).reply
    assert isinstance(reply, Current)
    assert (reply.session.expires_ms, reply.session.lab) == (before.expires_ms, before.lab)


# --- what clients are told ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now_ms", "reason"),
    [(LATER, None), (DEADLINE, None), (LIMIT - 1, None), (LIMIT, Refusal.LIMIT_REACHED)],
)
def test_whether_more_time_can_be_had(now_ms: int, reason: Refusal | None) -> None:
    """As long as the cleanup hasn't begun and time is left that may be granted."""
    user = limited()
    body = public(user.session, now_ms, LIMITED)
    assert body["max_expires_at"] == iso(LIMIT)
    assert (body["extendable"], body["why_not"]) == (reason is None, None if reason is None else reason.value)


def test_why_no_more_time_can_be_had() -> None:
    """A closed vocabulary."""
    user = limited()
    extend(user, ExtendUntil(LIMIT - 1))
    assert public(user.session, LATER, LIMITED)["why_not"] is None
    extend(user, ExtendUntil(LIMIT))
    assert public(user.session, LATER, LIMITED)["why_not"] == "limit_reached"
    body = public(user.expire().session, LIMIT, LIMITED)
    assert (body["extendable"], body["why_not"], body["max_expires_at"]) == (False, "being_cleaned", iso(LIMIT))


# --- properties --------------------------------------------------------------------------------------------


@seeded
@given(st.integers(1, 10 * 366 * 24 * HOUR * 10))
def test_every_deadline_has_a_duration(ms: int) -> None:
    """Any whole number of milliseconds, up to ten times ten years, is a number of minutes that means exactly it."""
    minutes = minutes_of(ms)
    assert duration_ms(minutes) == ms
    assert isinstance(minutes, int) is (ms % MINUTE == 0)
    assert float(repr(minutes)) == minutes


@seeded
@given(durations, time_factors)
def test_a_stretched_duration_is_long_enough(minutes: float, factor: float) -> None:
    """Never a millisecond short and never one too many, in exact arithmetic."""
    exact = Fraction(repr(minutes)) * 60_000 * Fraction(repr(factor))
    assert exact <= duration_ms(minutes, factor) < exact + 1


requests = st.builds(ExtendBy, minutes=more_minutes) | st.builds(ExtendUntil, instant_ms=instants)


@seeded
@given(durations, time_factors, st.lists(st.tuples(requests, st.integers(-HOUR, 90 * 24 * HOUR)), max_size=8))
def test_any_series_of_extensions(minutes: float, factor: float, asked: list[tuple[Extend, int]]) -> None:
    """Deadline, duration and wake-up agree; the limit holds; an answer tells what changed, a refusal changes nothing.

    What was granted more is there to be used: the deadline is then in the future.
    """
    user = User()
    user.say(Create("0" * 32, lab(duration=minutes, time_factor=factor)), NOW)
    limit_ms = NOW + duration_ms(user.policy.max_total_minutes, factor)
    for message, offset_ms in asked:
        before, now_ms = user.session, NOW + offset_ms
        reply = user.say(message, now_ms).reply
        after = user.session
        if reply is Refusal.LIMIT_REACHED:
            assert after is before
            assert max(before.expires_ms, now_ms) >= limit_ms
        else:
            assert isinstance(reply, Extended)
            assert reply.granted_ms == after.expires_ms - before.expires_ms
            assert reply.granted_ms <= 0 or after.expires_ms > now_ms
            assert not reply.partial or after.expires_ms == limit_ms
        assert wake_at(user.state) == after.expires_ms == NOW + duration_ms(after.lab.duration) <= limit_ms
        assert (after.version == before.version) is (after.expires_ms == before.expires_ms)
        assert structs.replace(after.lab, duration=1) == structs.replace(before.lab, duration=1)


@seeded
@given(sessions, instants)
def test_extendable_is_what_a_request_finds(session: Session, now_ms: int) -> None:
    """`extendable` promises exactly that a minute more would be granted, at least in part, and `why_not` that not."""
    assume(session.expires_ms > session.created_ms)
    user = User()
    user.state = State(session=session)
    reason = why_not(session, now_ms, user.policy)
    reply = user.say(ExtendBy(1), now_ms).reply

    if reason is None:
        assert isinstance(reply, Extended)
        assert reply.granted_ms > 0
    else:
        assert reply is reason
    assert latest_ms(session, user.policy) >= session.expires_ms
