"""Sessions that have ended: line by line, and what they say of a day or a lab."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal

from labsessions.core.projection import iso
from labsessions.ports import Ended, Key
from labsessions.repository.query import Query

ENDED_COLUMNS: Final = """
generation, user_id, id, labId, created_at, expires_at, ended_at, end_reason AS reason, attempts,
lateness_ms / 1000.0 AS lateness_seconds, last_error
"""
_DECADES: Final = tuple(10**digits for digits in range(3, 9))
# What a row of the analytics is about. A day is one of UTC.
_KEYS: Final = {"day": "substr(ended_at, 1, 10)", "lab": "labId"}
_TWO_DIGITS: Final = f"""CASE
    WHEN lateness_ms < 0 THEN 0
    WHEN lateness_ms < 100 THEN lateness_ms
    {" ".join(f"WHEN lateness_ms < {ms} THEN lateness_ms / {ms // 100} * {ms // 100}" for ms in _DECADES)}
    ELSE lateness_ms / {_DECADES[-1] // 10} * {_DECADES[-1] // 10}
END"""


def history(ended: Ended, limit: int, before: Key | None) -> tuple[str, tuple[Any, ...]]:
    """SQL for the latest lines that fit, below the key; `seq` tells lines of the same instant."""
    found = list(_conditions(ended))
    if before is not None:
        found.append(("(ended_at, seq) < (?, ?)", (before.at, int(before.tie))))
    where = f"WHERE {' AND '.join(condition for condition, _ in found)}" if found else ""
    way = "session_history_ended" if ended.user_id is None else "session_history_user"
    sql = f"""
        SELECT seq, {ENDED_COLUMNS} FROM session_history INDEXED BY {way}
        {where} ORDER BY ended_at DESC, seq DESC LIMIT ?
    """  # noqa: S608 - names and marks of our own
    return sql, (*(value for _, some in found for value in some), limit)


def _conditions(ended: Ended) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for column, wanted in (("user_id", ended.user_id), ("end_reason", ended.reason), ("labId", ended.lab_id)):
        if wanted is not None:
            yield f"{column} = ?", (wanted,)
    if ended.since_ms is not None:
        yield "ended_at >= ?", (iso(ended.since_ms),)
    if ended.until_ms is not None:
        yield "ended_at < ?", (iso(ended.until_ms),)


async def analytics(query: Query, since_ms: int, until_ms: int, by: Literal["day", "lab"]) -> list[dict[str, Any]]:
    """See `ports.Survey`: one pass over the lines, of which those with about the same lateness are counted together."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for group in await query(_grouped(_KEYS[by]), (iso(since_ms), iso(until_ms))):
        groups.setdefault(group["key"], []).append(group)
    return [_summary(key, some) for key, some in groups.items()]


def _summary(key: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for group in groups:
        reasons[group["reason"]] += group["number"]
    late = [(group["late_ms"], group["number"]) for group in groups if group["late_ms"] is not None]
    latest_ms = max((group["latest_ms"] for group in groups if group["latest_ms"] is not None), default=None)
    return {
        "key": key,
        "ended": reasons.total(),
        "by_reason": dict(sorted(reasons.items())),
        "attempts_mean": round(sum(group["attempts"] for group in groups) / reasons.total(), 3),
        "attempts_max": max(group["most"] for group in groups),
        "late_p50_seconds": _seconds(_percentile(late, 50)),
        "late_p95_seconds": _seconds(_percentile(late, 95)),
        "late_max_seconds": _seconds(latest_ms),
    }


def _percentile(late: list[tuple[int, int]], percent: int) -> int | None:
    """By nearest rank: the least lateness that so many percent don't exceed."""
    rank = -(-percent * sum(number for _, number in late) // 100)
    for ms, number in sorted(late):
        rank -= number
        if rank <= 0:
            return ms
    return None


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _grouped(key: str) -> str:
    """Latenesses are cut to two digits: ordering a million exact ones would take ten seconds."""
    return f"""
        SELECT {key} AS key, end_reason AS reason, {_TWO_DIGITS} AS late_ms,
               count(*) AS number, sum(attempts) AS attempts, max(attempts) AS most, max(lateness_ms) AS latest_ms
        FROM session_history INDEXED BY session_history_ended
        WHERE ended_at >= ? AND ended_at < ? GROUP BY 1, 2, 3 ORDER BY 1
    """  # noqa: S608 - names of our own
