"""A scrape: its text, what it asks and how often, and what it says when the store says nothing."""

import asyncio
from collections.abc import Iterator

import pytest
from actor_kit import virtual
from prometheus_client.parser import text_string_to_metric_families
from scrapes import Asking, metrics, pulse

from actors.breaker import BreakerState
from labsessions.metrics.families import FAMILIES, Kind
from labsessions.metrics.lag import EVERY_SECONDS, LoopLag

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: bytes) -> Samples:
    """By name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(of: Samples, name: str, **labels: str) -> float:
    """Of one sample."""
    return of[name, tuple(sorted(labels.items()))]


async def test_every_family_has_its_help_and_its_samples() -> None:
    """As Prometheus reads it: the names of the table, and of the process, and no other."""
    text = (await metrics().text()).decode()
    told = {family.name: family for family in text_string_to_metric_families(text)}
    for family in FAMILIES:
        assert f"# HELP {family.sample_names[0].removesuffix('_bucket')} {family.help}\n" in text
        name = f"{family.name}_info" if family.kind is Kind.INFO else family.name
        names = {sample.name for sample in told[name].samples}
        assert names == set(family.sample_names)
        labels = {label for sample in told[name].samples for label in sample.labels}
        assert labels - {"le"} == set(family.labels)
    names = {f"{family.name}_info" if family.kind is Kind.INFO else family.name for family in FAMILIES}
    assert {name for name in told if not name.startswith("lab_process_")} == names


def test_names_are_as_prometheus_wants_them() -> None:
    """The prefix of all; base units; each name once; no label that could be a person."""
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert family.name.startswith("lab_")
        assert family.help.endswith(".")
        assert not family.name.endswith(("_ms", "_milliseconds", "_minutes", "_total", "_mib"))
        assert not {"user", "user_id", "lab", "vm", "session"} & set(family.labels)


async def test_the_numbers_are_those_of_the_service() -> None:
    """One of each kind."""
    found = samples(await metrics().text())
    assert [value(found, "lab_sessions", state=state) for state in ("active", "cleaning", "stuck")] == [7, 2, 1]
    assert value(found, "lab_oldest_overdue_seconds") == 252.5
    assert value(found, "lab_owed_vms", state="stuck") == 1
    assert value(found, "lab_store_free_bytes") == 1_000_000
    assert value(found, "lab_backup_timestamp_seconds") == 1_700_000_000
    assert (value(found, "lab_slots_in_use"), value(found, "lab_slots"), value(found, "lab_resident_actors")) == (
        3,
        64,
        9,
    )
    assert value(found, "lab_http_requests_total", method="GET", route="/x/{user_id}", code="404") == 1
    assert value(found, "lab_webhook_deliveries_total", endpoint="crm", outcome="failed") == 1


async def test_a_histogram_is_cumulative_and_sums_over_the_statuses() -> None:
    """Two requests of one route: 2 ms and 200 ms, with different statuses."""
    found = samples(await metrics().text())
    route = {"method": "GET", "route": "/x/{user_id}"}
    below = [
        value(found, "lab_http_request_seconds_bucket", le=le, **route) for le in ("0.001", "0.0025", "0.25", "+Inf")
    ]
    assert below == [0, 1, 2, 2]
    assert value(found, "lab_http_request_seconds_count", **route) == 2
    assert value(found, "lab_http_request_seconds_sum", **route) == pytest.approx(0.202)


@pytest.mark.parametrize("state", list(BreakerState))
async def test_the_breaker_is_in_one_state(state: BreakerState) -> None:
    """1 for it, 0 for each other."""
    found = samples(await metrics(the_pulse=lambda: pulse(breaker=state)).text())
    assert {each: value(found, "lab_backend_breaker_state", state=each.value) for each in BreakerState} == {
        each: float(each is state) for each in BreakerState
    }


async def test_a_dispatcher_that_has_ended_has_no_heartbeat() -> None:
    """0, which is older than any alert allows; one that is stalled is so much behind the time."""
    ended = samples(await metrics(the_pulse=lambda: pulse(stalled_seconds=float("inf"))).text())
    assert value(ended, "lab_scheduler_heartbeat_timestamp_seconds") == 0
    name = "lab_scheduler_heartbeat_timestamp_seconds"
    beating = value(samples(await metrics().text()), name)
    stalled = value(samples(await metrics(the_pulse=lambda: pulse(stalled_seconds=1e6)).text()), name)
    assert 1e6 - 100 < beating - stalled < 1e6 + 100


async def test_the_clock_and_a_pause_are_told() -> None:
    """The step in seconds, with its sign; whether wake-ups wait."""
    of = pulse(clock_problem="it was set", clock_steps=2, last_step_ms=-3500.0)
    found = samples(await metrics(the_pulse=lambda: of, paused=True).text())
    names = ("lab_clock_held", "lab_clock_steps_total", "lab_clock_step_seconds", "lab_paused")
    assert [value(found, name) for name in names] == [1, 2, -3.5, 1]


async def test_a_store_that_gives_no_answer_hides_only_what_it_knows() -> None:
    """The rest is there, and 0 for `lab_store_readable`; the next scrape asks again."""
    asking = Asking()
    asking.fault = OSError("disk")
    collector = metrics(asking)
    found = samples(await collector.text())
    assert value(found, "lab_store_readable") == 0
    assert value(found, "lab_slots_in_use") == 3
    missing = {name for name, _ in samples(await metrics().text())} - {name for name, _ in found}
    assert missing == {
        *("lab_sessions", "lab_overdue_sessions", "lab_oldest_overdue_seconds", "lab_owed_vms"),
        *("lab_undeliverable_wakeups", "lab_store_free_bytes", "lab_backup_timestamp_seconds"),
        *("lab_webhook_deliveries_total", "lab_webhook_dead_letters", "lab_webhook_lag_events"),
    }


@virtual
async def test_the_store_is_asked_once_a_second_whoever_scrapes() -> None:
    """Just before the second is over, at it, and many at once."""
    asking = Asking()
    collector = metrics(asking)
    await asyncio.gather(*(collector.text() for _ in range(5)))
    await asyncio.sleep(0.99)
    await collector.text()
    assert asking.times == 1
    await asyncio.sleep(0.02)
    await asyncio.gather(*(collector.text() for _ in range(5)))
    assert asking.times == 2


@virtual
async def test_a_store_that_hangs_is_waited_for_but_not_for_ever() -> None:
    """Prometheus gives up after ten seconds; by then it has all the rest."""

    async def hang() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(9):
        found = samples(await metrics(ask=hang).text())
    assert value(found, "lab_store_readable") == 0


async def test_others_get_a_turn_during_a_scrape() -> None:
    """All of it at once would keep each request waiting."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await metrics().text()
    counting.cancel()
    await asyncio.wait([counting])
    assert turns > len(FAMILIES)


@virtual
async def test_the_lag_is_what_a_timer_is_late() -> None:
    """By a clock of the test: on time, 30 ms late, and early, which is no lag."""
    begins_and_ends = _readings(0.0, 0.03, -0.001)
    lag = LoopLag(lambda: next(begins_and_ends))
    running = asyncio.create_task(lag.run())
    await asyncio.sleep(3 * EVERY_SECONDS + 0.1)
    running.cancel()
    await asyncio.wait([running])
    assert sum(lag.histogram.counts) == 3
    assert lag.histogram.total == pytest.approx(0.03)


def _readings(*lags: float) -> Iterator[float]:
    """Two readings for each sample, then the one with which the next sample begins."""
    for lag in lags:
        yield 100.0
        yield 100.0 + EVERY_SECONDS + lag
    yield 0.0
