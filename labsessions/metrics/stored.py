"""What only the store knows: how many sessions there are, by state, and how long the oldest is overdue.

Asked for at a scrape, on the connection that keeps no actor waiting; all of it is counted in indexes.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from labsessions.repository import Query
from labsessions.repository.census import census
from labsessions.repository.listing import milliseconds

UNDELIVERABLE: Final = "SELECT count(*) AS undeliverable FROM actor_cells WHERE deferrals > 0"


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
    found = await census(query, now)
    (row,) = await query(UNDELIVERABLE, ())
    return Census(
        active=found.sessions - found.cleaning - found.stuck,
        cleaning=found.cleaning,
        stuck=found.stuck,
        overdue=found.overdue,
        oldest_overdue_seconds=0.0 if found.oldest is None else (now - milliseconds(found.oldest)) / 1000,
        owed=found.owed - found.owed_stuck,
        owed_stuck=found.owed_stuck,
        undeliverable=row["undeliverable"],
    )
