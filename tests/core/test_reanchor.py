"""What a clock that was ahead has stored, and how it is set right once the clock is: one before, equal, one after."""

from collections.abc import Callable

import pytest
from builders import GENERATION, HOUR, MINUTE, NOW, OTHER_GENERATION, POLICY, User, lab, worker_nodes
from hypothesis import given
from msgspec import structs
from strategies import instants, seeded, states

from labsessions.core.machine import wake_at
from labsessions.core.messages import Clean, Create, Delete, Update, Wake
from labsessions.core.model import LabChanges, State
from labsessions.core.policy import Policy
from labsessions.core.reanchor import AHEAD_MS, reanchored

GRACE = 24 * HOUR
ENSURE = structs.replace(POLICY, owed_after_ms=GRACE)


@pytest.mark.parametrize(
    ("ahead_ms", "moved"),
    [(-HOUR, False), (0, False), (1, False), (AHEAD_MS, False), (AHEAD_MS + 1, True), (100 * HOUR, True)],
)
def test_a_session_from_the_future_begins_anew(ahead_ms: int, *, moved: bool) -> None:
    """It has its whole duration from now on, however far ahead it was; what a small step does is left alone."""
    user = User().create(now_ms=NOW + ahead_ms, duration=90.5, worker_nodes=worker_nodes("w"))
    before = user.session
    after = reanchored(user.state, NOW, POLICY)
    if not moved:
        assert after is user.state
        return
    expires_ms = NOW + 90 * MINUTE + 30_000
    assert after.session == structs.replace(
        before, version=before.version + 1, created_ms=NOW, updated_ms=NOW, expires_ms=expires_ms
    )
    assert wake_at(after) == expires_ms


def test_it_has_the_duration_that_a_put_has_given() -> None:
    """Not the one that it was created with."""
    user = User().create(now_ms=NOW + HOUR)
    user.say(Update(LabChanges(duration=5)), NOW + HOUR)
    assert wake_at(reanchored(user.state, NOW, POLICY)) == NOW + 5 * MINUTE


@pytest.mark.parametrize(
    "reach", [lambda user: user.expire(), lambda user: user.expire().fail()], ids=["open", "failed"]
)
@pytest.mark.parametrize(
    ("policy", "longest_ms"),
    [
        (POLICY, POLICY.backstop_ms),
        (structs.replace(POLICY, attempt_limit_ms=1, spread=0.1), 330_000),
        (ENSURE, GRACE),
    ],
)
@pytest.mark.parametrize(("beyond_ms", "moved"), [(-1, False), (0, False), (AHEAD_MS, False), (AHEAD_MS + 1, True)])
def test_an_attempt_that_is_further_away_than_any_is_put_off_is_due(
    reach: Callable[[User], User], policy: Policy, longest_ms: int, beyond_ms: int, *, moved: bool
) -> None:
    """The longest wait is backstop, interval with its whole spread, or grace; what is left of the cleanup stays."""
    user = reach(User().create(duration=1))
    now_ms = user.due_ms - longest_ms - beyond_ms
    before = user.cleanup
    after = reanchored(user.state, now_ms, policy)
    if not moved:
        assert after is user.state
        return
    assert after.session == structs.replace(
        user.session, version=user.session.version + 1, cleanup=structs.replace(before, retry_ms=now_ms)
    )
    user.state = after
    user.say(Wake(), now_ms)
    assert user.cleanup.attempts == before.attempts + 1


def test_a_session_that_is_being_cleaned_keeps_its_creation() -> None:
    """Its time is over; only when it is tried again matters."""
    user = User().create(now_ms=NOW + 10 * HOUR).expire()
    after = reanchored(user.state, NOW, POLICY).session
    assert after is not None
    assert after.created_ms == NOW + 10 * HOUR
    assert after.due_ms == NOW


def test_obligations_are_set_right_beside_the_session() -> None:
    """Each part by itself: the old obligation is due, the one within its grace period and the session are left."""
    user = User(ENSURE).create(GENERATION, NOW + 3 * GRACE)
    user.say(Delete(), NOW + 3 * GRACE)
    user.say(Create(OTHER_GENERATION, lab(lab_request_id="vm-2")), NOW)
    user.say(Delete(), NOW)
    user.say(Create("2" * 36, lab(lab_request_id="vm-3")), NOW)
    after = reanchored(user.state, NOW, ENSURE)
    assert [part.due_ms for part in after.owed] == [NOW, NOW + GRACE]
    assert after.owed[1] is user.state.owed[1]
    assert after.session is user.state.session
    user.state = after
    user.say(Wake(), NOW)
    assert isinstance(user.effects[-1], Clean)
    assert user.newest_clean.generation == GENERATION


def test_nothing_is_nothing() -> None:
    """An empty state has nothing to set right."""
    empty = State()
    assert reanchored(empty, NOW, POLICY) is empty


@seeded
@given(states, instants)
def test_once_is_enough(state: State, now_ms: int) -> None:
    """What has been set right needs no more, and no part is lost."""
    after = reanchored(state, now_ms, ENSURE)
    assert reanchored(after, now_ms, ENSURE) is after
    assert (after.session is None, len(after.owed)) == (state.session is None, len(state.owed))
