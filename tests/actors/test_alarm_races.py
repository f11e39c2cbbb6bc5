"""Alarms against chance: slow stores, moving alarms and failures in seeded random order. None late, none lost."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from actor_kit import Arm, Show, Toy, World, at, virtual

from actors.actor import Outcome
from actors.admission import Limits
from actors.ids import ActorId
from actors.storage import Alarm, DueAlarm, Lane, Operation
from actors.testing import MemoryStore


class SlowStore(MemoryStore):
    """Each answer takes its own time, up to 5 ms, and may be outdated when it comes."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.random() * 0.005)

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """See `Store`."""
        await self._pause()
        return await super().load(actor_ids)

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        found = await super().alarms(lane, limit)
        await self._pause()
        return found

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        await self._pause()
        await super().apply(operations)
        await self._pause()


@pytest.mark.parametrize("seed", range(10))
def test_every_alarm_rings_on_time_however_the_answers_of_the_store_cross(seed: int) -> None:
    """Twenty actors arm the next alarm when woken, now and then in the other lane; each rings within 50 ms."""

    @virtual
    async def run() -> None:
        random = Random(seed)  # noqa: S311 - chance for a test
        store = SlowStore(random)
        async with World(store.disk, other_store=store) as world:
            late: list[int] = []

            def wake(toy: Toy) -> Outcome:
                due = toy.alarm
                if world.is_due(toy) and due is not None:
                    late.append(world.clock.now_ms() - due.due_ms)
                    toy.count += 1
                    next_ms = world.clock.now_ms() + random.choice([0, 1, 3, 20, 500])
                    toy.alarm = Alarm(next_ms, random.choice(list(Lane))) if toy.count < 50 else None
                return toy.saved()

            world.on_wake = wake
            names = [f"toy-{number}" for number in range(20)]
            for name in names:
                await world.toys.ask(name, Arm(at(world.now_ms + random.randrange(100))))
            await world.until(60_000)

            assert store.disk.armed == {}
            assert [await world.toys.ask(name, Show()) for name in names] == [50] * 20
            assert len(late) == 50 * 20
            assert max(late) <= 50
            assert world.stale == []

    run()


@pytest.mark.parametrize("seed", range(3))
def test_no_slot_leaks_in_a_thousand_random_wake_ups(seed: int) -> None:
    """Wake-ups that fail, write nothing, start effects that end, hang or break: at the end no slot is in use."""

    @virtual
    async def run() -> None:
        random = Random(seed)  # noqa: S311 - chance for a test
        async with World(limits=Limits(slots=4, slow_slots=3, rate_per_second=50)) as world:
            admission = world.runtime._admission
            most = 0

            async def effect() -> str:
                await asyncio.sleep(random.choice([0, 0.01, 2]))
                if random.random() < 0.2:
                    raise LookupError("of the effect")
                return "result"

            def wake(toy: Toy) -> Outcome:
                nonlocal most
                most = max(most, admission.in_use)
                chance = random.random()
                if chance < 0.1:
                    raise LookupError("of the handler")
                if chance < 0.2:
                    return Outcome()
                if chance < 0.3:
                    world.store.fail(random.choice([1, 2, 3]))
                world.is_due(toy)
                toy.count += 1
                again = Alarm(world.clock.now_ms() + random.randrange(3000), random.choice(list(Lane)))
                toy.alarm = again if toy.count < 50 else None
                start = effect if random.random() < 0.5 else None
                return toy.saved(start_effect=start, cancel_effect=random.random() < 0.2)

            world.on_wake = wake
            for number in range(20):
                world.put_on_disk(f"toy-{number}", at(0))
            await world.until(7_200_000)

            assert world.disk.armed == {}
            assert len(world.woken) >= 1000
            assert most <= 4 + 3
            assert admission.in_use == 0
            assert len(world.runtime.effects) == 0

    run()
