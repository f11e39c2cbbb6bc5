"""What operators have done, the newest first."""

from typing import Final

from aiohttp import web

from labsessions.http.errors import INVALID_PARAMETER, RefusedError
from labsessions.http.wire import success
from labsessions.ports import Audit

PAGE: Final = 100
LARGEST_PAGE: Final = 500
_LONGEST_NUMBER: Final = 18  # digits that fit SQLite's integers


class AuditRoutes:
    """The handler of `/api/v1/admin/audit`."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def show(self, request: web.Request) -> web.Response:
        """GET: a page, and the cursor of the next one; null where this is the last."""
        limit, before = _number(request, "limit"), _number(request, "cursor")
        if limit is not None and not 0 < limit <= LARGEST_PAGE:
            raise RefusedError(INVALID_PARAMETER.saying(f"Parameter 'limit' must be from 1 to {LARGEST_PAGE}"))
        limit = PAGE if limit is None else limit
        entries = await self._audit.entries(before, limit)
        more = len(entries) == limit
        data = {"entries": entries, "next_cursor": str(entries[-1]["seq"]) if more else None}
        return success(data, "Audit retrieved successfully")


def _number(request: web.Request, name: str) -> int | None:
    given = request.query.getall(name, [])
    if not given:
        return None
    text = given[0]
    if len(given) == 1 and text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER:
        return int(text)
    raise RefusedError(INVALID_PARAMETER.saying(f"Parameter '{name}' must be a whole number, given once"))
