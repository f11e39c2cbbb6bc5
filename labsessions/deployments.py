"""Which releases have run on the data, with which settings, and how each ended: one row for each start.

Written beside the actors' writer, before and after it works, by a connection of its own. It is a record for people:
that it cannot be written is never a reason not to start.
"""

import hashlib
import json
import os
import platform
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import structlog

from labsessions import __version__
from labsessions.core.projection import iso
from labsessions.engines.tables import STEPS
from labsessions.settings import Settings

KEPT: Final = 1000
# How long the row waits for another program that holds the file.
BUSY_SECONDS: Final = 2.0

_BEGIN: Final = """
INSERT INTO deployments (started_at, version, schema, settings_fingerprint, host, pid) VALUES (?, ?, ?, ?, ?, ?)
"""
_OTHERS_HAVE_DIED: Final = "UPDATE deployments SET clean = 0 WHERE clean IS NULL"
_PRUNE: Final = "DELETE FROM deployments WHERE seq <= (SELECT max(seq) FROM deployments) - ?"
_END: Final = "UPDATE deployments SET stopped_at = ?, clean = 1 WHERE seq = ?"
_NEWEST: Final = """
SELECT started_at, stopped_at, clean, version, schema, settings_fingerprint, pid, host
FROM deployments ORDER BY seq DESC
"""

log = structlog.get_logger(__name__)


def fingerprint(settings: Settings) -> str:
    """Twelve hex digits that are the same for the same settings, whatever the secrets are."""
    shown = settings.model_dump(mode="json", exclude={"secrets"})
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:12]


class Deployment:
    """This start's row in the file `database`, whose schema is up to date. `now_ms` is the machine's clock."""

    def __init__(self, database: Path, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._fingerprint = fingerprint(settings)
        self._now_ms = now_ms
        self._seq: int | None = None

    def begin(self) -> None:
        """Write it; earlier ones without an end have died, and those beyond the newest KEPT go."""
        values = (iso(self._now_ms()), __version__, len(STEPS), self._fingerprint, platform.node(), os.getpid())

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_OTHERS_HAVE_DIED)
            self._seq = connection.execute(_BEGIN, values).lastrowid
            connection.execute(_PRUNE, (KEPT,))

        self._try(write)

    def end(self) -> None:
        """Note that the process has done all that a stop asks for."""
        if self._seq is not None:
            end = (iso(self._now_ms()), self._seq)
            self._try(lambda connection: connection.execute(_END, end))

    def _try(self, write: Callable[[sqlite3.Connection], object]) -> None:
        try:
            with closing(sqlite3.connect(self._database, timeout=BUSY_SECONDS)) as connection, connection:
                write(connection)
        except sqlite3.Error as error:
            log.warning("this start could not be recorded in deployments", reason=str(error))


async def newest(query: Callable[[str, Sequence[Any]], Awaitable[list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """All starts that are kept, the newest first."""
    return [row | {"clean": None if row["clean"] is None else bool(row["clean"])} for row in await query(_NEWEST, ())]
