"""Admission by itself: who gets a slot, in which order, and how it comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from actor_kit import virtual

from actors.admission import Admission, Limits, Slot
from actors.breaker import BreakerLimits
from actors.storage import Lane

FIRST, RETRY = Lane.FIRST, Lane.RETRY


@asynccontextmanager
async def admitting(limits: Limits) -> AsyncIterator[Admission]:
    """Admission, started and stopped."""
    admission = Admission(limits)
    admission.start()
    yield admission
    await admission.stop()


class Queue:
    """Many that wait for a slot, with the order in which they got it."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.granted: list[str] = []
        self.slots: dict[str, Slot] = {}

    def wait(self, lane: Lane, *names: str) -> "list[asyncio.Task[None]]":
        """Let each of them wait in the lane."""
        return [asyncio.ensure_future(self._acquire(lane, name)) for name in names]

    async def _acquire(self, lane: Lane, name: str) -> None:
        self.slots[name] = await self.admission.acquire(lane)
        self.granted.append(name)

    async def release_one_by_one(self) -> None:
        """Release in the order of granting until nobody is left."""
        await settle()
        for name in self.granted:  # grows meanwhile
            self.slots[name].release()
            await settle()


async def settle() -> None:
    """Let everything happen that happens without time passing."""
    await asyncio.sleep(0.0001)


@virtual
async def test_a_slot_is_granted_at_once_while_there_are_some() -> None:
    """One before the limit, at it, and one over it."""
    async with admitting(Limits(slots=2, slow_slots=0)) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "a", "b", "c")
        await settle()
        assert queue.granted == ["a", "b"]
        assert admission.in_use == 2

        queue.slots["a"].release()
        await settle()
        assert queue.granted == ["a", "b", "c"]


@virtual
async def test_first_attempts_go_before_retries() -> None:
    """Whoever came first: as long as a first attempt waits, no retry gets a slot; in a lane the order is kept."""
    async with admitting(Limits(slots=1, slow_slots=0)) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "holder")
        await settle()
        queue.wait(RETRY, "r1", "r2", "r3")
        await settle()
        queue.wait(FIRST, "f1", "f2", "f3")
        await queue.release_one_by_one()

        assert queue.granted == ["holder", "f1", "f2", "f3", "r1", "r2", "r3"]


@pytest.mark.parametrize(("slots", "retries"), [(1, 1), (2, 1), (3, 1), (4, 2), (64, 32)])
def test_retries_hold_at_most_half(slots: int, retries: int) -> None:
    """However many wait and nobody else does: half, rounded down, but at least one."""

    @virtual
    async def run() -> None:
        async with admitting(Limits(slots=slots, slow_slots=0)) as admission:
            queue = Queue(admission)
            queue.wait(RETRY, *(f"r{number}" for number in range(slots + 1)))
            await settle()
            assert len(queue.granted) == retries
            queue.wait(FIRST, *(f"f{number}" for number in range(slots + 1)))
            await settle()
            assert len(queue.granted) == slots

    run()


@virtual
async def test_with_a_single_slot_retries_still_run() -> None:
    """Half of one is not none."""
    async with admitting(Limits(slots=1, slow_slots=0)) as admission:
        queue = Queue(admission)
        queue.wait(RETRY, "r1", "r2")
        await queue.release_one_by_one()
        assert queue.granted == ["r1", "r2"]


@virtual
async def test_release_may_be_repeated() -> None:
    """A slot is given back once, however often that is said."""
    async with admitting(Limits(slots=1, slow_slots=0)) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "a", "b", "c")
        await settle()
        for _ in range(3):
            queue.slots["a"].release()
        await settle()
        assert queue.granted == ["a", "b"]
        assert admission.in_use == 1


@virtual
async def test_a_slow_holder_moves_aside_exactly_after_its_time() -> None:
    """Before `slow_after_seconds` it holds its slot; from then on it runs beside, and somebody else has the slot."""
    async with admitting(Limits(slots=1, slow_after_seconds=0.5, slow_slots=1)) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "slow", "next")
        await asyncio.sleep(0.499)
        assert queue.granted == ["slow"]
        await asyncio.sleep(0.0011)
        assert queue.granted == ["slow", "next"]
        assert queue.slots["slow"].slow
        assert admission.in_use == 2

        queue.slots["slow"].release()
        queue.slots["slow"].release()
        queue.slots["next"].release()
        await settle()
        assert admission.in_use == 0


@virtual
async def test_whoever_ends_in_time_never_moves_aside() -> None:
    """A released slot has no timer left: no place beside is taken for it."""
    async with admitting(Limits(slots=1, slow_after_seconds=0.5, slow_slots=1)) as admission:
        slot = await admission.acquire(FIRST)
        await asyncio.sleep(0.499)
        slot.release()
        await asyncio.sleep(1)
        assert not slot.slow
        assert admission.in_use == 0


@pytest.mark.parametrize("places", [0, 1, 3])
def test_only_so_many_move_aside(places: int) -> None:
    """`slow_slots` hanging ones run beside, the next ones keep their slots; with 0 nobody ever moves."""

    @virtual
    async def run() -> None:
        async with admitting(Limits(slots=1, slow_after_seconds=0.5, slow_slots=places)) as admission:
            queue = Queue(admission)
            queue.wait(FIRST, *(f"s{number}" for number in range(10)))
            await asyncio.sleep(3600)
            assert len(queue.granted) == places + 1
            assert admission.in_use == places + 1

    run()


@virtual
async def test_a_slow_retry_makes_room_for_a_retry() -> None:
    """Moving aside counts for the half of the retries as well."""
    async with admitting(Limits(slots=2, slow_after_seconds=0.5, slow_slots=1)) as admission:
        queue = Queue(admission)
        queue.wait(RETRY, "r1", "r2", "r3")
        await asyncio.sleep(0.6)
        assert queue.granted == ["r1", "r2"]


@virtual
async def test_who_stops_waiting_takes_no_slot() -> None:
    """Cancelled while waiting, whether first in the queue or not."""
    async with admitting(Limits(slots=1, slow_slots=0)) as admission:
        queue = Queue(admission)
        waiting = queue.wait(FIRST, "a", "b", "c", "d")
        await settle()
        waiting[1].cancel()
        waiting[2].cancel()
        await queue.release_one_by_one()

        assert queue.granted == ["a", "d"]
        assert admission.in_use == 0


@virtual
async def test_who_is_cancelled_in_the_moment_of_the_grant_gives_the_slot_back() -> None:
    """The grant and the cancellation meet in one turn of the loop: the slot goes to the next one."""
    async with admitting(Limits(slots=1, slow_slots=0)) as admission:
        queue = Queue(admission)
        waiting = queue.wait(FIRST, "a", "b", "c")
        await settle()
        turn = admission._waiting[FIRST][0]
        queue.slots["a"].release()
        await asyncio.sleep(0)
        assert turn.done()
        assert queue.granted == ["a"]
        waiting[1].cancel()
        await settle()

        assert queue.granted == ["a", "c"]
        assert admission.in_use == 1


@pytest.mark.parametrize("rate", [0.5, 1, 1.5, 3, 10, 100])
def test_the_rate_limit_paces_the_starts(rate: float) -> None:
    """Story 7: one after the other, evenly, never above the rate and no slower."""

    @virtual
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with admitting(Limits(slots=1000, slow_slots=0, rate_per_second=rate)) as admission:
            starts: list[float] = []

            async def work() -> None:
                (await admission.acquire(FIRST)).release()
                starts.append(loop.time())

            number = int(rate * 4) + 1
            await asyncio.gather(*(work() for _ in range(number)))

            assert starts == pytest.approx([nth / rate for nth in range(number)], abs=1e-6)

    run()


@virtual
async def test_whoever_is_more_urgent_overtakes_while_the_limiter_waits() -> None:
    """The order is decided when the start is allowed, not before; if nobody is left then, nobody starts."""
    async with admitting(Limits(slots=10, slow_slots=0, rate_per_second=1)) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "a")
        queue.wait(RETRY, "r1")
        await asyncio.sleep(0.5)
        queue.wait(FIRST, "b")
        await asyncio.sleep(0.6)
        assert queue.granted == ["a", "b"]
        await asyncio.sleep(1)
        assert queue.granted == ["a", "b", "r1"]

        (gone,) = queue.wait(FIRST, "gone")
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(2)
        assert admission.in_use == 3


@virtual
async def test_admission_that_never_started_can_be_stopped() -> None:
    """`stop` without `start` is harmless; after `stop` nobody gets a slot."""
    admission = Admission(Limits())
    await admission.stop()
    admission.start()
    await admission.stop()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(admission.acquire(FIRST), timeout=1)


def admit(admission: Admission, limits: Limits) -> None:
    """Go by other limits."""
    admission.reconfigure(limits, BreakerLimits())


@virtual
async def test_other_limits_count_from_now_on() -> None:
    """More slots go to who waits, at once; with fewer nobody is granted one until so many are free."""
    async with admitting(Limits(slots=1, slow_slots=0)) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "a", "b", "c", "d")
        await settle()
        assert queue.granted == ["a"]

        admit(admission, Limits(slots=3, slow_slots=0))
        await settle()
        assert queue.granted == ["a", "b", "c"]

        admit(admission, Limits(slots=2, slow_slots=0))
        queue.slots["a"].release()
        await settle()
        assert queue.granted == ["a", "b", "c"]
        queue.slots["b"].release()
        await settle()
        assert queue.granted == ["a", "b", "c", "d"]


@virtual
async def test_another_rate_counts_from_now_on() -> None:
    """Who would have waited long by the old one goes at once; a rate that begins paces what comes then."""
    async with admitting(Limits(slots=100, rate_per_second=0.001)) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "a", "b", "c")
        await settle()
        assert queue.granted == ["a"]

        admit(admission, Limits(slots=100))
        await settle()
        assert queue.granted == ["a", "b", "c"]

        admit(admission, Limits(slots=100, rate_per_second=1))
        queue.wait(FIRST, "d", "e")
        await settle()
        assert queue.granted == ["a", "b", "c", "d"]
        await asyncio.sleep(1)
        assert queue.granted == ["a", "b", "c", "d", "e"]


@virtual
async def test_the_same_rate_goes_on_as_it_was() -> None:
    """Reading the settings again and again must not let more through."""
    limits = Limits(slots=100, rate_per_second=1)
    async with admitting(limits) as admission:
        queue = Queue(admission)
        queue.wait(FIRST, "a", "b", "c")
        for _ in range(5):
            await settle()
            admit(admission, limits)
        assert queue.granted == ["a"]


@virtual
async def test_other_limits_before_the_start() -> None:
    """Nothing is granted before it."""
    admission = Admission(Limits(slots=1))
    queue = Queue(admission)
    queue.wait(FIRST, "a", "b")
    admit(admission, Limits(slots=2, rate_per_second=1000))
    await settle()
    assert queue.granted == []
    admission.start()
    await asyncio.sleep(0.1)
    assert queue.granted == ["a", "b"]
    await admission.stop()
