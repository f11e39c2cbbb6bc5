"""Warnings on the real runtime: a line at the right instant, through restarts, and never in the way of a cleanup."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from builders import POLICY, lab
from msgspec import structs
from test_engine_lifecycle import HOUR_MS, ScriptedCleaner

from actors.admission import Limits
from actors.runtime import Runtime
from actors.storage import DueAlarm, Lane
from actors.testing import EPOCH_MS, MemoryDisk, MemoryStore, VirtualClock, run_virtual
from labsessions import log_lines as lines
from labsessions.core.messages import Create
from labsessions.core.projection import iso
from labsessions.engines.embedded import EmbeddedEngine

MINUTE_MS = 60_000
WARNED = structs.replace(POLICY, warn_before_ms=(15 * MINUTE_MS, 5 * MINUTE_MS))
GENERATION = "00000000-0000-4000-8000-%012d"


class World:
    """One life of the engine on a disk that outlives it, from `since_ms` on by the wall clock."""

    def __init__(self, disk: MemoryDisk, since_ms: int = 0, slots: int = 64) -> None:
        self.cleaner = ScriptedCleaner()
        self.disk = disk
        limits = Limits(slots=slots, slow_slots=0)
        self.runtime = Runtime(MemoryStore(disk), VirtualClock(EPOCH_MS + since_ms), limits=limits)
        self.engine = EmbeddedEngine(self.runtime, self.cleaner, WARNED)
        self.runtime.start()

    async def create(self, number: int = 1, minutes: float = 60) -> None:
        """Start a session of that user."""
        user = f"user-{number}"
        await self.engine.ask(user, Create(GENERATION % number, lab(user_id=user, duration=minutes)))


def warned(logs: Sequence[Mapping[str, Any]]) -> list[float]:
    """What each warning said is left, in seconds."""
    return [line["remaining_seconds"] for line in logs if line["event"] == lines.EXPIRING]


def test_a_warning_is_a_line_at_its_time() -> None:
    """Not a millisecond before it; it says when the end is and what is left. The cleanup begins at the deadline."""

    async def main() -> None:
        world = World(MemoryDisk())
        await world.create()
        (armed,) = world.disk.armed.values()
        assert (armed.due_ms, armed.lane) == (EPOCH_MS + 45 * MINUTE_MS, Lane.NOTICE)
        with structlog.testing.capture_logs() as logs:
            await asyncio.sleep(45 * 60 - 0.001)
            assert warned(logs) == []
            await asyncio.sleep(0.002)
            assert warned(logs) == [900]
            await asyncio.sleep(10 * 60)
            assert warned(logs) == [900, 300]
            assert world.cleaner.begun == []
            await asyncio.sleep(6 * 60)
        assert warned(logs) == [900, 300]
        assert [at for at, _ in world.cleaner.begun] == [HOUR_MS]
        (line, _) = [line for line in logs if line["event"] == lines.EXPIRING]
        assert (line["user"], line["expires_at"]) == ("user-1", iso(EPOCH_MS + HOUR_MS))
        await world.runtime.stop(5)

    run_virtual(main())


def test_a_warning_that_was_given_is_not_given_again_by_the_next_process() -> None:
    """And one that fell due while none was running is given at the start, with what is left then."""
    disk = MemoryDisk()
    with structlog.testing.capture_logs() as logs:

        async def first() -> None:
            world = World(disk)
            await world.create()
            await asyncio.sleep(46 * 60)
            await world.runtime.stop(5)

        run_virtual(first())
        assert warned(logs) == [900]

        async def second() -> None:
            world = World(disk, since_ms=57 * MINUTE_MS)
            await asyncio.sleep(60)
            await world.runtime.stop(5)

        run_virtual(second())
    assert warned(logs) == [900, 180]


def test_after_the_deadline_the_cleanup_waits_for_its_slot_though_a_warning_was_armed() -> None:
    """The process was down from before the warning until after the end: no warning, and no more attempts than slots."""
    disk = MemoryDisk()

    async def first() -> None:
        world = World(disk)
        for number in range(20):
            await world.create(number)
        await world.runtime.stop(5)

    run_virtual(first())
    assert {alarm.lane for alarm in disk.armed.values()} == {Lane.NOTICE}

    async def second() -> None:
        world = World(disk, since_ms=HOUR_MS, slots=2)
        world.cleaner.seconds = 10
        with structlog.testing.capture_logs() as logs:
            await asyncio.sleep(0.1)
            assert len(world.cleaner.begun) == 2
            await asyncio.sleep(200)
        assert warned(logs) == []
        assert world.cleaner.finished == 20
        assert disk.cells == {}
        await world.runtime.stop(5)

    run_virtual(second())


def test_nobody_waits_for_many_warnings() -> None:
    """Two thousand, all due in one instant, delay no first attempt: it begins in the same one."""

    async def main() -> None:
        world = World(MemoryDisk())
        for number in range(2, 2_000):
            await world.create(number, 60)
        await world.create(1, 45)
        await asyncio.sleep(45 * 60 + 0.001)
        assert [at for at, _ in world.cleaner.begun] == [45 * MINUTE_MS]
        await world.runtime.stop(5)

    run_virtual(main())


def test_without_lead_times_nothing_is_armed_but_the_end() -> None:
    """The setting `[]`: the wake-up is what it always was."""

    async def main() -> None:
        world = World(MemoryDisk())
        world.engine = EmbeddedEngine(Runtime(MemoryStore(world.disk), VirtualClock()), world.cleaner, POLICY)
        await world.create()
        assert list(world.disk.armed.values()) == [
            DueAlarm(next(iter(world.disk.armed)), EPOCH_MS + HOUR_MS, Lane.FIRST, 0)
        ]

    run_virtual(main())
