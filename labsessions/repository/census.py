"""How many sessions are in which state, when they will end, and what is wrong with those under cleanup."""

from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from labsessions.core.projection import iso
from labsessions.repository.query import Query

ENDING_SOON_MS: Final = 15 * 60_000
BUCKET_MS: Final = 5 * 60_000
LONGEST_HOURS: Final = 24
# Of the past, for how fast sessions were cleaned up at best: recent enough to be true.
_LOOK_BACK_MS: Final = 15 * 60_000
# Fewer in ten seconds say nothing of how many there could be.
_LEAST_DRAINED: Final = 10
GROUPS: Final = 100

CENSUS: Final = """
SELECT (SELECT count(*) FROM labs_sessions) AS sessions,
       (SELECT count(*) FROM labs_sessions WHERE status <> 'active' AND status = 'cleaning') AS cleaning,
       (SELECT count(*) FROM labs_sessions WHERE status <> 'active' AND status = 'stuck') AS stuck,
       (SELECT count(*) FROM labs_sessions WHERE expires_at <= ?1) AS overdue,
       (SELECT min(expires_at) FROM labs_sessions WHERE expires_at <= ?1) AS oldest,
       (SELECT count(*) FROM labs_sessions WHERE expires_at > ?1 AND expires_at <= ?2) AS ending_soon,
       (SELECT count(*) FROM owed_vms) AS owed,
       (SELECT count(*) FROM owed_vms WHERE status = 'stuck') AS owed_stuck
"""
# A count for each bucket, as grouping would sort what the index has in order.
_BUCKETS: Final = """
SELECT (SELECT count(*) FROM labs_sessions
        WHERE expires_at > json_extract(value, '$[0]') AND expires_at <= json_extract(value, '$[1]')) AS number
FROM json_each(?)
"""
_FASTEST: Final = """
SELECT count(*) AS drained FROM session_history WHERE ended_at > ? AND ended_at <= ? AND end_reason = 'expired'
GROUP BY substr(ended_at, 1, 18) ORDER BY 1 DESC LIMIT 1
"""
# The reason of the first VM that failed, without its name: sessions fail alike, VMs are different in each.
_REASON: Final = "substr(last_error, CASE instr(last_error, '): ') WHEN 0 THEN 1 ELSE instr(last_error, '): ') + 3 END)"
_FAILURES: Final = f"""
WITH told AS (
    SELECT {_REASON} || '; ' AS rest, expires_at, user_id FROM labs_sessions
    WHERE status <> 'active' AND last_error IS NOT NULL LIMIT ?
)
SELECT substr(rest, 1, instr(rest, '; ') - 1) AS error, count(*) AS count, min(expires_at) AS oldest_since,
       user_id AS example_user_id
FROM told GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {GROUPS}
"""  # noqa: S608 - texts of our own


class Census(NamedTuple):
    """How many of each. `overdue` have reached their deadline; `oldest` is the first of those deadlines.

    `ending_soon` will within a quarter of an hour; `owed` are VMs of deleted sessions.
    """

    sessions: int
    cleaning: int
    stuck: int
    overdue: int
    oldest: str | None
    ending_soon: int
    owed: int
    owed_stuck: int


async def census(query: Query, now_ms: int) -> Census:
    """The counts, each read from an index."""
    (row,) = await query(CENSUS, (iso(now_ms), iso(now_ms + ENDING_SOON_MS)))
    return Census(**row)


async def buckets(query: Query, now_ms: int, start_ms: int, number: int) -> list[int]:
    """How many sessions reach their deadline in each five minutes from `start_ms` on, of those that haven't by now."""
    edges = [iso(max(now_ms, start_ms + each * BUCKET_MS)) for each in range(number + 1)]
    pairs = msgspec.json.encode(list(pairwise(edges))).decode()
    return [row["number"] for row in await query(_BUCKETS, (pairs,))]


async def fastest(query: Query, now_ms: int) -> float | None:
    """The most sessions per second that were cleaned up lately, over ten seconds; None if hardly any were."""
    for row in await query(_FASTEST, (iso(now_ms - _LOOK_BACK_MS), iso(now_ms))):
        if row["drained"] >= _LEAST_DRAINED:
            return float(row["drained"] / 10)
    return None


async def failures(query: Query, most: int = -1) -> list[dict[str, Any]]:
    """See `ports.Survey`: one for each reason, of any number of VMs. At most so many sessions are looked at."""
    return await query(_FAILURES, (most,))
