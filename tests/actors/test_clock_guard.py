"""The clock guard: which steps hold wake-ups back, how they go on, and what is kept across a restart."""

import asyncio
import logging
from pathlib import Path

import pytest
from actor_kit import Arm, World, at, virtual

from actors.admission import Limits
from actors.clock_guard import CONFIRMED, SEEN, ClockGuard, GuardLimits, boot_seconds
from actors.storage import Lane
from actors.testing import EPOCH_MS, ManualClock, VirtualClock

LIMITS = GuardLimits(step_seconds=600, hold_seconds=900)
MINUTE_MS = 60_000
DUE_MS = 60 * MINUTE_MS
HOUR_AHEAD = "the clock was set forward by 3600 s: wake-ups wait. If the clock is right,"


class Machine:
    """Clocks that are driven by hand; with `boot` False the machine has no boot time that counts its suspensions."""

    def __init__(self, folder: Path, limits: GuardLimits = LIMITS) -> None:
        self.clock = ManualClock()
        self.boot_ms = 0
        self.guard = ClockGuard(self.clock, folder, limits, lambda: self.boot_ms / 1000)

    def passes(self, ms: int) -> None:
        """Time passes, awake or suspended: both clocks say so."""
        self.clock.advance(ms)
        self.boot_ms += ms


@pytest.mark.parametrize(("step_ms", "is_open"), [(599_999, True), (600_000, True), (600_001, False)])
def test_a_step_forward_beyond_the_limit_closes(tmp_path: Path, step_ms: int, *, is_open: bool) -> None:
    """One before, equal, one after."""
    machine = Machine(tmp_path)
    machine.passes(1000)
    machine.clock.step(step_ms)
    assert machine.guard.is_open() is is_open


@pytest.mark.parametrize("ms", [600_001, 8 * 3_600_000])
def test_time_that_passed_is_no_step(tmp_path: Path, ms: int) -> None:
    """However long the machine was suspended, or nobody looked: boot time went on."""
    machine = Machine(tmp_path)
    machine.passes(ms)
    assert machine.guard.is_open()


@pytest.mark.parametrize("step_ms", [-1, -3_600_000, -(10**11)])
def test_a_step_back_holds_back_nothing(tmp_path: Path, step_ms: int) -> None:
    """Everything is later, nothing is stalled; and the way back to the right time is a step like any other."""
    machine = Machine(tmp_path)
    machine.clock.step(step_ms)
    assert machine.guard.is_open()


@pytest.mark.parametrize(("step_ms", "steps"), [(1000, 0), (1001, 1), (-1000, 0), (-1001, 1), (3_600_000, 1)])
def test_steps_are_counted(tmp_path: Path, step_ms: int, steps: int) -> None:
    """Beyond what reading two clocks may be apart, and in both directions; time that passes is none."""
    machine = Machine(tmp_path)
    machine.clock.step(step_ms)
    machine.guard.is_open()
    machine.passes(5000)
    machine.guard.is_open()
    assert (machine.guard.steps, machine.guard.last_step_ms) == (steps, steps * step_ms)


def test_it_can_be_off(tmp_path: Path) -> None:
    """With 0 no step holds back anything."""
    machine = Machine(tmp_path, GuardLimits(step_seconds=0))
    machine.clock.step(10**11)
    assert machine.guard.is_open()


def test_it_opens_when_the_step_has_lasted(tmp_path: Path) -> None:
    """A millisecond before the end of its time it is closed; the clock's new time is then the right one."""
    machine = Machine(tmp_path)
    machine.clock.step(3_600_000)
    assert not machine.guard.is_open()
    machine.passes(899_999)
    assert not machine.guard.is_open()
    machine.passes(1)
    assert machine.guard.is_open()
    machine.passes(3_600_000)
    assert machine.guard.is_open()


@pytest.mark.parametrize(("back_ms", "is_open"), [(2_999_999, False), (3_000_000, True), (3_600_000, True)])
def test_it_opens_when_the_clock_is_set_back(tmp_path: Path, back_ms: int, *, is_open: bool) -> None:
    """An hour forward, and back: what is left of the step is within the limit, or isn't."""
    machine = Machine(tmp_path)
    machine.clock.step(3_600_000)
    assert not machine.guard.is_open()
    machine.passes(5000)
    machine.clock.step(-back_ms)
    assert machine.guard.is_open() is is_open


def test_a_machine_has_time_that_passes() -> None:
    """Boot time, or monotonic time where there is none, never goes back."""
    assert boot_seconds() <= boot_seconds()


def guarded(folder: Path, clock: VirtualClock, limits: Limits | None = None) -> World:
    """A world whose wake-ups are guarded, inside a virtual loop."""
    guard = ClockGuard(clock, folder, LIMITS, asyncio.get_running_loop().time)
    return World(clock=clock, guard=guard, limits=limits or Limits())


@virtual
async def _held(folder: Path, *, confirmed: bool) -> None:
    clock = VirtualClock()
    async with guarded(folder, clock) as world:
        await world.toys.ask("a", Arm(at(DUE_MS)))
        await world.toys.ask("b", Arm(at(10 * MINUTE_MS)))
        await asyncio.sleep(1)
        clock.step(2 * DUE_MS)
        await asyncio.sleep(60)
        assert world.woken == []
        problem = (await world.runtime.health()).clock_problem
        assert problem is not None
        assert "set forward by 7200 s" in problem
        assert str(folder / CONFIRMED) in problem
        if confirmed:
            (folder / CONFIRMED).touch()
            await asyncio.sleep(2)
        else:
            await asyncio.sleep(830)
            assert world.woken == []
            await asyncio.sleep(40)
        assert [name for name, _ in world.woken] == ["b", "a"]
        assert (await world.runtime.health()).clock_problem is None
        assert not (folder / CONFIRMED).exists()
        assert await world.toys.ask("a", Arm(None)) is None


@pytest.mark.parametrize("confirmed", [True, False])
def test_no_wake_up_is_delivered_until_the_step_is_confirmed_or_has_lasted(tmp_path: Path, *, confirmed: bool) -> None:
    """All that a step of two hours made due waits, health says so, then all of it goes, once; mail is never held."""
    _held(tmp_path, confirmed=confirmed)


@virtual
async def _waiting(folder: Path) -> None:
    clock = VirtualClock()
    async with guarded(folder, clock, Limits(slots=1, slow_slots=0)) as world:
        slot = await world.runtime._admission.acquire(Lane.FIRST)
        await world.toys.ask("a", Arm(at(1000)))
        await asyncio.sleep(2.5)
        clock.step(2 * DUE_MS)
        slot.release()
        await asyncio.sleep(60)
        assert world.woken == []
        clock.step(-2 * DUE_MS)
        await asyncio.sleep(2)
        assert [name for name, _ in world.woken] == ["a"]


def test_who_waits_for_a_slot_during_the_step_is_held_back_too(tmp_path: Path) -> None:
    """The clock is looked at again when the slot is granted, and the slot goes back."""
    _waiting(tmp_path)


@virtual
async def _old_confirmation(folder: Path) -> None:
    (folder / CONFIRMED).touch()
    clock = VirtualClock()
    async with guarded(folder, clock) as world:
        await world.toys.ask("a", Arm(at(DUE_MS)))
        await asyncio.sleep(1)
        clock.step(2 * DUE_MS)
        await asyncio.sleep(60)
        assert world.woken == []


def test_a_confirmation_from_before_the_step_is_none(tmp_path: Path) -> None:
    """A file that lies there for another reason must not wave the next step through."""
    _old_confirmation(tmp_path)


@virtual
async def _back(folder: Path) -> None:
    clock = VirtualClock()
    async with guarded(folder, clock) as world:
        await world.toys.ask("a", Arm(at(MINUTE_MS)))
        await asyncio.sleep(61)
        assert world.woken == [("a", MINUTE_MS)]
        clock.step(-30 * MINUTE_MS)
        await world.toys.ask("b", Arm(at(-28 * MINUTE_MS)))
        await asyncio.sleep(58)
        assert [name for name, _ in world.woken] == ["a"]
        await asyncio.sleep(2)
        assert [name for name, _ in world.woken] == ["a", "b"]


def test_after_a_step_back_nothing_comes_twice_and_nothing_stalls(tmp_path: Path) -> None:
    """What was served is not served again; what is armed by the new time comes by the new time."""
    _back(tmp_path)


@virtual
async def _restart(folder: Path, step_ms: int) -> None:
    clock = VirtualClock()
    async with guarded(folder, clock):
        await asyncio.sleep(90)
    assert (folder / SEEN).read_text() == str(EPOCH_MS + 90_000)
    clock.step(step_ms)
    async with guarded(folder, clock) as world:
        await asyncio.sleep(1)
        await world.toys.ask("a", Arm(at(clock.now_ms() - EPOCH_MS + 1000)))
        await asyncio.sleep(2)
        assert [name for name, _ in world.woken] == ["a"]


@pytest.mark.parametrize(("step_ms", "told"), [(-1000, False), (-1001, True), (-(10**9), True), (10**9, False)])
def test_a_start_before_the_time_that_was_seen_is_told(
    tmp_path: Path, step_ms: int, caplog: pytest.LogCaptureFixture, *, told: bool
) -> None:
    """A step back across a restart is noticed and holds back nothing; one forward can't be told from being off."""
    with caplog.at_level(logging.WARNING, "actors.clock_guard"):
        _restart(tmp_path, step_ms)
    assert ("behind what was seen before the restart" in caplog.text) is told


@virtual
async def _killed(folder: Path) -> None:
    world = guarded(folder, VirtualClock())
    world.runtime.start()
    await asyncio.sleep(130)
    assert EPOCH_MS + 120_000 <= int((folder / SEEN).read_text()) <= EPOCH_MS + 122_000
    await world.runtime.stop(0)


def test_the_time_is_kept_while_it_runs(tmp_path: Path) -> None:
    """Once a minute: a crash loses no more of it."""
    _killed(tmp_path)


@pytest.mark.parametrize("content", ["", "soon", "17"])
def test_whatever_was_kept_it_starts(tmp_path: Path, content: str) -> None:
    """A file cut off by a crash, or edited, is as good as none."""
    (tmp_path / SEEN).write_text(content)
    _killed(tmp_path)


def test_a_folder_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    """The store reports a full disk; the guard goes on guarding."""

    @virtual
    async def run() -> None:
        async with guarded(tmp_path / "nowhere", VirtualClock()) as world:
            await world.toys.ask("a", Arm(at(1000)))
            await asyncio.sleep(2)
            assert [name for name, _ in world.woken] == ["a"]

    run()


def test_lines_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error that says what to do, once; a line when they go on; a warning for a step back."""
    with caplog.at_level(logging.INFO, "actors.clock_guard"):
        machine = Machine(tmp_path)
        machine.clock.step(3_600_000)
        machine.guard.is_open()
        machine.guard.is_open()
        machine.passes(900_000)
        machine.guard.is_open()
        machine.clock.step(-5000)
        machine.guard.is_open()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "ERROR",
            f"{HOUR_AHEAD} touch {tmp_path / CONFIRMED}; else set it. They go on by themselves after 900 s",
        ),
        ("WARNING", "wake-ups go on after a step of the clock: it has lasted"),
        ("WARNING", "the clock was set back by 5 s: what is due comes so much later"),
    ]
