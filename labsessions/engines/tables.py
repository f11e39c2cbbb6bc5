"""The tables that a session shows to operators, as projections of its state. Their SQL is in `schema.sql`."""

from importlib.resources import files

from actors.schema import Schema
from actors.storage import Append, Put, Remove, Table
from labsessions.core.audit import AUDIT_COLUMNS
from labsessions.core.messages import Ended, Event
from labsessions.core.model import State
from labsessions.core.projection import HISTORY_COLUMNS, OWED_COLUMNS, ROW_COLUMNS, history, owed, row
from labsessions.core.record import EVENT_COLUMNS, recorded

SESSIONS = Table("labs_sessions", ROW_COLUMNS, key=("user_id",))
HISTORY = Table("session_history", HISTORY_COLUMNS, key=("seq",))
OWED = Table("owed_vms", OWED_COLUMNS, key=("generation", "lab_request_id"))
EVENTS = Table("session_events", EVENT_COLUMNS, key=("seq",))
AUDIT = Table("operator_audit", AUDIT_COLUMNS, key=("seq",))

STEPS = ("schema.sql", *(f"schema_{number}.sql" for number in range(2, 11)))
_NOTHING = State()


def schema() -> Schema:
    """The product's tables, by version."""
    return Schema("labsessions", tuple((files("labsessions.engines") / step).read_text() for step in STEPS))


def projected(
    user_id: str, state: State, events: tuple[Event, ...], now_ms: int, before: State = _NOTHING
) -> list[Put | Append | Remove]:
    """The rows to write with `state` after `before`: the session, the VMs still owed, each event, a line for each end.

    `now_ms` is when the events have happened.
    """
    shown = row(state)
    rows: list[Put | Append | Remove]
    rows = [Remove(SESSIONS, (user_id,)) if shown is None else Put(SESSIONS, tuple(shown.values()))]
    rows += [Append(HISTORY, tuple(history(event).values())) for event in events if isinstance(event, Ended)]
    rows += [Append(EVENTS, tuple(recorded(event, now_ms).values())) for event in events]
    if not state.owed and not before.owed:
        return rows
    owing = {(line["generation"], line["lab_request_id"]): line for line in owed(state)}
    gone = [(line["generation"], line["lab_request_id"]) for line in owed(before)]
    rows += [Remove(OWED, key) for key in gone if key not in owing]
    rows += [Put(OWED, tuple(line.values())) for line in owing.values()]
    return rows
