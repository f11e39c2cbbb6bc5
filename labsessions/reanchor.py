"""`reanchor`: sets right on the disk what a clock that was ahead has stored. No service may be running.

A service that runs would have states in memory and write them over ours.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from actors.directory import DataDirectory
from actors.errors import StoreError
from actors.sqlite import open_store
from actors.storage import Write
from labsessions.bootstrap import DATABASE
from labsessions.core.codec import UnreadableStateError, decode
from labsessions.core.model import Session, State
from labsessions.core.parts import parts, user_of
from labsessions.core.policy import Policy
from labsessions.core.projection import iso
from labsessions.core.reanchor import reanchored
from labsessions.doctor.database import open_for_reading
from labsessions.engines.embedded import NAMESPACE, write_of
from labsessions.engines.tables import schema

# Sessions in one commit.
BATCH: Final = 256
_CELLS: Final = "SELECT name, cell FROM actor_cells WHERE namespace = ?"
_KNOWN: Final = "SELECT 1 FROM actor_cells WHERE namespace = ? AND name = ?"


class ReanchorError(Exception):
    """It cannot be done as asked. Nothing was changed."""


async def reanchor(
    data_dir: Path, policy: Policy, now_ms: int, moved: Callable[[Session], None], users: Sequence[str] = ()
) -> None:
    """Set right the sessions of these users, or of all; `moved` is told of each part once it is durable.

    Raises ReanchorError, or StoreError: DirectoryInUseError if a service is running.
    """
    database = data_dir / DATABASE
    if not database.is_file():
        raise ReanchorError(f"there is no file {database}")
    async with AsyncExitStack() as stack:
        directory = DataDirectory(data_dir)
        directory.claim()
        stack.callback(directory.release)
        store = await open_store(database, (schema(),))
        stack.push_async_callback(store.close)
        reader = stack.enter_context(_reading(database))
        _refuse_unknown(reader, users)
        states = _to_move(reader, policy, now_ms, set(users))
        while batch := list(islice(states, BATCH)):
            await store.apply([_write(was, now) for was, now in batch])
            for was, now in batch:
                for before, after in zip(parts(was), parts(now), strict=True):
                    if after is not before:
                        moved(after)


def line(part: Session) -> str:
    """What has become of a part, for people."""
    user = part.lab.user_id
    if part.cleanup is None:
        return f"{user}: runs until {iso(part.expires_ms)}"
    return f"{user}: is tried again at {iso(part.cleanup.retry_ms)}"


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(open_for_reading(database)) as reader:
            yield reader
    except sqlite3.Error as error:
        raise StoreError(f"{database} cannot be read: {error}") from error


def _refuse_unknown(reader: sqlite3.Connection, users: Sequence[str]) -> None:
    unknown = [user for user in users if reader.execute(_KNOWN, (NAMESPACE, user)).fetchone() is None]
    if unknown:
        raise ReanchorError(f"no such user: {', '.join(unknown)}")


def _to_move(reader: sqlite3.Connection, policy: Policy, now_ms: int, users: set[str]) -> Iterator[tuple[State, State]]:
    """Each state with what it is to become. The cursor keeps its snapshot, whatever is written meanwhile."""
    for name, cell in reader.execute(_CELLS, (NAMESPACE,)):
        if users and name not in users:
            continue
        try:
            was = decode(cell)
        except UnreadableStateError:
            continue  # the doctor names it
        now = reanchored(was, now_ms, policy)
        if now is not was:
            yield was, now


def _write(was: State, now: State) -> Write:
    return write_of(user_of(now), now, (), now_ms=0, before=was)
