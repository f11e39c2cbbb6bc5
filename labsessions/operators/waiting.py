"""Who waits for another cleanup attempt, by what is shown of it."""

from collections.abc import Sequence
from typing import Final

import msgspec

from labsessions.repository import Query

# One row, however many there are: fifty thousand rows would take the event loop's time one by one.
USERS: Final = """
SELECT json_group_array(user_id) AS users FROM (
    SELECT user_id, status, last_error FROM labs_sessions WHERE status IN ('cleaning', 'stuck')
    UNION
    SELECT user_id, status, last_error FROM owed_vms
)
WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR instr(last_error, ?2) > 0)
  AND (?3 IS NULL OR user_id IN (SELECT value FROM json_each(?3)))
"""
_users: Final = msgspec.json.Decoder(list[str])


class Waiting:
    """`ports.Waiting`."""

    def __init__(self, query: Query) -> None:
        self._query = query

    async def users(self, status: str | None, error: str | None, user_ids: Sequence[str] | None) -> list[str]:
        """See `ports.Waiting`."""
        only = None if user_ids is None else msgspec.json.encode(user_ids).decode()
        (row,) = await self._query(USERS, (status, error, only))
        return sorted(set(_users.decode(row["users"])))
