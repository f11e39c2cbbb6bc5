"""The pruning goes on for as long as the service lives: a batch now and then, and after trouble as before."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.ids import ActorId
from actors.sqlite import open_store
from actors.storage import Append, Prune, Write
from actors.testing import EPOCH_MS, run_virtual
from labsessions.core.projection import iso
from labsessions.engines.tables import EVENTS, HISTORY, schema
from labsessions.retention import IDLE_SECONDS, OLD_HISTORY, PAUSE_SECONDS, PAUSE_UNDER_LOAD_SECONDS, Retention

DAY_MS = 86_400_000


class Store:
    """So many batches to delete; notes when each was."""

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self.broken = False
        self.asked: list[float] = []
        self.pruned: list[int] = []

    async def query(self, sql: str, parameters: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - as `Query` has it
        """The last number of the next batch."""
        self.asked.append(round(asyncio.get_running_loop().time(), 3))
        if self.broken:
            raise OSError("the disk is gone")
        return [{"through": len(self.pruned) + 1 if len(self.pruned) < self.batches else None}]

    async def commit(self, prune: Prune) -> None:
        """See `Retention`."""
        assert prune.table is EVENTS
        self.pruned.append(prune.through)


def test_of_the_history_the_oldest_lines_go(tmp_path: Path) -> None:
    """Batch by batch, up to the first that is young enough, and not behind it: also one dated far ahead is old."""
    ages_ms = [10 * DAY_MS, -10 * DAY_MS, DAY_MS + 1, DAY_MS, 10 * DAY_MS]

    async def main() -> list[list[int]]:
        store = await open_store(tmp_path / "db", (schema(),))
        lines = [("g", "u", "i", "l", "v", "", "", iso(EPOCH_MS - age), "expired", 1, 0, None) for age in ages_ms]
        await store.apply([Write(ActorId("n", "a"), b"", None, [Append(HISTORY, line) for line in lines])])
        left = []

        async def commit(prune: Prune) -> None:
            await store.apply([prune])

        kept = OLD_HISTORY._replace(batch=2)
        retention = Retention(store.query, commit, lambda: EPOCH_MS, lambda: False, days=1, kept=kept)
        for more in (True, True, False):
            assert await retention.prune() is more
            left.append(
                [int(str(row["seq"])) for row in await store.query("SELECT seq FROM session_history ORDER BY seq")]
            )
        await store.close()
        return left

    assert asyncio.run(main()) == [[3, 4, 5], [4, 5], [4, 5]]


async def running(store: Store, seconds: float, *, busy: bool = False) -> None:
    """Let it run for so long."""
    retention = Retention(store.query, store.commit, lambda: EPOCH_MS, lambda: busy, days=1)
    task = asyncio.create_task(retention.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(("busy", "pause"), [(False, PAUSE_SECONDS), (True, PAUSE_UNDER_LOAD_SECONDS)])
def test_a_batch_after_the_other_and_then_a_look_now_and_then(*, busy: bool, pause: float) -> None:
    """Slower while others need the store; seldom when there is nothing left."""
    store = Store(3)
    run_virtual(running(store, 3 * pause + IDLE_SECONDS + 0.001, busy=busy))
    assert store.pruned == [1, 2, 3]
    assert store.asked == [0, pause, 2 * pause, 3 * pause, 3 * pause + IDLE_SECONDS]


def test_a_store_in_trouble_is_tried_again_later() -> None:
    """A line says why; nothing else depends on it, so there is no hurry."""

    async def main() -> None:
        store = Store(1)
        store.broken = True
        with capture_logs() as logs:
            await running(store, IDLE_SECONDS + 0.001)
        assert store.asked == [0, IDLE_SECONDS]
        assert [line["reason"] for line in logs] == ["the disk is gone"] * 2
        store.broken = False
        await running(store, 0.001)
        assert store.pruned == [1]

    run_virtual(main())


def test_another_retention_counts_from_the_next_batch_on() -> None:
    """0 keeps all, and asks nothing of the store; from there to days it begins again."""

    async def main() -> None:
        store = Store(3)
        retention = Retention(store.query, store.commit, lambda: EPOCH_MS, lambda: False, days=0)
        assert not await retention.prune()
        assert (store.asked, store.pruned) == ([], [])
        retention.reconfigure(1)
        assert await retention.prune()
        retention.reconfigure(0)
        assert not await retention.prune()
        assert store.pruned == [1]

    run_virtual(main())
