"""The numbers that decisions depend on: the spread of retries and the backstop."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import generations, seeded

from labsessions.core.policy import Policy


def generation(number: int) -> str:
    """The generation whose UUID has this number: the spread is the number modulo its range."""
    return str(UUID(int=number % 2**128))


@pytest.mark.parametrize(
    ("number", "after_ms"),
    [(0, 300_000), (1, 300_001), (29_999, 329_999), (30_000, 330_000), (30_001, 300_000)],
)
def test_the_spread_covers_the_interval_to_ten_percent_more(number: int, after_ms: int) -> None:
    """From the interval itself to exactly 10 % more, both included; then it starts over."""
    assert Policy(retry_interval_ms=300_000, spread=0.1).retry_after_ms(generation(number)) == after_ms


@seeded
@given(generations, st.integers(0, 10**9), st.floats(0, 0.1))
def test_a_retry_is_never_early_and_at_most_ten_percent_late(of: str, interval_ms: int, spread: float) -> None:
    """Whatever the interval and the spread, to the millisecond (CONTRACT §3.4)."""
    after_ms = Policy(retry_interval_ms=interval_ms, spread=spread).retry_after_ms(of)
    assert after_ms >= interval_ms
    assert 10 * (after_ms - interval_ms) <= interval_ms


@seeded
@given(generations)
def test_the_spread_is_fixed_per_session(of: str) -> None:
    """The same session has the same spread every time, in any process: no hash seed, no chance."""
    assert Policy().retry_after_ms(of) == 300_000 + UUID(of).int % 30_001


def test_sessions_that_failed_together_return_apart() -> None:
    """A thousand generations fall into every tenth of the spread."""
    # Multiples of an odd number, modulo the range of UUIDs, stand in for random ones.
    spreads = [Policy().retry_after_ms(generation(n * 0x9E3779B97F4A7C15F39CC0605CEDC835)) for n in range(1_000)]
    assert {(after_ms - 300_000) // 3_001 for after_ms in spreads} == set(range(10))


def test_no_spread_is_the_bare_interval() -> None:
    """A spread of 0 makes retries exact, which tests and small installations want."""
    assert Policy(retry_interval_ms=2_000, spread=0).retry_after_ms(generation(12_345)) == 2_000


def test_the_backstop_leaves_the_attempt_its_time_and_then_the_interval() -> None:
    """An attempt that is still within its limit is never overtaken by the next one."""
    assert Policy(retry_interval_ms=300_000, attempt_limit_ms=60_000).backstop_ms == 360_000
