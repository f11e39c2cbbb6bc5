"""A client may name the states of its session that it means: in any other one its request changes nothing."""

import pytest
from builders import MINUTE, NOW, User

from labsessions.core.messages import (
    Current,
    Delete,
    ExtendBy,
    Extended,
    ExtendUntil,
    Message,
    Refusal,
    Update,
    Wake,
)
from labsessions.core.model import LabChanges

LATER = NOW + MINUTE
CHANGE = LabChanges(terminal_url="https://terminal.example/moved")


def condition(*tags: str) -> frozenset[str]:
    """The tags as a message has them."""
    return frozenset(tags)


@pytest.mark.parametrize("message", [Update(CHANGE), ExtendBy(5), ExtendUntil(LATER), Delete()])
def test_without_a_condition_any_state_will_do(message: Message) -> None:
    """As the contract has it."""
    user = User().create()
    user.say(Update(CHANGE), LATER)
    assert isinstance(user.say(message, LATER).reply, Current | Extended)


def test_the_tag_changes_with_every_change_and_with_nothing_else() -> None:
    """Neither time nor a look changes it; an update to what it was before does."""
    user = User().create()
    first = user.session.tag
    user.say(Update(CHANGE), LATER)
    second = user.session.tag
    user.say(Update(CHANGE), LATER)
    assert len({first, second, user.session.tag}) == 3


def test_the_tag_of_a_later_session_is_another() -> None:
    """Also with the same ids and as few changes."""
    user = User().create()
    first = user.session.tag
    user.say(Delete(), LATER)
    user.create(generation="generation-2")
    assert user.session.tag != first


@pytest.mark.parametrize(
    "make",
    [
        lambda tags: Update(CHANGE, tags),
        lambda tags: ExtendBy(5, tags),
        lambda tags: ExtendBy(10**9, tags),
        lambda tags: ExtendUntil(LATER, tags),
        Delete,
    ],
    ids=["update", "by", "beyond the limit", "until", "delete"],
)
def test_what_was_read_before_a_change_is_refused_after_it(make: type[Delete]) -> None:
    """The one before: refused, and nothing has changed. The one in force, alone or among others: as without."""
    user = User().create()
    before = user.session.tag
    user.say(Update(CHANGE), LATER)
    for tags in (condition(before), condition(), condition("", "another")):
        state = user.state
        decision = user.say(make(tags), LATER)
        assert (decision.reply, decision.events, decision.effects) == (Refusal.CHANGED, (), ())
        assert user.state is state
    assert isinstance(user.say(make(condition(before, user.session.tag)), LATER).reply, Current | Extended)


def test_nobody_has_a_state() -> None:
    """Without a session it is a 404 whatever was meant."""
    user = User()
    assert user.say(Update(CHANGE, condition("a")), NOW).reply is Refusal.NOT_FOUND
    assert user.say(ExtendBy(5, condition("a")), NOW).reply is Refusal.NOT_FOUND
    assert user.say(Delete(condition("a")), NOW).reply is Refusal.NOT_FOUND


def test_a_cleanup_is_a_change() -> None:
    """Who has read the session before its end deletes it no more by that; a PUT is refused for the cleanup's sake."""
    user = User().create()
    before = user.session.tag
    user.say(Wake(), user.session.expires_ms)
    now = user.session.expires_ms
    assert user.say(Delete(condition(before)), now).reply is Refusal.CHANGED
    assert user.say(Update(CHANGE, condition(before)), now).reply is Refusal.BEING_CLEANED
    assert user.say(ExtendBy(5, condition(before)), now).reply is Refusal.BEING_CLEANED
    assert isinstance(user.say(Delete(condition(user.session.tag)), now).reply, Current)
