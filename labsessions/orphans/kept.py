"""Which of some VMs belong to a session or an obligation, as of the last commit.

The states are asked and not the tables that show them: a session also owes the deletion of workers that it no longer
lists. They are read once, and from then on only those of users of whom there are new events: each change of what VMs a
user has leaves one.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from labsessions.core.codec import UnreadableStateError, decode
from labsessions.core.model import State
from labsessions.engines.embedded import NAMESPACE
from labsessions.inventory import OrphansError
from labsessions.ports import Span

Query = Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]

# Small enough that decoding a page delays nobody: some milliseconds.
_PAGE: Final = 100
_CELLS: Final = f"SELECT name, cell FROM actor_cells WHERE namespace = ? AND name > ? ORDER BY name LIMIT {_PAGE}"  # noqa: S608 - a number of ours
_CELL: Final = "SELECT name, cell FROM actor_cells WHERE namespace = ? AND name = ?"
_CHANGED: Final = f"SELECT seq, user_id FROM session_events WHERE seq > ? ORDER BY seq LIMIT {_PAGE}"  # noqa: S608 - likewise


class KeptVms:
    """Those `among` these VMs that are spoken of. Empty until it is read; only ever grows."""

    def __init__(self, query: Query, span: Callable[[], Awaitable[Span]], among: frozenset[str]) -> None:
        self._query = query
        self._span = span
        self._among = among
        self._kept: set[str] = set()
        self._seen = 0  # the last event that was heeded

    def __contains__(self, vm: str) -> bool:
        return vm in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    async def read(self) -> None:
        """Go through all states, and through those that changed meanwhile. OrphansError if one is unreadable."""
        self._seen = (await self._span()).newest
        last = ""
        while rows := await self._query(_CELLS, (NAMESPACE, last)):
            self._keep(rows)
            last = rows[-1]["name"]
        await self.refresh()

    async def refresh(self) -> None:
        """Go through the states of users of whom there are events since. Likewise."""
        if (await self._span()).pruned > self._seen:
            await self.read()
            return
        while rows := await self._query(_CHANGED, (self._seen,)):
            for user_id in dict.fromkeys(row["user_id"] for row in rows):
                self._keep(await self._query(_CELL, (NAMESPACE, user_id)))
            self._seen = rows[-1]["seq"]

    def _keep(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            try:
                state = decode(bytes(row["cell"]))
            except UnreadableStateError:
                raise OrphansError(
                    f"the state of user {row['name']} cannot be read, so nobody knows which VMs it has: run doctor"
                ) from None
            self._kept.update(vm for vm in _vms(state) if vm in self._among)


def _vms(state: State) -> list[str]:
    parts = state.owed if state.session is None else (state.session, *state.owed)
    return [vm for part in parts for vm in part.vms]
