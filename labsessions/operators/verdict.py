"""One sentence on how the service does, for somebody who was called at three in the morning."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from labsessions.core.projection import iso

# A session is on time if its VMs are gone within this: an attempt takes seconds, and when a class ends they queue.
LATE_MS: Final = 60_000
FINE: Final = "every session on time"
_MS_PER_MINUTE: Final = 60_000
_MS_PER_HOUR: Final = 3_600_000
_MS_PER_DAY: Final = 86_400_000


class Situation(NamedTuple):
    """What the sentence is made of.

    `oldest_ms` is the earliest deadline that has passed. `down_since_ms`: since when the backend has been down;
    `error`: what it says, or what went wrong with most attempts that failed. `paused`: why cleanups wait, and until
    when. `stalled`: the dispatcher doesn't work; `store_error`: nor does the store.
    """

    now_ms: int
    overdue: int = 0
    oldest_ms: int | None = None
    stuck: int = 0
    owed_stuck: int = 0
    down_since_ms: int | None = None
    error: str | None = None
    paused: str | None = None
    clock_problem: str | None = None
    stalled: bool = False
    store_error: str | None = None


class Verdict(NamedTuple):
    """`ok` if no session is late and none will be for what is known; `since_ms`: since when it isn't."""

    ok: bool
    text: str
    since_ms: int | None


def verdict(of: Situation) -> Verdict:
    """The sentence: what is wrong first, why behind it."""
    late_ms = 0 if of.oldest_ms is None else of.now_ms - of.oldest_ms
    wrong = list(_wrong(of, late_ms))
    reasons = list(_reasons(of))
    # An outage makes everybody late who ends during it, so it is news before the first one is.
    if not wrong and not reasons:
        return Verdict(ok=True, text=FINE, since_ms=None)
    if not reasons and of.error is not None:
        reasons = [f"attempts that failed say: {of.error}"]
    unharmed = "" if of.store_error is not None else "no session is late yet"  # else nobody knows
    text = " – ".join(part for part in (", ".join(wrong) or unharmed, "; ".join(reasons)) if part)
    known = [since for since in (of.oldest_ms if late_ms > LATE_MS else None, of.down_since_ms) if since is not None]
    return Verdict(ok=False, text=text, since_ms=min(known, default=None))


def _wrong(of: Situation, late_ms: int) -> Iterator[str]:
    if late_ms > LATE_MS:
        yield f"{of.overdue} overdue, oldest {duration(late_ms)}"
    if of.stuck:
        yield f"{of.stuck} stuck"
    if of.owed_stuck:
        yield f"{of.owed_stuck} VM{'s' if of.owed_stuck > 1 else ''} of deleted sessions stuck"


def _reasons(of: Situation) -> Iterator[str]:
    if of.store_error is not None:
        yield f"the store is in trouble: {of.store_error}"
    if of.stalled:
        yield "the scheduler stands still"
    if of.paused is not None:
        yield of.paused
    if of.clock_problem is not None:
        yield of.clock_problem
    if of.down_since_ms is not None:
        said = "" if of.error is None else f" ({of.error})"
        yield f"the backend has been down since {_clock_time(of.down_since_ms, of.now_ms)}{said}"


def _clock_time(at_ms: int, now_ms: int) -> str:
    """`14:02 UTC`, with the day if it isn't today's."""
    at, now = iso(at_ms), iso(now_ms)
    return f"{at[11:16]} UTC" if at[:10] == now[:10] else f"{at[:10]} {at[11:16]} UTC"


def duration(ms: int) -> str:
    """`4 min 12 s`: the two largest units, rounded down."""
    days, rest = divmod(ms, _MS_PER_DAY)
    hours, rest = divmod(rest, _MS_PER_HOUR)
    minutes, rest = divmod(rest, _MS_PER_MINUTE)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest // 1000, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2])
