"""The circuit breaker: what opens it, how an outage is probed, and how the slots grow back."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from actor_kit import virtual

from actors.admission import Admission, Limits, Slot
from actors.breaker import Breaker, BreakerLimits, BreakerState
from actors.storage import Lane

CLOSED, OPEN, HALF_OPEN, RECOVERING = BreakerState
LIMITS = BreakerLimits(failures=3, pause_seconds=5, longest_pause_seconds=60)


def breaker(limits: BreakerLimits = LIMITS, slots: int = 4) -> Breaker:
    """A breaker whose admission nobody has asked for."""
    return Breaker(limits, lambda: None, slots)


def fail(one: Breaker, times: int) -> None:
    """Let so many effects begin and fail, one after the other."""
    for _ in range(times):
        one.failed(one.begins())


async def fail_probe(one: Breaker) -> float:
    """Wait until it admits a probe, and let that fail: the seconds waited."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    while not one.admits(0):  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.1)
    waited = loop.time() - since
    assert one.granted() is not None
    one.failed(one.begins())
    return waited


@virtual
async def test_it_opens_at_the_last_of_so_many_failures_in_a_row() -> None:
    """One before the limit it is closed, at the limit it is open."""
    one = breaker()
    fail(one, 2)
    assert (one.state, one.admits(1000)) == (CLOSED, True)
    fail(one, 1)
    assert (one.state, one.admits(0)) == (OPEN, False)


@virtual
async def test_an_answer_begins_the_count_again() -> None:
    """In a row means in a row."""
    one = breaker()
    fail(one, 2)
    one.answered()
    fail(one, 2)
    assert one.state is CLOSED
    fail(one, 1)
    assert one.state is OPEN


@virtual
async def test_failures_during_which_somebody_was_answered_do_not_count() -> None:
    """A hundred that hang while another is answered: the medium isn't down as a whole."""
    one = breaker()
    begun = [one.begins() for _ in range(100)]
    one.answered()
    for each in begun:
        one.failed(each)
    assert one.state is CLOSED


@virtual
async def test_it_can_be_off() -> None:
    """With 0 failures allowed it never opens."""
    one = breaker(BreakerLimits(failures=0))
    fail(one, 1000)
    assert (one.state, one.admits(1000)) == (CLOSED, True)


@virtual
async def test_the_pauses_double_up_to_the_longest() -> None:
    """5, 10, 20, 40, then 60 seconds each."""
    one = breaker()
    fail(one, 3)
    waited = [await fail_probe(one) for _ in range(7)]
    assert waited == pytest.approx([5, 10, 20, 40, 60, 60, 60], abs=0.11)


@virtual
async def test_an_outage_begins_with_the_first_pause_again() -> None:
    """However long the last one of an earlier outage was."""
    one = breaker()
    fail(one, 3)
    for _ in range(5):
        await fail_probe(one)
    one.answered()
    fail(one, 3)
    assert one.state is OPEN
    assert await fail_probe(one) == pytest.approx(5, abs=0.11)


@virtual
async def test_one_probe_at_a_time() -> None:
    """Not before the pause is over, and none beside it."""
    one = breaker()
    fail(one, 3)
    await asyncio.sleep(4.999)
    assert not one.admits(0)
    await asyncio.sleep(0.002)
    assert one.admits(0)
    one.granted()
    assert (one.state, one.admits(0)) == (HALF_OPEN, False)
    await asyncio.sleep(1000)
    assert not one.admits(0)


@virtual
async def test_what_was_under_way_at_the_opening_makes_no_pause_longer() -> None:
    """It fails too, and says nothing new – before the first probe, during it and after it."""
    one = breaker()
    old = one.begins()
    fail(one, 3)
    one.failed(old)
    await asyncio.sleep(5.1)
    one.granted()
    one.failed(old)
    assert one.state is HALF_OPEN
    one.failed(one.begins())
    one.failed(old)
    assert await fail_probe(one) == pytest.approx(10, abs=0.11)


@virtual
async def test_a_late_answer_closes_it_without_a_probe() -> None:
    """Whoever has heard something has heard it."""
    one = breaker()
    fail(one, 3)
    one.answered()
    assert one.state is RECOVERING
    await asyncio.sleep(1000)  # the timer of the probe is gone
    assert one.state is RECOVERING


@virtual
async def test_the_slots_grow_back_by_one_with_each_answer() -> None:
    """One may run after the first answer, two after the second; with all slots back it is closed."""
    one = breaker(slots=3)
    fail(one, 3)
    for allowed in (1, 2):
        one.answered()
        assert one.state is RECOVERING
        assert [one.admits(running) for running in (allowed - 1, allowed)] == [True, False]
    one.answered()
    assert (one.state, one.admits(1000)) == (CLOSED, True)


@virtual
async def test_it_opens_again_while_it_recovers() -> None:
    """By the same count as ever: what rises and falls again is not flooded."""
    one = breaker()
    fail(one, 3)
    one.answered()
    fail(one, 2)
    assert one.state is RECOVERING
    fail(one, 1)
    assert one.state is OPEN


@virtual
async def test_a_probe_that_learns_nothing_makes_way_for_the_next() -> None:
    """Its actor had nothing to do: no pause, as nothing was asked of the medium."""
    one = breaker()
    fail(one, 3)
    await asyncio.sleep(5.1)
    probe = one.granted()
    assert probe is not None
    one.probe_over(probe)
    assert (one.state, one.admits(0)) == (OPEN, True)


@virtual
async def test_the_end_of_an_old_probe_starts_none_beside_the_new_one() -> None:
    """It hung while another answer closed the breaker, which has opened and probes again."""
    one = breaker()
    fail(one, 3)
    await asyncio.sleep(5.1)
    old = one.granted()
    assert old is not None
    one.answered()
    fail(one, 3)
    await asyncio.sleep(5.1)
    assert one.granted() is not None
    one.probe_over(old)
    assert (one.state, one.admits(0)) == (HALF_OPEN, False)


@virtual
async def test_how_long_it_is_open() -> None:
    """From the opening, through all probes, to the answer."""
    one = breaker()
    assert one.open_seconds == 0
    fail(one, 3)
    await asyncio.sleep(100)
    one.granted()
    assert one.open_seconds == pytest.approx(100)
    one.answered()
    assert one.open_seconds == 0


def test_a_line_at_each_change(caplog: pytest.LogCaptureFixture) -> None:
    """Opened: an error; closed: how long it was open; probes that fail only for whoever debugs."""

    @virtual
    async def run() -> None:
        one = breaker()
        fail(one, 3)
        await fail_probe(one)
        one.failed(one.begins())
        one.answered()
        one.answered()

    with caplog.at_level(logging.DEBUG, "actors.breaker"):
        run()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "ERROR",
            "the circuit breaker has opened: 3 in a row had no usable answer; wake-ups wait, first probe in 5.0 s",
        ),
        ("DEBUG", "the probe has failed, the next one in 10.0 s"),
        ("WARNING", "the circuit breaker has closed, it was open for 5 s"),
    ]


# --- in admission -------------------------------------------------------------------------------------------


@asynccontextmanager
async def admitting(slots: int) -> AsyncIterator[tuple[Admission, list[tuple[Lane, Slot]]]]:
    """Admission, and what it has granted to five in each lane that wait from the beginning – retries came first."""
    admission = Admission(Limits(slots=slots, slow_slots=0), LIMITS)
    admission.start()
    granted: list[tuple[Lane, Slot]] = []

    async def wait(lane: Lane) -> None:
        granted.append((lane, await admission.acquire(lane)))

    fail(admission.breaker, 3)
    waiting = [asyncio.ensure_future(wait(lane)) for lane in (Lane.RETRY, Lane.FIRST) for _ in range(5)]
    yield admission, granted
    for each in waiting:
        each.cancel()
    await admission.stop()


@virtual
async def test_an_open_breaker_grants_nothing_but_a_probe() -> None:
    """A first attempt, though retries came first; while it runs, nobody else."""
    async with admitting(slots=4) as (_, granted):
        await asyncio.sleep(4.9)
        assert granted == []
        await asyncio.sleep(100)
        assert [lane for lane, _ in granted] == [Lane.FIRST]


@virtual
async def test_the_backlog_is_released_step_by_step() -> None:
    """After an answer one runs, after two answers two, and first attempts are served first."""
    async with admitting(slots=4) as (admission, granted):
        for expected in (1, 2, 4, 7):
            await asyncio.sleep(5.1)
            assert len(granted) == expected
            for _, slot in granted:
                if slot._held:
                    admission.breaker.answered()
                    slot.release()
        assert [lane for lane, _ in granted] == [Lane.FIRST] * 5 + [Lane.RETRY] * 2


@virtual
async def test_a_probe_without_a_verdict_is_followed_by_the_next_waiter() -> None:
    """The slot that comes back unused goes on as the next probe."""
    async with admitting(slots=4) as (_, granted):
        await asyncio.sleep(5.1)
        granted[0][1].release()
        await asyncio.sleep(0.1)
        assert len(granted) == 2
        assert granted[1][1].probe is not None


@virtual
async def test_one_that_is_switched_off_closes() -> None:
    """Whatever it was doing; no timer is left, and later failures count for nothing."""
    for state in (OPEN, HALF_OPEN, RECOVERING):
        one = breaker()
        fail(one, 3)
        if state is not OPEN:
            await asyncio.sleep(5)
            one.granted()
        if state is RECOVERING:
            one.answered()
        assert one.state is state
        one.reconfigure(BreakerLimits(failures=0), 4)
        assert (one.state, one.admits(1000)) == (CLOSED, True)
        await asyncio.sleep(100)
        fail(one, 100)
        assert one.state is CLOSED


@virtual
async def test_a_pause_is_cut_to_a_shorter_longest() -> None:
    """The probe comes after that from now on, and so do later ones; a longer one moves nothing."""
    one = breaker(BreakerLimits(failures=1, pause_seconds=1000, longest_pause_seconds=1000))
    fail(one, 1)
    one.reconfigure(BreakerLimits(failures=1, pause_seconds=2, longest_pause_seconds=2), 4)
    assert 1.9 <= await fail_probe(one) <= 2.1
    one.reconfigure(BreakerLimits(failures=1, pause_seconds=2, longest_pause_seconds=2000), 4)
    assert 1.9 <= await fail_probe(one) <= 2.1
    one.stop()


@virtual
async def test_more_slots_grow_back_after_an_outage() -> None:
    """As many as there are now."""
    one = breaker(slots=2)
    fail(one, 3)
    await asyncio.sleep(5)
    one.granted()
    one.answered()
    one.reconfigure(LIMITS, 3)
    one.answered()
    assert (one.state, one.admits(1), one.admits(2)) == (RECOVERING, True, False)
    one.answered()
    assert one.state is CLOSED
