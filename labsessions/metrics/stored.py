"""What only the store and the disk know: how many sessions there are, by state, and how long the oldest is overdue.

Asked for at a scrape, on the connection that keeps no actor waiting. What is late is found by the index of the alarms,
so it costs as much as there is trouble; those that run and wait are counted in an index.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from labsessions.core.projection import iso
from labsessions.repository import Query

# In lane 1 are the alarms of all that is being cleaned up; a first alarm (0), or one of a warning (2), that is due may
# be of a session whose deadline has passed. CROSS JOIN makes SQLite begin with the alarms.
CENSUS: Final = """
WITH late AS (
    SELECT s.status, s.expires_at FROM actor_cells AS c CROSS JOIN labs_sessions AS s ON s.user_id = c.name
    WHERE c.lane = 1 AND c.due_ms IS NOT NULL AND s.status <> 'active'
    UNION ALL
    SELECT s.status, s.expires_at FROM actor_cells AS c CROSS JOIN labs_sessions AS s ON s.user_id = c.name
    WHERE c.lane IN (0, 2) AND c.due_ms <= ?1 AND s.status = 'active' AND s.expires_at <= ?2
)
SELECT (SELECT count(*) FROM labs_sessions WHERE status = 'active') AS active,
       count(*) FILTER (WHERE status = 'cleaning') AS cleaning,
       count(*) FILTER (WHERE status = 'stuck') AS stuck,
       count(*) AS overdue,
       min(expires_at) AS oldest,
       (SELECT count(*) FROM owed_vms WHERE status = 'cleaning') AS owed,
       (SELECT count(*) FROM owed_vms WHERE status = 'stuck') AS owed_stuck,
       (SELECT count(*) FROM actor_cells WHERE deferrals > 0) AS undeliverable
FROM late
"""


class Census(NamedTuple):
    """Sessions by state; how many are `overdue`, and the oldest of them for how long (0: none); VMs owed, by state.

    `undeliverable` wake-ups back off.
    """

    active: int
    cleaning: int
    stuck: int
    overdue: int
    oldest_overdue_seconds: float
    owed: int
    owed_stuck: int
    undeliverable: int


async def take_census(query: Query, now_ms: Callable[[], int]) -> Census:
    """Count. Raises what the store raises if it cannot be read."""
    now = now_ms()
    (row,) = await query(CENSUS, (now, iso(now)))
    oldest: str | None = row.pop("oldest")
    age = 0.0 if oldest is None else round(now / 1000 - datetime.fromisoformat(oldest).timestamp(), 3)
    return Census(**row, oldest_overdue_seconds=max(0.0, age))
