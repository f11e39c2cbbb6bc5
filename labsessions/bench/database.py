"""A look into the service's database from outside: what is left, what is in the history, what the file is made of.

Reading only, and never while something is measured that a reader could disturb.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from labsessions.bench.meter import size_of
from labsessions.bootstrap import DATABASE

SAMPLE: Final = 1_000  # lines of history whose length is representative
_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_PAGE_SIZE: Final = slice(8, 12)  # of the header
_SALTS: Final = slice(16, 24)  # likewise; a WAL that was begun again has others
_FRAME_COMMIT: Final = slice(4, 8)  # of a frame's header: not 0 for the last frame of a transaction
_FRAME_SALTS: Final = slice(8, 16)


class Ended(NamedTuple):
    """Of the users whose ids begin alike: sessions that are still there, lines of history of those that expired."""

    left: int
    expired: int


class Pages(NamedTuple):
    """What the file consists of, in bytes."""

    file_bytes: int
    free_bytes: int
    wal_bytes: int


class Wal(NamedTuple):
    """The transactions and the pages that were written since the write-ahead log was begun, and which log that is."""

    commits: int
    pages: int
    written_bytes: int
    salts: bytes


def ended(data: Path, users: str) -> Ended:
    """What became of the users whose ids begin with `users`."""
    like = (f"{users}-%",)
    with _opened(data) as database:
        (left,) = database.execute("SELECT count(*) FROM labs_sessions WHERE user_id LIKE ?", like).fetchone()
        (expired,) = database.execute(
            "SELECT count(*) FROM session_history WHERE end_reason = 'expired' AND user_id LIKE ?", like
        ).fetchone()
    return Ended(left, expired)


def pages(data: Path) -> Pages:
    """The sizes as of now; the file's includes what is still in the WAL."""
    with _opened(data) as database:
        size, count, free = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
    return Pages(size * count, size * free, size_of(data / f"{DATABASE}-wal"))


def history_line_bytes(data: Path) -> float:
    """How long a line of the history is on average: its columns, and two of them a second time in the index."""
    with _opened(data) as database:
        rows = database.execute("SELECT *, user_id, ended_at FROM session_history LIMIT ?", (SAMPLE,)).fetchall()
    if not rows:
        return 0.0
    return sum(len(str(value)) for row in rows for value in row) / len(rows)


def wal(data: Path) -> Wal:
    """The write-ahead log, frame by frame, as SQLite's file format has it."""
    path = data / f"{DATABASE}-wal"
    log = path.read_bytes() if path.exists() else b""
    if len(log) < _HEADER:
        return Wal(0, 0, 0, b"")
    salts, step = log[_SALTS], _FRAME_HEADER + int.from_bytes(log[_PAGE_SIZE])
    heads = [log[at : at + _FRAME_HEADER] for at in range(_HEADER, len(log) - step + 1, step)]
    valid = [head for head in heads if head[_FRAME_SALTS] == salts]  # others are left over from an earlier round
    return Wal(sum(any(head[_FRAME_COMMIT]) for head in valid), len(valid), len(valid) * step, salts)


def _opened(data: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"{(data / DATABASE).resolve().as_uri()}?mode=ro", uri=True))
