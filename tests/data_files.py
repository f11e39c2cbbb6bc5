"""Database files for tests, written by the real store: users of `builders` in, a data directory out."""

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from builders import User

from actors.sqlite import open_store
from actors.storage import Write
from labsessions.bootstrap import DATABASE
from labsessions.core.model import State
from labsessions.core.parts import user_of
from labsessions.engines.embedded import write_of
from labsessions.engines.tables import schema


def data_with(folder: Path, users: Iterable[User]) -> Path:
    """The database in `folder`, with the states of these users as the engine stores them; nobody uses it any more."""
    folder.mkdir(mode=0o700, exist_ok=True)
    database = folder / DATABASE
    asyncio.run(_write(database, [_stored(user.state) for user in users]))
    return database


async def _write(database: Path, writes: list[Write]) -> None:
    store = await open_store(database, (schema(),))
    await store.apply(writes)
    await store.close()


def _stored(state: State) -> Write:
    return write_of(user_of(state), state, (), now_ms=0, before=State())


def sql(database: Path, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    """Look into the file, or change it behind everybody's back."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(statement, parameters).fetchall()


def spoil_page(database: Path, table: str) -> None:
    """Overwrite the first page of a table's content with noise, as a broken disk does."""
    with closing(sqlite3.connect(database)) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,))
        ((size,),) = connection.execute("PRAGMA page_size")
    with database.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)
