"""Notices: wake-ups that start no work wait for no slot, no rate and no outage, and nobody waits for them."""

import asyncio

from actor_kit import Toy, World, at, virtual

from actors.actor import Outcome
from actors.admission import Limits
from actors.notices import Notices
from actors.storage import Lane


def working(world: World) -> None:
    """A toy that is woken in another lane than the notices' works until it is told to stop."""

    def on_wake(toy: Toy) -> Outcome:
        if not world.is_due(toy):
            return toy.saved()
        notice = toy.alarm is not None and toy.alarm.lane is Lane.NOTICE
        toy.alarm = None
        return toy.saved(start_effect=None if notice else asyncio.Event().wait)

    world.on_wake = on_wake


@virtual
async def test_a_notice_needs_no_slot() -> None:
    """All slots are taken, one more waits for one; the notice comes at its time."""
    async with World(limits=Limits(slots=1, slow_slots=0)) as world:
        working(world)
        for name in ("works", "waits"):
            world.put_on_disk(name, at(1_000))
        world.put_on_disk("notice", at(2_000, Lane.NOTICE))
        world.put_on_disk("later", at(3_000, Lane.NOTICE))
        await world.until(1_999)
        assert [ms for _, ms in world.woken] == [1_000]
        await world.until(3_000)
        assert world.woken[1:] == [("notice", 2_000), ("later", 3_000)]


@virtual
async def test_a_notice_needs_no_rate_and_takes_none() -> None:
    """A hundred in one instant, and the one attempt per minute is still to be had."""
    async with World(limits=Limits(rate_per_second=1 / 60)) as world:
        for number in range(100):
            world.put_on_disk(f"notice-{number}", at(1_000, Lane.NOTICE))
        world.put_on_disk("first", at(1_001))
        await world.until(1_001)
        assert len(world.woken) == 101
        assert {ms for _, ms in world.woken} == {1_000, 1_001}


@virtual
async def test_a_notice_comes_in_an_outage() -> None:
    """The breaker is open and holds back what would work."""
    async with World() as world:
        for _ in range(100):
            world.runtime.breaker.failed(world.runtime.breaker.begins())
        world.put_on_disk("first", at(1_000))
        world.put_on_disk("notice", at(1_000, Lane.NOTICE))
        await world.until(1_000)
        assert world.woken == [("notice", 1_000)]


@virtual
async def test_a_notice_does_not_wait_for_the_work_of_its_own_actor() -> None:
    """Its turn is over when it was handled, whatever else runs for the actor."""
    async with World(limits=Limits(slots=1, slow_slots=0)) as world:
        working(world)
        for number in range(200):  # more than turns
            world.put_on_disk(f"busy-{number}", at(1_000, Lane.NOTICE))
        world.put_on_disk("works", at(500))
        await world.until(1_000)
        assert len(world.woken) == 201


@virtual
async def test_a_notice_that_does_start_work_holds_no_turn_and_no_slot() -> None:
    """Its work is bounded by who starts it; more of it than there are turns, and the first attempt isn't late."""
    async with World(limits=Limits(slots=1, slow_slots=0)) as world:

        def on_wake(toy: Toy) -> Outcome:
            world.is_due(toy)
            toy.alarm = None
            return toy.saved(start_effect=asyncio.Event().wait)

        world.on_wake = on_wake
        for number in range(200):
            world.put_on_disk(f"notice-{number}", at(1_000, Lane.NOTICE))
        world.put_on_disk("later", at(2_000, Lane.NOTICE))
        world.put_on_disk("first", at(2_000))
        await world.until(2_000)
        assert len(world.woken) == 202
        assert {ms for _, ms in world.woken} == {1_000, 2_000}


@virtual
async def test_health_looks_at_notices_too() -> None:
    """They never wait, so one that is late is trouble as a first attempt's wake-up is; a retry may wait."""
    world = World()  # which isn't started, so that nothing is delivered
    for name, alarm in (("retry", at(0, Lane.RETRY)), ("notice", at(1_000, Lane.NOTICE)), ("first", at(1_500))):
        world.put_on_disk(name, alarm)
    await world.until(3_000)
    assert (await world.runtime.health()).overdue_ms == 2_000


@virtual
async def test_only_so_many_at_once() -> None:
    """One before the limit, at it, and one over it, who has to wait for a turn."""
    notices = Notices(2)
    for _ in range(2):
        await notices.acquire(Lane.NOTICE)
    third = asyncio.ensure_future(notices.acquire(Lane.NOTICE))
    await asyncio.sleep(1)
    assert not third.done()
    notices.release()
    await third
