"""The audit on the database: what operators have done is written, and read in pages."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from actors.errors import ActorError
from actors.ids import ActorId
from actors.storage import Append, Write
from labsessions.core.audit import Entry, line
from labsessions.engines.tables import AUDIT
from labsessions.ports import EngineError
from labsessions.repository import Query

ENTRIES: Final = """
SELECT seq, at, who, action, user_id, reason, detail, outcome FROM operator_audit
WHERE seq < ? ORDER BY seq DESC LIMIT ?
"""
# Writes are of actors; this one keeps nothing but the rows that it shows.
_WRITER: Final = ActorId("Operators", "audit")
_NEWEST: Final = 2**63 - 1


class AuditLog:
    """`ports.Audit`."""

    def __init__(self, query: Query, commit: Callable[[Write], Awaitable[None]], now_ms: Callable[[], int]) -> None:
        self._query = query
        self._commit = commit
        self._now_ms = now_ms

    async def note(self, entry: Entry) -> None:
        """See `ports.Audit`."""
        try:
            await self._commit(Write(_WRITER, cell=None, alarm=None, rows=[audited(entry, self._now_ms())]))
        except ActorError as error:
            raise EngineError(str(error)) from error

    async def entries(self, before: int | None, limit: int) -> list[dict[str, Any]]:
        """See `ports.Audit`."""
        rows = await self._query(ENTRIES, (_NEWEST if before is None else before, limit))
        return [{**row, "detail": msgspec.json.decode(row["detail"])} for row in rows]


def audited(entry: Entry, now_ms: int) -> Append:
    """The row of an action, for a write of whoever does it."""
    return Append(AUDIT, tuple(line(entry, now_ms).values()))
