"""The dispatcher's sign of life: what counts as being in order, and what doesn't."""

import asyncio
from collections.abc import Callable

import pytest
from actor_kit import World, at, virtual

from actors.admission import Limits
from actors.clock import Timer
from actors.testing import ManualClock, VirtualClock


class DeafClock(VirtualClock):
    """A wall clock whose timers never ring once it is `deaf`; it may be set, too."""

    deaf = False
    set_by_ms = 0

    def now_ms(self) -> int:
        """See `Clock`."""
        return super().now_ms() + self.set_by_ms

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        """See `Clock`."""
        return super().call_at(when_ms, (lambda: None) if self.deaf else callback)


@virtual
async def test_a_dispatcher_that_oversleeps_is_visible() -> None:
    """It looks again after 30 s at the latest: what is beyond that is how long ago it was in order."""
    clock = DeafClock()
    clock.deaf = True
    async with World(clock=clock) as world:
        await world.until(30_000)
        assert world.runtime.pulse().stalled_seconds < 0.01
        await world.until(31_000)
        assert world.runtime.pulse().stalled_seconds == pytest.approx(1, abs=0.01)
        await world.until(90_000)
        assert world.runtime.pulse().stalled_seconds == pytest.approx(60, abs=0.01)


@virtual
async def test_a_clock_that_was_set_forward_is_no_oversleeping() -> None:
    """The timer of the loop rings at its time all the same, and the dispatcher sees the new instant then."""
    clock = DeafClock()
    async with World(clock=clock) as world:
        await world.until(1000)
        clock.set_by_ms = 3_600_000
        assert world.runtime.pulse().stalled_seconds == 0
        await world.until(60_000)
        assert world.runtime.pulse().stalled_seconds == 0


@virtual
async def test_a_clock_that_is_driven_may_stand_still() -> None:
    """However long nobody drives it, the dispatcher is in order: nothing falls due."""
    async with World(clock=ManualClock()) as world:
        await asyncio.sleep(3600)
        assert world.runtime.pulse().stalled_seconds == 0


@virtual
async def test_to_wait_for_a_slot_is_in_order() -> None:
    """As long as the work takes; the age of what is overdue tells of that, not the dispatcher's."""

    async def for_ever() -> None:
        await asyncio.Event().wait()

    world = World(limits=Limits(slots=1, slow_slots=0))
    world.put_on_disk("a", at(0))
    world.put_on_disk("b", at(0))
    world.on_wake = lambda toy: toy.saved(start_effect=for_ever)
    async with world:
        await world.until(5000)
        pulse = world.runtime.pulse()
        assert (pulse.stalled_seconds, pulse.slots_in_use, pulse.effects, pulse.resident) == (0, 1, 1, 1)
        assert (await world.runtime.health()).overdue_ms == 5000
