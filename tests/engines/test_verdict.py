"""The one sentence that an operator reads first."""

import pytest

from labsessions.operators.verdict import LATE_MS, Situation, Verdict, duration, verdict

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
DOWN = NOW - 3_600_000
FINE = Verdict(ok=True, text="every session on time", since_ms=None)


@pytest.mark.parametrize(
    ("of", "text", "since"),
    [
        (
            Situation(NOW, overdue=3, oldest_ms=NOW - 252_000),
            "3 overdue, oldest 4 min 12 s",
            NOW - 252_000,
        ),
        (
            Situation(NOW, overdue=3, oldest_ms=NOW - 252_000, error="HTTP 404"),
            "3 overdue, oldest 4 min 12 s – attempts that failed say: HTTP 404",
            NOW - 252_000,
        ),
        (
            Situation(NOW, overdue=3, oldest_ms=NOW - 252_000, stuck=1, down_since_ms=DOWN, error="HTTP 503"),
            "3 overdue, oldest 4 min 12 s, 1 stuck – the backend has been down since 07:00 UTC (HTTP 503)",
            DOWN,
        ),
        (
            Situation(NOW, down_since_ms=NOW - 86_400_000),
            "no session is late yet – the backend has been down since 2027-01-14 08:00 UTC",
            NOW - 86_400_000,
        ),
        (Situation(NOW, stuck=2), "2 stuck", None),
        (Situation(NOW, owed_stuck=1), "1 VM of deleted sessions stuck", None),
        (Situation(NOW, owed_stuck=2), "2 VMs of deleted sessions stuck", None),
        (Situation(NOW, stalled=True), "no session is late yet – the scheduler stands still", None),
        (
            Situation(NOW, paused="cleanups are paused until noon", clock_problem="the clock was set"),
            "no session is late yet – cleanups are paused until noon; the clock was set",
            None,
        ),
        (Situation(NOW, store_error="disk full"), "the store is in trouble: disk full", None),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_wrong_comes_first_and_why_behind_it(of: Situation, text: str, since: int | None) -> None:
    """With its number, its age, and since when."""
    assert verdict(of) == Verdict(ok=False, text=text, since_ms=since)


@pytest.mark.parametrize(("late_ms", "ok"), [(-1, True), (0, True), (LATE_MS, True), (LATE_MS + 1, False)])
def test_a_session_is_on_time_for_a_minute(late_ms: int, *, ok: bool) -> None:
    """Attempts take seconds, and one that fails is tried again later than that: then it counts."""
    judged = verdict(Situation(NOW, overdue=1, oldest_ms=NOW - late_ms, error="HTTP 503"))
    assert judged == (FINE if ok else Verdict(ok=False, text=judged.text, since_ms=NOW - late_ms))
    assert ok or judged.text == "1 overdue, oldest 1 min 0 s – attempts that failed say: HTTP 503"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        *((0, "0 s"), (999, "0 s"), (59_999, "59 s"), (60_000, "1 min 0 s"), (3_599_999, "59 min 59 s")),
        *(
            (3_600_000, "1 h 0 min"),
            (86_399_999, "23 h 59 min"),
            (86_400_000, "1 d 0 h"),
            (400 * 86_400_000, "400 d 0 h"),
        ),
    ],
)
def test_a_duration_has_its_two_largest_units(ms: int, text: str) -> None:
    """Rounded down."""
    assert duration(ms) == text
