"""Tables that number their rows: in the order of the commits, never twice, and pruned from the beginning."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from actor_kit import toy_id

from actors.schema import Schema
from actors.sqlite import open_store
from actors.statements import ROWS
from actors.storage import Append, Column, Prune, Store, Table, Write
from actors.testing import MemoryStore

TOLD = Table("told", ("name", "what"), key=("seq",))
SCHEMA = Schema("toys", ("CREATE TABLE told (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, what INTEGER)",))

Rows = Callable[[], Awaitable[list[dict[str, Column]]]]


@pytest.fixture(params=["memory", "sqlite"])
async def medium(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Rows]]:
    """Each implementation in turn, and the rows as they are there."""
    if request.param == "memory":
        memory = MemoryStore()

        async def kept() -> list[dict[str, Column]]:
            return memory.disk.rows("told")

        yield memory, kept
        return
    sqlite = await open_store(tmp_path / "toys.db", (SCHEMA,))
    yield sqlite, lambda: sqlite.query("SELECT * FROM told ORDER BY seq")
    await sqlite.close()


def said(name: str, *what: int) -> Write:
    """A write of the toy `name` that tells so much."""
    return Write(toy_id(name), b"cell", None, [Append(TOLD, (name, number)) for number in what])


async def test_rows_are_numbered_in_the_order_of_the_writes(medium: tuple[Store, Rows]) -> None:
    """Within one transaction as well, also where it needs more than one statement."""
    store, rows = medium
    many = tuple(range(ROWS + 1))
    await store.apply([said("a", 1, 2), said("b", 3)])
    await store.apply([said("a", *many)])
    expected: list[dict[str, Column]] = [
        {"seq": 1, "name": "a", "what": 1},
        {"seq": 2, "name": "a", "what": 2},
        {"seq": 3, "name": "b", "what": 3},
    ]
    expected += [{"seq": 4 + number, "name": "a", "what": number} for number in many]
    assert await rows() == expected


async def test_pruning_goes_up_to_a_number(medium: tuple[Store, Rows]) -> None:
    """That one included, the next one not; nothing of it depends on the actors."""
    store, rows = medium
    await store.apply([said("a", 1, 2, 3)])
    await store.apply([Prune(TOLD, 0)])
    assert [row["seq"] for row in await rows()] == [1, 2, 3]
    await store.apply([Prune(TOLD, 2), said("b", 4)])
    assert [row["seq"] for row in await rows()] == [3, 4]


async def test_no_number_is_given_twice(medium: tuple[Store, Rows]) -> None:
    """Not even when all rows are gone: whoever reads on from a number would miss what has it now."""
    store, rows = medium
    await store.apply([said("a", 1, 2)])
    await store.apply([Prune(TOLD, 9)])
    assert await rows() == []
    await store.apply([said("a", 3)])
    assert [row["seq"] for row in await rows()] == [3]
