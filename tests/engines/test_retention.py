"""The pruning goes on for as long as the service lives: a batch now and then, and after trouble as before."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.storage import Prune
from actors.testing import EPOCH_MS, run_virtual
from labsessions.engines.tables import EVENTS
from labsessions.retention import IDLE_SECONDS, PAUSE_SECONDS, PAUSE_UNDER_LOAD_SECONDS, Retention


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
