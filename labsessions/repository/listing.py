"""Sessions by what an operator asks for, page by page: the question in SQL, and an item of the answer.

SQLite isn't left to guess how to look, as a wrong guess costs seconds: each question names its way, and says whether
counting all that fits is cheap.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from labsessions.core.projection import iso
from labsessions.ports import Key, Which

Order = Literal["expires_at", "user_id"]
MS_PER_MINUTE: Final = 60_000
# Above any character: ids that begin with a text are below the text with this behind it.
LAST: Final = "\U0010ffff"

_COLUMNS: Final = (
    *("user_id", "id", "labId", "labTitle", "labGroupID", "lab_request_id", "status", "created_at", "expires_at"),
    *("attempts", "last_error", "next_attempt_at", "duration"),
)
# In the order of deadlines; those under cleanup, which are few; all rows as they lie in the file.
_BY_DEADLINE: Final = "INDEXED BY labs_sessions_expires"
_IN_TROUBLE: Final = "INDEXED BY labs_sessions_trouble"
_ALL: Final = "NOT INDEXED"
_BY_USER: Final = ""


class Question(NamedTuple):
    """A condition and the way to look, with the values of its marks. `scans`: whether it reads all rows."""

    way: str
    conditions: tuple[str, ...]
    values: tuple[Any, ...]
    scans: bool

    def page(self, order: Order, limit: int, after: Key) -> tuple[str, tuple[Any, ...]]:
        """SQL for the rows behind the key, in order."""
        by_user = order == "user_id"
        key, marks = ("user_id > ?", (after.tie,)) if by_user else ("(expires_at, user_id) > (?, ?)", tuple(after))
        sql = f"""
            SELECT {", ".join(_COLUMNS)} FROM labs_sessions {self.way}
            WHERE {" AND ".join((*self.conditions, key))}
            ORDER BY {"user_id" if by_user else "expires_at, user_id"} LIMIT ?
        """  # noqa: S608 - names and marks of our own
        return sql, (*self.values, *marks, limit)

    def number(self) -> tuple[str, tuple[Any, ...]]:
        """SQL for how many there are."""
        where = f"WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        return f"SELECT count(*) AS total FROM labs_sessions {self.way} {where}", self.values  # noqa: S608 - likewise


def question(which: Which, order: Order, now_ms: int) -> Question:
    """How to find the sessions asked for."""
    found = list(_conditions(which, now_ms))
    conditions, values = [each for each, _ in found], tuple(value for _, some in found for value in some)
    if which.status in ("cleaning", "stuck") or which.error is not None:
        return Question(_IN_TROUBLE, ("status <> 'active'", *conditions), values, scans=False)
    if {which.lab_id, which.group_id, which.text} != {None}:
        return Question(_ALL, tuple(conditions), values, scans=True)
    by_deadline = order == "expires_at" or which.overdue or which.ending_within_minutes is not None
    return Question(_BY_DEADLINE if by_deadline else _BY_USER, tuple(conditions), values, scans=False)


def _conditions(which: Which, now_ms: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if which.overdue is not None:
        yield f"expires_at {'<=' if which.overdue else '>'} ?", (iso(now_ms),)
    if which.ending_within_minutes is not None:
        until_ms = now_ms + round(which.ending_within_minutes * MS_PER_MINUTE)
        yield "expires_at > ? AND expires_at <= ?", (iso(now_ms), iso(until_ms))
    for column, wanted in (("status", which.status), ("labId", which.lab_id), ("labGroupID", which.group_id)):
        if wanted is not None:
            yield f"{column} = ?", (wanted,)
    if which.text is not None:
        text = which.text
        yield (
            "((user_id >= ? AND user_id < ?) OR id = ? OR lab_request_id = ?)",
            (text, f"{text}{LAST}", text, text),
        )
    if which.error is not None:
        yield "instr(last_error, ?) > 0", (which.error,)


def item(row: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """A row as a session of a list: with what depends on the instant."""
    left_ms = milliseconds(row["expires_at"]) - now_ms
    return {**row, "overdue": left_ms <= 0, "remaining_seconds": left_ms / 1000}


def milliseconds(instant: str) -> int:
    """An instant as it is stored, in milliseconds since 1970 UTC."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
