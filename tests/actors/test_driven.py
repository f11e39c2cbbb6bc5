"""Driven time: every alarm at its own instant, and all that it leads to before the next one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from actor_kit import Arm, Show, Toy, World, at

from actors.actor import Outcome
from actors.driven import DrivenTime
from actors.storage import Alarm, Lane
from actors.testing import ManualClock


@asynccontextmanager
async def driven() -> AsyncIterator[tuple[World, DrivenTime]]:
    """A world whose clock is moved by hand."""
    clock = ManualClock()
    async with World(clock=clock) as world:
        yield world, DrivenTime(clock, world.runtime)


@pytest.mark.parametrize(("ms", "rung"), [(99, []), (100, [("toy", 100)]), (101, [("toy", 100)])])
async def test_an_alarm_rings_at_its_instant_and_not_before(ms: int, rung: list[tuple[str, int]]) -> None:
    """A millisecond before: silence. Afterwards the clock shows the instant that was asked for."""
    async with driven() as (world, time):
        await world.toys.ask("toy", Arm(at(100)))
        await time.advance(ms)
        assert world.woken == rung
        assert world.now_ms == ms


async def test_what_an_alarm_leads_to_is_done_before_the_next_rings() -> None:
    """Effects in real time, their results, and the alarms that those arm: each at its own instant, in one advance."""
    async with driven() as (world, time):
        results: list[int] = []

        async def effect() -> str:
            await asyncio.sleep(0)
            results.append(world.now_ms)
            return "done"

        def wake(toy: Toy) -> Outcome:
            assert world.is_due(toy)
            toy.count += 1
            toy.alarm = Alarm(world.clock.now_ms() + 300, Lane.RETRY) if toy.count < 4 else None
            return toy.saved(start_effect=effect)

        world.on_wake = wake
        await world.toys.ask("slow", Arm(at(100)))
        await world.toys.ask("quick", Arm(at(150)))
        await time.advance(700)
        assert world.woken == [("slow", 100), ("quick", 150), ("slow", 400), ("quick", 450), ("slow", 700)]
        assert results == [100, 150, 400, 450, 700]
        assert world.results == [(name, "done") for name, _ in world.woken]
        await time.advance(1_000)
        assert [await world.toys.ask(name, Show()) for name in ("slow", "quick")] == [4, 4]
        assert world.now_ms == 1_700


async def test_what_is_overdue_is_done_first() -> None:
    """After a restart: at the instant that it is, before time goes on."""
    async with driven() as (world, time):
        world.put_on_disk("toy", at(-5_000))
        await time.settled()
        assert world.woken == [("toy", 0)]
        assert world.now_ms == 0


async def test_it_waits_for_effects_that_take_their_time() -> None:
    """As long as they take: until then the advance isn't over."""
    async with driven() as (world, time):
        begun, answer = asyncio.Event(), asyncio.Event()

        async def effect() -> str:
            begun.set()
            await answer.wait()
            return "at last"

        def wake(toy: Toy) -> Outcome:
            toy.alarm = None
            return toy.saved(start_effect=effect)

        world.on_wake = wake
        await world.toys.ask("toy", Arm(at(1)))
        advancing = asyncio.create_task(time.advance(1))
        await begun.wait()
        assert not advancing.done()
        answer.set()
        await advancing
        assert world.results == [("toy", "at last")]
