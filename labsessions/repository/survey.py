"""`ports.Survey` over the projections."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from labsessions.cached import Cached
from labsessions.core.projection import iso
from labsessions.ports import Ended, Key, Page, Which
from labsessions.repository import census, past
from labsessions.repository.listing import Order, item, question
from labsessions.repository.query import Query, refusable

# With more sessions than this, what only a look at all of them can tell isn't counted.
COUNTED: Final = 100_000
EVENTS: Final = 50
# How long what is said of the next hours is true enough.
_EXPIRIES_SECONDS: Final = 2.0
_JSON: Final = ("vm", "worker_nodes", "loadBalancers")
_MAX_SEQ: Final = (1 << 63) - 1

_SESSION: Final = "SELECT * FROM labs_sessions WHERE user_id = ?"
_OWED: Final = """
SELECT lab_request_id, since, attempts, status, last_error, next_attempt_at FROM owed_vms
WHERE user_id = ? ORDER BY since, lab_request_id
"""
_EVENTS: Final = """
SELECT seq, at, type, session_id, data FROM session_events WHERE user_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?
"""
_TOTAL: Final = "SELECT count(*) AS total FROM labs_sessions"
_FIRST: Final = Key("", "")


class StoredSurvey:
    """Asks with `query`, which may take its time; what many ask again and again, with `cheap`.

    `limit_per_second` is what the settings allow of cleanups; None: no limit.
    """

    def __init__(
        self, query: Query, cheap: Query, now_ms: Callable[[], int], limit_per_second: float | None = None
    ) -> None:
        self._query = refusable(query)
        self._cheap = refusable(cheap)
        self._now_ms = now_ms
        self._limit_per_second = limit_per_second
        self._day = Cached(self._next_day, _EXPIRIES_SECONDS)

    async def sessions(self, which: Which, order: Order, limit: int, after: Key = _FIRST) -> Page:
        """See `ports.Survey`."""
        now_ms = self._now_ms()
        asked = question(which, order, now_ms)
        rows = await self._query(*asked.page(order, limit + 1, after))
        more, rows = len(rows) > limit, rows[:limit]
        last = rows[-1] if more else None
        key = None if last is None else Key("" if order == "user_id" else last["expires_at"], last["user_id"])
        return Page([item(row, now_ms) for row in rows], key, await self._total(which, order, now_ms))

    async def _total(self, which: Which, order: Order, now_ms: int) -> int | None:
        asked = question(which, order, now_ms)
        if asked.scans and await self._count(_TOTAL, ()) > COUNTED:
            return None
        if which.status != "active" or asked.scans:
            return await self._count(*asked.number())
        # All but those under cleanup, as the index of the deadlines doesn't know the status.
        every = await self._count(*question(which._replace(status=None), order, now_ms).number())
        cleaning = await self._count(*question(which._replace(status="cleaning"), order, now_ms).number())
        stuck = await self._count(*question(which._replace(status="stuck"), order, now_ms).number())
        return every - cleaning - stuck

    async def _count(self, sql: str, values: tuple[Any, ...]) -> int:
        (row,) = await self._query(sql, values)
        return int(row["total"])

    async def user(self, user_id: str) -> dict[str, Any]:
        """See `ports.Survey`."""
        rows = await self._query(_SESSION, (user_id,))
        ended = await self._query(*past.history(Ended(user_id=user_id), 1, None))
        return {
            "session": next((self._whole(row) for row in rows), None),
            "owed": await self._query(_OWED, (user_id,)),
            "events": await self.events(user_id, None, EVENTS),
            "last_ended": next((_without_number(row) for row in ended), None),
        }

    def _whole(self, row: dict[str, Any]) -> dict[str, Any]:
        decoded = {name: None if row[name] is None else msgspec.json.decode(row[name]) for name in _JSON}
        return item({**row, **decoded}, self._now_ms())

    async def events(self, user_id: str, before: int | None, limit: int) -> list[dict[str, Any]]:
        """See `ports.Survey`."""
        rows = await self._query(_EVENTS, (user_id, _MAX_SEQ if before is None else before, limit))
        return [{**row, "data": msgspec.json.decode(row["data"])} for row in rows]

    async def history(self, ended: Ended, limit: int, before: Key | None = None) -> Page:
        """See `ports.Survey`."""
        rows = await self._query(*past.history(ended, limit + 1, before))
        more, rows = len(rows) > limit, rows[:limit]
        key = Key(rows[-1]["ended_at"], str(rows[-1]["seq"])) if more else None
        return Page([_without_number(row) for row in rows], key)

    async def analytics(self, since_ms: int, until_ms: int, by: Literal["day", "lab"]) -> list[dict[str, Any]]:
        """See `ports.Survey`."""
        return await past.analytics(self._query, since_ms, until_ms, by)

    async def failures(self) -> list[dict[str, Any]]:
        """See `ports.Survey`."""
        return await census.failures(self._query)

    async def expiries(self, hours: float) -> dict[str, Any]:
        """See `ports.Survey`."""
        day = await self._day.get()
        number = -(-round(hours * 3_600_000) // census.BUCKET_MS)
        return {**day, "buckets": day["buckets"][:number]}

    async def _next_day(self) -> dict[str, Any]:
        now_ms = self._now_ms()
        start_ms = now_ms - now_ms % census.BUCKET_MS
        number = census.LONGEST_HOURS * 3_600_000 // census.BUCKET_MS
        buckets, found, fastest = await asyncio.gather(
            census.buckets(self._cheap, now_ms, start_ms, number),
            census.census(self._cheap, now_ms),
            census.fastest(self._query, now_ms),
        )
        return {
            "start": iso(start_ms),
            "bucket_seconds": census.BUCKET_MS // 1000,
            "buckets": buckets,
            "overdue": found.overdue,
            "drain_per_second": self._limit_per_second if fastest is None else fastest,
            "limit_per_second": self._limit_per_second,
        }


def _without_number(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "seq"}
