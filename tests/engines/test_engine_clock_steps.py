"""What steps of the wall clock do to retries, which are instants of it: how late they come, and never early."""

import asyncio

import pytest
from builders import POLICY
from test_engine_lifecycle import ScriptedCleaner, World

from actors.testing import VirtualClock, run_virtual

DEADLINE_MS = 60_000
FAILED_MS = DEADLINE_MS + 1000
ON_TIME_MS = FAILED_MS + POLICY.retry_interval_ms


def attempts(forward_s: float, back_s: float, step_ms: int) -> list[int]:
    """When attempts begin, in real time, of which the first fails; the clock goes so far forward, and back again."""

    async def main() -> list[int]:
        world = World(ScriptedCleaner("503"))
        clock = world.runtime.clock
        assert isinstance(clock, VirtualClock)
        await world.create(duration=1)
        await asyncio.sleep(forward_s)
        clock.step(step_ms)
        await asyncio.sleep(back_s - forward_s)
        clock.step(-step_ms)
        await asyncio.sleep((ON_TIME_MS + step_ms) / 1000 + 60)
        await world.runtime.stop(5)
        return [at for at, _ in world.cleaner.begun]

    return run_virtual(main())


@pytest.mark.parametrize("step_ms", [5_000, 600_000, 86_400_000])
def test_a_retry_that_was_armed_by_a_clock_that_was_ahead_is_late_by_the_step(step_ms: int) -> None:
    """The limit that the README states: forward during the attempt, back a minute after its failure."""
    assert attempts(60.5, 121, step_ms) == [DEADLINE_MS, ON_TIME_MS + step_ms]


@pytest.mark.parametrize(
    ("forward_s", "back_s"), [(60.2, 60.8), (61.5, 90), (62, 300)], ids=["before the failure", "after it", "long after"]
)
def test_a_retry_that_was_armed_by_the_right_time_is_on_time(forward_s: float, back_s: float) -> None:
    """Steps that are over before the attempt ends, or come after it and fall short of the retry, change nothing."""
    assert attempts(forward_s, back_s, 30_000) == [DEADLINE_MS, ON_TIME_MS]
