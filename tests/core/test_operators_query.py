"""The query that operators have always used still tells the truth: it is run as it is in SQLite over our rows."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from builders import MINUTE, NOW, User
from hypothesis import given
from strategies import LAST_MS, durations, instants, seeded

from labsessions.core.messages import Update
from labsessions.core.model import LabChanges
from labsessions.core.projection import iso, row

# "Query Active Sessions" of the original system's summary; `datetime('now')` is bound, so that time is driven.
ACTIVE_SESSIONS = """
  SELECT
    user_id,
    lab_request_id,
    duration,
    datetime(created_at, '+' || duration || ' minutes') as expires_at,
    CASE
      WHEN datetime(created_at, '+' || duration || ' minutes') < datetime(:now)
      THEN 'EXPIRED'
      ELSE 'ACTIVE'
    END as status
  FROM labs_sessions
"""


def status_by_query(shown: dict[str, Any], now_ms: int, column_type: str) -> tuple[str, str]:
    """`expires_at` and `status` by the operators' query over a table that holds the row `shown`."""
    with closing(sqlite3.connect(":memory:")) as db:
        columns = ", ".join(f'"{name}" {column_type if name == "duration" else ""}' for name in shown)
        db.execute(f"CREATE TABLE labs_sessions ({columns})")
        marks = ", ".join("?" * len(shown))
        db.execute(f"INSERT INTO labs_sessions VALUES ({marks})", tuple(shown.values()))  # noqa: S608 - question marks
        ((_, _, _, expires_at, status),) = db.execute(ACTIVE_SESSIONS, {"now": iso(now_ms)}).fetchall()
    return expires_at, status


@pytest.mark.parametrize("column_type", ["", "REAL", "NUMERIC"], ids=["untyped", "real", "numeric"])
@pytest.mark.parametrize("minutes", [0.05, 1e-05, 1e-09, 1, 60, 60.0, 90.5, 43_200, 0.7, 1 / 3])
@pytest.mark.parametrize("moved", [False, True], ids=["created", "moved"])
def test_the_operators_query_agrees_with_the_deadline(minutes: float, column_type: str, *, moved: bool) -> None:
    """ACTIVE a second before the deadline and EXPIRED a second after it, also after a PUT has moved it."""
    user = User()
    if moved:
        user.create(duration=30)
        user.say(Update(LabChanges(duration=minutes)), NOW + MINUTE)
    else:
        user.create(duration=minutes)
    shown = row(user.state)
    assert shown is not None
    expires_ms = user.session.expires_ms

    assert status_by_query(shown, expires_ms - 1_000, column_type)[1] == "ACTIVE"
    assert status_by_query(shown, expires_ms + 1_000, column_type)[1] == "EXPIRED"
    # The query shows whole seconds, cut off.
    by_query = status_by_query(shown, expires_ms, column_type)[0]
    assert by_query == shown["expires_at"][:19].replace("T", " ")


@seeded
@given(durations, instants.filter(lambda ms: ms < LAST_MS // 2))
def test_the_operators_query_agrees_at_any_time_and_duration(minutes: float, now_ms: int) -> None:
    """Whatever the instant of creation, SQLite's own arithmetic is never a second off."""
    user = User().create(now_ms=now_ms, duration=minutes)
    shown = row(user.state)
    assert shown is not None

    assert status_by_query(shown, user.session.expires_ms - 1_000, "REAL")[1] == "ACTIVE"
    assert status_by_query(shown, user.session.expires_ms + 1_000, "REAL")[1] == "EXPIRED"


def test_sqlite_reads_our_instants_as_its_own() -> None:
    """`datetime('now')` and a bound instant of ours mean the same to SQLite: UTC, whole seconds."""
    with closing(sqlite3.connect(":memory:")) as db:
        ((text, days),) = db.execute("SELECT datetime(:at), julianday(:at) - julianday('1970-01-01')", {"at": iso(NOW)})
    assert text == "2025-11-24 16:00:00"
    assert days * 86_400_000 == pytest.approx(NOW, abs=1)
