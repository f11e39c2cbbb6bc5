"""Versions of the database's schema: an older file is upgraded at start, a newer one refused.

A component (the runtime, the product) is a list of SQL scripts; its version is how many of them have run.
"""

from dataclasses import dataclass
from importlib.resources import files

import aiosqlite

from actors.errors import SchemaTooNewError

_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"


@dataclass(frozen=True, slots=True)
class Schema:
    """The steps of one component, the oldest first. A step that was released is never changed."""

    component: str
    steps: tuple[str, ...]


def runtime_schema() -> Schema:
    """The runtime's own tables."""
    return Schema("actors", ((files("actors") / "schema.sql").read_text(),))


async def upgrade(connection: aiosqlite.Connection, schemas: tuple[Schema, ...], where: str) -> None:
    """Bring the database to the newest version of each schema, each step in its own transaction.

    Raises SchemaTooNewError, before anything is changed, if the file has seen a step that we don't know.
    """
    await connection.execute(_VERSIONS)
    rows = await connection.execute_fetchall("SELECT component, version FROM schema_versions")
    found = {str(component): int(version) for component, version in rows}
    for schema in schemas:
        version = found.get(schema.component, 0)
        if version > len(schema.steps):
            raise SchemaTooNewError(
                f"{where} was written by a newer release: its {schema.component} schema has version {version}, "
                f"this release knows up to {len(schema.steps)}. Start the newer release, or restore an older backup."
            )
    for schema in schemas:
        for number, step in enumerate(schema.steps, start=1):
            if number > found.get(schema.component, 0):
                await _run(connection, schema.component, number, step)


async def _run(connection: aiosqlite.Connection, component: str, number: int, step: str) -> None:
    try:
        await connection.executescript(f"BEGIN IMMEDIATE;\n{step}\n;")
        await connection.execute("INSERT OR REPLACE INTO schema_versions VALUES (?, ?)", (component, number))
        await connection.commit()
    except BaseException:
        await connection.rollback()
        raise
