"""Every session of the database, one after the other: do its state, its row and its wake-up agree?

Read as a stream in one snapshot, so a million sessions need no memory and a service that is running is not
disturbed. The state is the truth; row and wake-up are derived from it by the core's own functions.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from actors.pause import CELL as PAUSE
from actors.pause import Paused, decoded
from actors.storage import Lane
from labsessions.core.codec import UnreadableStateError, decode
from labsessions.core.machine import wake_at
from labsessions.core.model import State
from labsessions.core.policy import Policy
from labsessions.core.projection import iso, owed, row
from labsessions.doctor.ahead import SET_RIGHT, ahead
from labsessions.doctor.findings import Finding, fault, ok, warning
from labsessions.engines.embedded import NAMESPACE, lane_of

CHECK: Final = "sessions"
# Enough to see what kind of trouble it is; the rest is counted.
EXAMPLES: Final = 10

_POLICY: Final = Policy()
_SESSIONS: Final = """
SELECT c.name, c.cell, c.due_ms, c.lane, c.deferrals, c.delivery_error, s.*
FROM actor_cells c LEFT JOIN labs_sessions s ON s.user_id = c.name WHERE c.namespace = ?
"""
_ALARM_COLUMNS: Final = 6  # those of _SESSIONS before the row's own
_ORPHANS: Final = """
SELECT s.user_id, s.lab_request_id FROM labs_sessions s
WHERE NOT EXISTS (SELECT 1 FROM actor_cells c WHERE c.namespace = ? AND c.name = s.user_id)
"""
_PAUSE: Final = "SELECT cell FROM actor_cells WHERE namespace = ? AND name = ?"
_OWED: Final = "SELECT * FROM owed_vms"
_HAS_OWED: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'owed_vms'"
_LAST_ENDED: Final = """
SELECT CAST(strftime('%s', ended_at) AS INTEGER) * 1000 FROM session_history ORDER BY seq DESC LIMIT 1
"""

_REWRITE: Final = "any PUT on the session writes state, row and wake-up again"
_UNREADABLE: Final = (
    "restore a backup, or delete the user's VMs at the backend yourself and then, with the service stopped, "
    "the user's rows in actor_cells and labs_sessions"
)
_OWED_REWRITE: Final = "nothing: the service writes these rows again at the next attempt"
_ORPHANED: Final = "nothing will clean it up: delete the VM at the backend yourself, then this row"


@dataclass
class Census:
    """What was counted at `now_ms`. `due` are first wake-ups that are due, `newest_ms` the latest instant stored.

    `ahead` are sessions and attempts that a clock which was ahead has put too far away.
    `owed` are VMs of sessions deleted by hand that the service still makes sure of. `paused` is the pause that is on.
    """

    now_ms: int
    sessions: int = 0
    owed: int = 0
    disagreements: int = 0
    examples: list[Finding] = field(default_factory=list)
    ahead: int = 0
    ahead_examples: list[Finding] = field(default_factory=list)
    undeliverable: int = 0
    undeliverable_example: str = ""
    due: int = 0
    oldest_due_ms: int | None = None
    newest_ms: int | None = None
    paused: Paused | None = None

    def findings(self) -> Iterator[Finding]:
        """The disagreements, or that there are none."""
        yield from self.examples
        if self.disagreements > len(self.examples):
            more = self.disagreements - len(self.examples)
            yield fault(CHECK, f"{more} more disagreements like these", "mend those first, then look again")
        if not self.disagreements:
            owing = f", {self.owed} VMs of deleted ones owed" if self.owed else ""
            yield ok(CHECK, f"state, row and wake-up agree: {self.sessions} sessions{owing}")
        yield from self.ahead_examples
        if self.ahead > len(self.ahead_examples):
            more = self.ahead - len(self.ahead_examples)
            yield warning(CHECK, f"{more} more are further ahead than they should be", SET_RIGHT)

    def disagree(self, found: str, todo: str) -> None:
        """Count one, and keep it if there is room."""
        self.disagreements += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(fault(CHECK, found, todo))

    def far(self, found: str) -> None:
        """Count one that lies too far ahead, and keep it if there is room."""
        self.ahead += 1
        if len(self.ahead_examples) < EXAMPLES:
            self.ahead_examples.append(warning(CHECK, found, SET_RIGHT))

    def saw(self, instant_ms: int) -> None:
        """An instant that a clock has shown and that was stored."""
        self.newest_ms = max(self.newest_ms or instant_ms, instant_ms)


def take_census(connection: sqlite3.Connection, now_ms: int, policy: Policy = _POLICY) -> Census:
    """Go through all sessions in one snapshot. sqlite3.Error if the tables cannot be read.

    `policy` tells how far away an attempt may be.
    """
    census = Census(now_ms)
    connection.execute("BEGIN")
    try:
        # A file that the newest release has not upgraded yet has no such table, and no obligations.
        has_owed = connection.execute(_HAS_OWED).fetchone() is not None
        # Few at any time, other than sessions: they fit in memory.
        owing: dict[tuple[str, str], dict[str, Any]] = {}
        cursor = connection.execute(_SESSIONS, (NAMESPACE,))
        columns = [column[0] for column in cursor.description[_ALARM_COLUMNS:]]
        for name, cell, due_ms, lane, deferrals, error, *values in cursor:
            shown = dict(zip(columns, values, strict=True))
            _count_alarm(census, name, due_ms, lane, deferrals, error)
            try:
                state = decode(cell)
            except UnreadableStateError as unreadable:
                census.disagree(f"{name}: {unreadable}", _UNREADABLE)
                continue
            _count_state(census, state)
            for found in ahead(state, now_ms, policy):
                census.far(found)
            _compare_row(census, name, row(state), None if shown["user_id"] is None else shown)
            _compare_alarm(census, name, state, due_ms, lane, deferrals)
            owing |= {(line["generation"], line["lab_request_id"]): line for line in owed(state)}
        census.owed = len(owing)
        if has_owed:
            _compare_owed(census, connection, owing)
        for user, vm in connection.execute(_ORPHANS, (NAMESPACE,)):
            census.disagree(f"{user}: labs_sessions shows a session with the VM {vm}, and there is no state", _ORPHANED)
        for (cell,) in connection.execute(_PAUSE, PAUSE):
            paused = decoded(cell)
            census.paused = paused if paused is not None and now_ms < paused.until_ms else None
        for (ended_ms,) in connection.execute(_LAST_ENDED):
            if ended_ms is not None:
                census.saw(ended_ms)
    finally:
        connection.rollback()
    return census


def _count_alarm(census: Census, name: str, due_ms: int | None, lane: int, deferrals: int, error: str | None) -> None:
    if deferrals:
        census.undeliverable += 1
        census.undeliverable_example = census.undeliverable_example or f"{name}: {error}"
    elif due_ms is not None and lane != Lane.RETRY and due_ms <= census.now_ms:
        census.due += 1
        census.oldest_due_ms = min(census.oldest_due_ms or due_ms, due_ms)


def _count_state(census: Census, state: State) -> None:
    session = state.session
    if session is not None:
        census.sessions += 1
        census.saw(session.updated_ms)
        if session.cleanup is not None:
            census.saw(session.cleanup.started_ms)
    for part in state.owed:
        census.saw(part.deleted_ms or part.updated_ms)


def _compare_row(census: Census, name: str, expected: dict[str, Any] | None, shown: dict[str, Any] | None) -> None:
    if expected is None or shown is None:
        if expected is not None:
            census.disagree(f"{name}: the session has no row in labs_sessions", _REWRITE)
        elif shown is not None:
            census.disagree(f"{name}: labs_sessions shows a session, and the state has none", _ORPHANED)
        return
    if differing := _differing(expected, shown):
        census.disagree(f"{name}: its row in labs_sessions differs from its state in {', '.join(differing)}", _REWRITE)


def _differing(expected: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    """The columns that disagree; one that only one side has belongs to another release."""
    return [column for column, value in expected.items() if column in shown and shown[column] != value]


def _compare_owed(census: Census, connection: sqlite3.Connection, owing: dict[tuple[str, str], dict[str, Any]]) -> None:
    missing = dict(owing)
    cursor = connection.execute(_OWED)
    columns = [column[0] for column in cursor.description]
    for values in cursor:
        shown = dict(zip(columns, values, strict=True))
        user, vm = shown["user_id"], shown["lab_request_id"]
        expected = missing.pop((shown["generation"], vm), None)
        if expected is None:
            census.disagree(f"{user}: owed_vms shows {vm}, and the state doesn't owe it", "delete this row")
        elif differing := _differing(expected, shown):
            census.disagree(f"{user}: {vm} in owed_vms differs from the state in {', '.join(differing)}", _OWED_REWRITE)
    for line in missing.values():
        found = f"{line['user_id']}: {line['lab_request_id']} is owed and has no row in owed_vms"
        census.disagree(found, _OWED_REWRITE)


def _compare_alarm(census: Census, name: str, state: State, due_ms: int | None, lane: int, deferrals: int) -> None:
    expected = wake_at(state)
    if expected is None:
        if due_ms is not None:
            census.disagree(f"{name}: a wake-up is armed at {iso(due_ms)}, and the state wants none", "nothing")
    elif due_ms is None:
        census.disagree(f"{name}: no wake-up is armed, the state wants {iso(expected)}", _REWRITE)
    # A wake-up that could not be delivered has been put off; it must not be early.
    elif due_ms < expected or (due_ms > expected and not deferrals):
        census.disagree(f"{name}: its wake-up is armed at {iso(due_ms)}, the state wants {iso(expected)}", _REWRITE)
    elif lane != (wanted := int(lane_of(state))):
        census.disagree(f"{name}: its wake-up is in lane {lane}, the state wants {wanted}", _REWRITE)
