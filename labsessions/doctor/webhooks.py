"""The webhooks, as their cells and dead letters say: is anybody not told what should be?"""

import sqlite3
from collections.abc import Collection, Iterator
from typing import Final

from labsessions.core.projection import iso
from labsessions.doctor.database import RESTORE
from labsessions.doctor.findings import Finding, fault, ok, warning
from labsessions.webhooks.actor import NAMESPACE
from labsessions.webhooks.standing import UnreadableError, decode

CHECK: Final = "webhooks"
_CELLS: Final = "SELECT name, cell FROM actor_cells WHERE namespace = ? ORDER BY name"
_LETTERS: Final = "SELECT endpoint, count(*) FROM webhook_dead_letters GROUP BY endpoint ORDER BY endpoint"
_HAS_LETTERS: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'webhook_dead_letters'"


def check(connection: sqlite3.Connection, configured: Collection[str]) -> Iterator[Finding]:
    """`configured`: the names in the settings; others keep their place, and are nobody's trouble.

    Without any there is nothing to say.
    """
    try:
        troubles = list(_troubles(connection, configured))
    except sqlite3.Error as error:
        troubles = [fault(CHECK, f"the tables cannot be read: {error}", RESTORE)]
    yield from troubles
    if configured and not troubles:
        yield ok(CHECK, f"all are served: {', '.join(sorted(configured))}")


def _troubles(connection: sqlite3.Connection, configured: Collection[str]) -> Iterator[Finding]:
    for name, cell in connection.execute(_CELLS, (NAMESPACE,)):
        if name not in configured:
            continue
        try:
            standing = decode(cell)
        except UnreadableError as error:
            todo = (
                f"with the service stopped delete its row in actor_cells (namespace {NAMESPACE}): it begins anew then"
            )
            yield fault(CHECK, f"{name}: {error}", todo)
            continue
        if standing is not None and standing.disabled_ms is not None:
            found = f"{name} is disabled since {iso(standing.disabled_ms)} ({standing.last_error})"
            yield warning(CHECK, found, "enable it once its endpoint is mended, or take it out of the settings")
        elif standing is not None and standing.failing_since_ms is not None:
            found = f"{name} fails since {iso(standing.failing_since_ms)} ({standing.last_error})"
            yield warning(CHECK, found, "look at its endpoint; it is tried again by itself")
    if connection.execute(_HAS_LETTERS).fetchone() is not None:  # else the file is of an older release
        for name, letters in connection.execute(_LETTERS):
            yield warning(CHECK, f"{name} has dead letters: {letters}", "replay them once its endpoint takes them")
