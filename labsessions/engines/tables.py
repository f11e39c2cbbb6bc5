"""The tables that a session shows to operators, as projections of its state. Their SQL is in `schema.sql`."""

from importlib.resources import files

from actors.schema import Schema
from actors.storage import Put, Remove, Table
from labsessions.core.messages import Ended, Event
from labsessions.core.model import State
from labsessions.core.projection import HISTORY_COLUMNS, ROW_COLUMNS, history, row

SESSIONS = Table("labs_sessions", ROW_COLUMNS, key=("user_id",))
HISTORY = Table("session_history", HISTORY_COLUMNS, key=("generation",))


def schema() -> Schema:
    """The product's tables, by version."""
    return Schema("labsessions", ((files("labsessions.engines") / "schema.sql").read_text(),))


def projected(user_id: str, state: State, events: tuple[Event, ...]) -> list[Put | Remove]:
    """The rows to write with `state`: the user's session as it is now, and a line for each that has ended."""
    shown = row(state)
    rows: list[Put | Remove] = [Remove(SESSIONS, (user_id,)) if shown is None else Put(SESSIONS, tuple(shown.values()))]
    rows += [Put(HISTORY, tuple(history(event).values())) for event in events if isinstance(event, Ended)]
    return rows
