"""Wake-ups that leave the dispatcher: none before its alarm, none while the clock guard must hold it back."""

import pytest
from builders import NOW
from desk import ACTOR
from test_simulation_invariants import breaks

from actors.clock_guard import GuardLimits
from actors.storage import DueAlarm, Lane
from labsessions.simulation.books import Books, Capacity
from labsessions.simulation.deliveries import NOTICED_MS, Deliveries

HOUR = 3_600_000
GUARD = GuardLimits(step_seconds=600, hold_seconds=900)
HOLD = 900_000


class Dispatcher:
    """Clocks that are set by hand, and what a dispatcher does by them."""

    def __init__(self, guard: GuardLimits | None = None) -> None:
        self.elapsed_ms, self.wall_ms = 0, NOW
        self.books = Books(elapsed_ms=lambda: self.elapsed_ms, wall_ms=lambda: self.wall_ms)
        self.deliveries = Deliveries(self.books, guard)

    def passes(self, ms: int) -> None:
        """Time passes."""
        self.elapsed_ms += ms
        self.wall_ms += ms

    def steps(self, ms: int) -> None:
        """The wall clock is set."""
        self.deliveries.clock_steps(ms)
        self.wall_ms += ms

    def reads(self, due_ms: int, lane: Lane = Lane.FIRST) -> None:
        """The actor's alarm is read."""
        self.deliveries.read(lane, [DueAlarm(ACTOR, NOW + due_ms, lane, 0)])

    def wakes(self) -> None:
        """The actor is woken."""
        self.deliveries.woken(ACTOR)

    def wakes_one_that_is_due(self) -> None:
        """It is read and woken."""
        self.reads(self.wall_ms - NOW)
        self.wakes()


@pytest.mark.parametrize("due", [-1, 0, 1])
def test_a_wake_up_a_millisecond_early(due: int) -> None:
    """Invariant 2: one before, equal, one after; though the actor would answer that nothing is due."""
    dispatcher = Dispatcher()
    dispatcher.reads(due)
    if due > 0:
        with breaks(2):
            dispatcher.wakes()
    else:
        dispatcher.wakes()


def test_a_wake_up_of_which_nothing_was_read() -> None:
    """Invariant 2: what a later window doesn't have any more is not woken for the sake of an older one."""
    dispatcher = Dispatcher()
    with breaks(2):
        dispatcher.wakes()
    dispatcher.reads(0)
    dispatcher.deliveries.read(Lane.FIRST, [])
    with breaks(2):
        dispatcher.wakes()


def test_an_alarm_that_has_changed_its_lane() -> None:
    """It may be woken by the window of either lane."""
    dispatcher = Dispatcher()
    dispatcher.reads(0, Lane.RETRY)
    dispatcher.reads(HOUR, Lane.FIRST)
    dispatcher.wakes()
    dispatcher.reads(1, Lane.RETRY)
    with breaks(2):
        dispatcher.wakes()


def test_what_was_due_before_the_clock_was_set_back() -> None:
    """It may have been on its way; but what is read afterwards goes by the new time."""
    dispatcher = Dispatcher()
    dispatcher.reads(5)
    dispatcher.passes(4)
    dispatcher.steps(-HOUR)
    with breaks(2):
        dispatcher.wakes()

    dispatcher = Dispatcher()
    dispatcher.reads(5)
    dispatcher.passes(5)
    dispatcher.steps(-HOUR)
    dispatcher.wakes()
    dispatcher.reads(5)
    with breaks(2):
        dispatcher.wakes()


@pytest.mark.parametrize(("step_ms", "held"), [(599_999, False), (600_000, False), (600_001, True)])
def test_a_wake_up_after_a_step_beyond_the_limit(step_ms: int, *, held: bool) -> None:
    """One before, equal, one after; without a guard no step holds back anything."""
    for guard in (GUARD, None):
        dispatcher = Dispatcher(guard)
        dispatcher.steps(step_ms)
        dispatcher.passes(1)
        dispatcher.wakes_one_that_is_due()  # it was on its way
        dispatcher.passes(1)
        if held and guard is not None:
            with breaks(2):
                dispatcher.wakes_one_that_is_due()
        else:
            dispatcher.wakes_one_that_is_due()


def test_how_long_a_step_holds_back() -> None:
    """Until its time is over, not a millisecond less."""
    dispatcher = Dispatcher(GUARD)
    dispatcher.steps(HOUR)
    dispatcher.passes(HOLD - 1)
    with breaks(2):
        dispatcher.wakes_one_that_is_due()
    dispatcher.passes(1)
    dispatcher.wakes_one_that_is_due()
    dispatcher.passes(NOTICED_MS)
    dispatcher.steps(60_000)
    dispatcher.passes(2)
    dispatcher.wakes_one_that_is_due()


@pytest.mark.parametrize(("back_ms", "held"), [(2_999_999, True), (3_000_000, False)])
def test_a_step_that_is_taken_back(back_ms: int, *, held: bool) -> None:
    """What is left of it is within the limit, or isn't."""
    dispatcher = Dispatcher(GUARD)
    dispatcher.steps(HOUR)
    dispatcher.passes(NOTICED_MS)
    dispatcher.steps(-back_ms)
    dispatcher.passes(2)
    if held:
        with breaks(2):
            dispatcher.wakes_one_that_is_due()
    else:
        dispatcher.wakes_one_that_is_due()


def test_when_the_clock_may_be_set_again() -> None:
    """Not before the guard has noticed what has happened, for nobody could tell then what it must do."""
    dispatcher = Dispatcher(GUARD)
    dispatcher.passes(HOUR)
    for wait_ms in (0, NOTICED_MS, HOLD - NOTICED_MS):
        dispatcher.passes(wait_ms)
        if wait_ms == 0:
            dispatcher.steps(HOUR)
        assert dispatcher.deliveries.settled() is (wait_ms == NOTICED_MS)
    dispatcher.passes(NOTICED_MS - 1)
    assert not dispatcher.deliveries.settled()
    dispatcher.passes(1)
    assert dispatcher.deliveries.settled()

    unguarded = Dispatcher()
    unguarded.steps(HOUR)
    assert unguarded.deliveries.settled()


def test_how_long_one_may_wait_for_others() -> None:
    """As long as it takes to serve those who were before it and those who have come since, at the given pace."""
    assert Capacity(slots=2, held_ms=100, lag_ms=7).longest_wait_ms(0) == 107
    assert Capacity(slots=2, held_ms=100, lag_ms=7).longest_wait_ms(3) == 257
    assert Capacity(slots=2, held_ms=100, pace_ms=1000, lag_ms=7).longest_wait_ms(3) == 5257
    dispatcher = Dispatcher()
    for _ in range(3):
        dispatcher.wakes_one_that_is_due()
        dispatcher.passes(1)
    assert [dispatcher.books.served_since(since_ms) for since_ms in (0, 1, 2, 3)] == [3, 2, 1, 0]
