"""Alarms and a wall clock that steps: never early, and noticed soon."""

import asyncio

import pytest
from actor_kit import Arm, World, at, virtual

from actors.alarms import RECHECK_SECONDS
from actors.testing import VirtualClock


@virtual
async def test_a_clock_that_steps_back_makes_nothing_early() -> None:
    """Story 10, AL-14: the timer comes when it was set for, the wake-up when the wall clock says so."""
    clock = VirtualClock()
    async with World(clock=clock) as world:
        seconds = asyncio.get_running_loop().time
        await world.toys.ask("a", Arm(at(10_000)))
        await asyncio.sleep(9)
        clock.step(-5000)
        await asyncio.sleep(5.999)
        assert world.woken == []
        await asyncio.sleep(0.002)
        assert world.woken == [("a", 10_000)]
        assert 15 <= seconds() < 15.002


@pytest.mark.parametrize("step_ms", [59_000, 3_600_000])
def test_a_clock_that_steps_forward_is_noticed(step_ms: int) -> None:
    """Story 10: after RECHECK_SECONDS at the latest, an alarm that a step has made due is served, and no sooner."""

    @virtual
    async def run() -> None:
        clock = VirtualClock()
        async with World(clock=clock) as world:
            await world.toys.ask("a", Arm(at(60_000)))
            await asyncio.sleep(1)
            clock.step(step_ms)
            await asyncio.sleep(RECHECK_SECONDS)

            assert [name for name, _ in world.woken] == ["a"]
            assert world.woken[0][1] >= 60_000

    run()


@virtual
async def test_a_step_forward_that_falls_short_makes_nothing_early() -> None:
    """One millisecond short of the alarm is short of it."""
    clock = VirtualClock()
    async with World(clock=clock) as world:
        await world.toys.ask("a", Arm(at(60_000)))
        await asyncio.sleep(29)
        clock.step(59_999 - 29_000)
        await asyncio.sleep(0.0005)
        assert world.woken == []
        await asyncio.sleep(RECHECK_SECONDS)
        assert [name for name, _ in world.woken] == ["a"]
