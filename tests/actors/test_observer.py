"""Dear questions: on a thread of their own, one at a time, bounded in time and number; nobody else waits for them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from actor_kit import cell_of, toy_id

from actors.errors import QuestionRefusedError
from actors.observer import Observer, open_observer
from actors.sqlite import open_store
from actors.storage import Write

# Counts for hours, unless it is interrupted.
ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
ONE = "SELECT 1 AS one"


@asynccontextmanager
async def observed(folder: Path, seconds: float = 600, waiting: int = 2) -> AsyncIterator[Observer]:
    """An observer of a new file whose path needs escapes."""
    path = folder / "a b%20?#.db"
    await (await open_store(path)).close()
    async with open_observer(path, seconds=seconds, waiting=waiting) as observer:
        yield observer


async def test_it_sees_the_last_commit(tmp_path: Path) -> None:
    """Rows by column name, with the values bound; also while the store is in use."""
    store = await open_store(tmp_path / "db")
    async with open_observer(tmp_path / "db", seconds=600, waiting=0) as observer:
        await store.apply([Write(toy_id("a"), b"cell", None)])
        found = await observer.query("SELECT name, cell FROM actor_cells WHERE name = ?", ("a",))
        assert found == [{"name": "a", "cell": b"cell"}]
        assert await observer.query("SELECT name FROM actor_cells WHERE name = ?", ("b",)) == []
    await store.close()


async def test_it_writes_nothing(tmp_path: Path) -> None:
    """Nor does it make a file where there is none."""
    async with observed(tmp_path) as observer:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await observer.query("DELETE FROM actor_cells")
    with pytest.raises(sqlite3.OperationalError):
        async with open_observer(tmp_path / "none.db", seconds=1, waiting=0):
            pass
    assert not (tmp_path / "none.db").exists()


async def test_a_question_that_takes_too_long_is_refused_and_the_next_one_answered(tmp_path: Path) -> None:
    """It doesn't go on behind the scenes either: the thread is free."""
    async with observed(tmp_path, seconds=0.05) as observer:
        with pytest.raises(QuestionRefusedError, match=r"longer than 0\.05 s"):
            await observer.query(ENDLESS)
        async with asyncio.timeout(30):
            while True:  # the machine may be slow
                try:
                    assert await observer.query(ONE) == [{"one": 1}]
                except QuestionRefusedError:
                    continue
                break


async def test_nobody_else_waits_for_it(tmp_path: Path) -> None:
    """The store writes and reads while it runs."""
    store = await open_store(tmp_path / "db")
    async with open_observer(tmp_path / "db", seconds=600, waiting=0) as observer:
        question = asyncio.ensure_future(observer.query(ENDLESS))
        await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            await store.apply([Write(toy_id("a"), b"cell", None)])
            assert await cell_of(store, toy_id("a")) == b"cell"
            assert await store.query(ONE) == [{"one": 1}]
        assert not question.done()
        await cancelled(question)
    await store.close()


async def cancelled(question: "asyncio.Future[Any]") -> None:
    """Whoever asked has gone."""
    question.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait([question])
    assert question.cancelled()


async def test_a_question_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    """And its end interrupts no other one."""
    async with observed(tmp_path) as observer:
        question = asyncio.ensure_future(observer.query(ENDLESS))
        await asyncio.sleep(0)
        next_one = asyncio.ensure_future(observer.query(ONE))
        await asyncio.sleep(0)
        await cancelled(question)
        assert await next_one == [{"one": 1}]


async def test_one_that_waits_for_its_turn_may_go(tmp_path: Path) -> None:
    """Without a trace: its place is free, and the one that runs goes on."""
    async with observed(tmp_path, waiting=1) as observer:
        first = asyncio.ensure_future(observer.query(ENDLESS))
        second = asyncio.ensure_future(observer.query(ONE))
        await asyncio.sleep(0)
        await cancelled(second)
        third = asyncio.ensure_future(observer.query(ONE))
        await asyncio.sleep(0)
        assert not first.done()
        await cancelled(first)
        assert await third == [{"one": 1}]


@pytest.mark.parametrize("waiting", [0, 1, 3])
async def test_so_many_wait_and_no_more(tmp_path: Path, waiting: int) -> None:
    """The next is refused at once; when one has been answered, there is room again."""
    async with observed(tmp_path, waiting=waiting) as observer:
        asked = [asyncio.ensure_future(observer.query(ENDLESS)) for _ in range(waiting + 1)]
        await asyncio.sleep(0)
        with pytest.raises(QuestionRefusedError, match="too many"):
            await observer.query(ONE)
        for question in asked[::-1]:
            await cancelled(question)
        assert await observer.query(ONE) == [{"one": 1}]


async def test_a_fault_of_the_question_is_told_as_it_is(tmp_path: Path) -> None:
    """It isn't taken for an interruption."""
    async with observed(tmp_path) as observer:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await observer.query("SELECT * FROM nowhere")
        assert await observer.query(ONE) == [{"one": 1}]
