"""Requests with keys: asked again, they are answered as before, and nothing is done."""

import pytest
from builders import GENERATION, HOUR, MINUTE, NOW, OTHER_GENERATION, POLICY, User, active, lab
from msgspec import structs

from labsessions.core.codec import decode, encode
from labsessions.core.idempotency import KEPT
from labsessions.core.machine import is_retry, wake_at
from labsessions.core.messages import (
    Create,
    Current,
    Delete,
    ExtendBy,
    Extended,
    Keyed,
    Refusal,
    Wake,
)
from labsessions.core.model import State
from labsessions.core.policy import Policy
from labsessions.core.reanchor import AHEAD_MS, reanchored

DAY = 24 * HOUR


def create(key: str = "k", digest: str = "d", generation: str = GENERATION) -> Keyed:
    """A POST with a key."""
    return Keyed(key, digest, Create(generation, lab()))


def test_the_first_answer_says_when_it_was_given() -> None:
    """It is that of a request without a key otherwise, and so is what is done."""
    user = User()
    decision = user.say(create(), NOW)
    assert decision.reply == Current(user.session, at_ms=NOW)
    plain = User().say(Create(GENERATION, lab()), NOW)
    assert structs.replace(decision.state, answered=()) == plain.state
    assert (decision.events, decision.effects) == (plain.events, plain.effects)


@pytest.mark.parametrize("after_ms", [0, 1, DAY - 1])
def test_asked_again_it_answers_as_before(after_ms: int) -> None:
    """With the session as it was then, whatever has become of it; the state is the very same."""
    user = User()
    first = user.say(create(), NOW).reply
    user.say(ExtendBy(5), NOW)
    before = user.state
    again = user.say(create(generation=OTHER_GENERATION), NOW + after_ms)
    assert isinstance(first, Current)
    assert again.reply == structs.replace(first, replayed=True)
    assert again.state is before
    assert (again.events, again.effects) == ((), ())


def test_asked_again_after_the_end_makes_no_second_session() -> None:
    """Deleted by hand or cleaned up: the answer is the old one."""
    deleted, cleaned = User(), User()
    for user in (deleted, cleaned):
        user.say(create(), NOW)
    deleted.say(Delete(), NOW)
    cleaned.expire().say(cleaned.outcome(*cleaned.newest_clean.vms), NOW + HOUR)
    for user in (deleted, cleaned):
        assert user.state.session is None
        reply = user.say(create(generation=OTHER_GENERATION), NOW + 2 * HOUR).reply
        assert isinstance(reply, Current)
        assert reply.replayed
        assert user.state.session is None


@pytest.mark.parametrize(("after_ms", "known"), [(DAY - 1, True), (DAY, False), (DAY + 1, False)])
def test_a_key_lapses_after_a_day(after_ms: int, known: bool) -> None:  # noqa: FBT001
    """To the millisecond; from then on it is a new key."""
    user = User()
    user.say(create(), NOW)
    user.say(Delete(), NOW)
    reply = user.say(create(digest="other"), NOW + after_ms).reply
    assert (reply is Refusal.KEY_REUSED) is known
    assert isinstance(reply, Current) is not known


def test_the_same_key_for_something_else_is_refused() -> None:
    """Other words, and nothing is done."""
    user = User()
    user.say(create(), NOW)
    before = user.state
    decision = user.say(create(digest="other"), NOW)
    assert decision.reply is Refusal.KEY_REUSED
    assert decision.state is before


def test_refusals_are_not_remembered() -> None:
    """The next try with the same key may succeed."""
    user = active()
    before = user.state
    assert user.say(create(), NOW).reply is Refusal.EXISTS
    assert user.state is before
    user.say(Delete(), NOW)
    assert isinstance(user.say(create(), NOW).reply, Current)


@pytest.mark.parametrize("minutes", [5, -5])
def test_an_extension_is_granted_once(minutes: int) -> None:
    """Asked again, it tells what was granted, and moves no deadline."""
    user = active()
    asked = Keyed("k", "d", ExtendBy(minutes))
    first = user.say(asked, NOW).reply
    expires_ms = user.session.expires_ms
    again = user.say(asked, NOW + 1).reply
    assert isinstance(first, Extended)
    assert first.at_ms == NOW
    assert again == structs.replace(first, replayed=True)
    assert user.session.expires_ms == expires_ms == NOW + HOUR + minutes * MINUTE


def test_a_part_of_an_extension_stays_a_part() -> None:
    """Also that it was partial is remembered."""
    user = User(structs.replace(POLICY, max_total_minutes=90)).create()
    asked = Keyed("k", "d", ExtendBy(60))
    replies = [user.say(asked, NOW).reply for _ in range(2)]
    assert [isinstance(reply, Extended) and reply.partial for reply in replies] == [True, True]


def test_the_newest_few_are_remembered() -> None:
    """So that nobody fills the state with keys; the same key is remembered once."""
    user = active()
    for number in range(KEPT + 1):
        user.say(Keyed(f"k{number}", "d", ExtendBy(1)), NOW)
    assert [told.key for told in user.state.answered] == [f"k{number}" for number in range(1, KEPT + 1)]
    user.say(Keyed("k1", "e", ExtendBy(1)), NOW + DAY)
    assert [told.key for told in user.state.answered] == ["k1"]


def test_with_a_session_the_wake_up_is_the_sessions() -> None:
    """A key needs none of its own."""
    user = User()
    user.say(create(), NOW)
    assert wake_at(user.state) == user.session.expires_ms


def test_what_is_left_goes_when_the_last_key_has_lapsed() -> None:
    """Then nothing is stored any more, and not a millisecond before."""
    user = User()
    user.say(create("a"), NOW)
    user.say(Keyed("b", "d", ExtendBy(1)), NOW + 5)
    user.say(Delete(), NOW + 6)
    assert wake_at(user.state) == NOW + 5 + DAY
    assert not is_retry(user.state)
    assert decode(encode(user.state)) == user.state
    user.say(Wake(), NOW + 4 + DAY)
    assert [told.key for told in user.state.answered] == ["b"]
    early = user.state
    assert user.say(Wake(), NOW + 4 + DAY).state is early
    user.say(Wake(), NOW + 5 + DAY)
    assert user.state == State()
    assert encode(user.state) is None


def test_keys_outlive_a_change_of_the_setting() -> None:
    """How long is decided when the answer is given."""
    user = User()
    user.say(create(), NOW)
    user.policy = structs.replace(user.policy, keys_kept_ms=1)
    assert user.say(create(), NOW + HOUR).reply == Current(user.session, at_ms=NOW, replayed=True)
    assert Policy().keys_kept_ms == DAY


@pytest.mark.parametrize(("behind_ms", "moved"), [(AHEAD_MS, False), (AHEAD_MS + 1, True)])
def test_a_clock_that_was_ahead_keeps_no_key_longer(behind_ms: int, moved: bool) -> None:  # noqa: FBT001
    """Set right, it is remembered for a day from now; also if nothing else is left."""
    user = User()
    user.say(create(), NOW)
    user.say(Delete(), NOW)
    state = reanchored(user.state, NOW - behind_ms, POLICY)
    assert (state is user.state) is not moved
    assert wake_at(state) == (NOW - behind_ms + DAY if moved else NOW + DAY)
