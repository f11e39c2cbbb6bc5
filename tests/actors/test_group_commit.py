"""Group commit: who shares a transaction with whom, and who fails."""

import asyncio
from collections.abc import Sequence

import pytest
from actor_kit import Add, RecordingStore, World, toy_id, virtual

from actors.errors import CommitError, StoreUnavailableError
from actors.group_commit import MAX_BATCH, GroupCommit
from actors.stats import Histogram
from actors.storage import Deferral, DueAlarm, Lane, Operation, Write


def write(name: str) -> Write:
    """A write of the toy `name`."""
    return Write(toy_id(name), cell=name.encode(), alarm=None)


def commit(writer: GroupCommit, *names: str) -> "list[asyncio.Task[None]]":
    """Commits under way."""
    return [asyncio.ensure_future(writer.commit(write(name))) for name in names]


@virtual
async def test_a_lone_write_goes_at_once() -> None:
    """No timer and no window: one write is one transaction, without waiting for company."""
    store = RecordingStore()
    began = asyncio.get_running_loop().time()
    await GroupCommit(store).commit(write("a"))

    assert store.batches == [["a"]]
    assert store.disk.cells == {toy_id("a"): b"a"}
    assert asyncio.get_running_loop().time() - began < 0.001


@virtual
async def test_writes_that_come_during_a_transaction_share_the_next_one() -> None:
    """A hundred actors that write while one transaction is held cost one more, in the order in which they came."""
    store = RecordingStore()
    async with World(other_store=store) as world:
        await world.toys.ask("first", Add())
        store.batches.clear()
        names = [f"actor-{number}" for number in range(100)]
        store.hold()
        replies = [world.toys.ask("first", Add())]
        await asyncio.sleep(1)
        replies += [world.toys.ask(name, Add()) for name in names]
        await asyncio.sleep(1)
        store.release()
        for reply in replies:
            await reply

        assert store.batches == [["first"], names]


@pytest.mark.parametrize(
    ("waiting", "sizes"),
    [(MAX_BATCH - 1, [MAX_BATCH - 1]), (MAX_BATCH, [MAX_BATCH]), (MAX_BATCH + 1, [MAX_BATCH, 1])],
)
def test_a_batch_is_bounded(waiting: int, sizes: list[int]) -> None:
    """A transaction takes at most MAX_BATCH operations; what is over goes in the next one."""

    @virtual
    async def run() -> None:
        store = RecordingStore()
        writer = GroupCommit(store)
        await asyncio.gather(*commit(writer, *(str(number) for number in range(waiting))))

        assert sizes == [len(batch) for batch in store.batches]
        assert len(store.disk.cells) == waiting

    run()


@virtual
async def test_only_the_culprit_of_a_failing_batch_fails() -> None:
    """A batch that fails is repeated one by one: the others become durable, the culprit hears why."""
    store = RecordingStore()
    store.poisoned.add("bad")
    writer = GroupCommit(store)
    one, bad, two = commit(writer, "one", "bad", "two")
    await asyncio.wait([one, bad, two])

    assert store.batches == [["one", "bad", "two"], ["one"], ["bad"], ["two"]]
    assert store.disk.cells.keys() == {toy_id("one"), toy_id("two")}
    assert one.exception() is None
    assert two.exception() is None
    with pytest.raises(CommitError, match="not stored: poison"):
        bad.result()


@virtual
async def test_a_cancelled_waiter_does_not_hurt_the_batch() -> None:
    """Who stops waiting changes nothing for the others, whether the batch succeeds or fails; it is written still."""
    for poisoned in (False, True):
        store = RecordingStore()
        store.poisoned.update(["gone"] if poisoned else [])
        store.hold()
        writer = GroupCommit(store)
        gone, other = commit(writer, "gone", "other")
        await asyncio.sleep(1)
        gone.cancel()
        await asyncio.wait([gone])
        store.release()
        await other
        await writer.drained()

        assert (toy_id("gone") in store.disk.cells) is not poisoned


@virtual
async def test_drained_waits_for_everything_that_is_pending() -> None:
    """With nothing pending it returns at once; otherwise when the last write is durable."""
    store = RecordingStore()
    writer = GroupCommit(store)
    await writer.drained()
    store.hold()
    commits = commit(writer, "a", "b")
    await asyncio.sleep(1)
    commits += commit(writer, "c")
    drained = asyncio.ensure_future(writer.drained())
    await asyncio.sleep(1)
    assert not drained.done()

    store.release()
    await drained
    assert len(store.disk.cells) == 3
    await asyncio.gather(*commits)


@virtual
async def test_the_last_error_is_that_of_the_last_transaction() -> None:
    """`last_error` says why the last transaction failed, and nothing once one has succeeded."""
    store = RecordingStore()
    writer = GroupCommit(store)
    assert _last_error(writer) is None
    store.fail(1)
    with pytest.raises(CommitError):
        await writer.commit(write("a"))
    assert _last_error(writer) == "the commit has failed"
    await writer.commit(write("a"))
    assert _last_error(writer) is None


def _last_error(writer: GroupCommit) -> str | None:
    return writer.last_error


class LockedStore(RecordingStore):
    """A store that takes nothing until `open`."""

    open = False

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        if not self.open:
            self.batches.append([operation.actor_id.name for operation in operations if isinstance(operation, Write)])
            raise StoreUnavailableError("locked by another program")
        await super().apply(operations)


@virtual
async def test_a_batch_that_fails_for_everybody_is_not_repeated() -> None:
    """When the medium is the culprit, all hear of it after one try: each alone would wait for it again, in vain."""
    store = LockedStore()
    writer = GroupCommit(store)
    results = await asyncio.gather(*commit(writer, *"abc"), return_exceptions=True)

    assert store.batches == [["a", "b", "c"]]
    assert [str(result) for result in results] == ["not stored: locked by another program"] * 3
    assert all(isinstance(result, CommitError) for result in results)
    assert writer.last_error == "locked by another program"

    store.open = True
    await writer.commit(write("a"))
    assert writer.last_error is None


@virtual
async def test_a_deferral_that_goes_through_does_not_hide_that_writes_fail() -> None:
    """The last write's error stays in health until a write succeeds; a deferral touches less than a write does."""
    store = RecordingStore()
    store.poisoned = {"a"}
    writer = GroupCommit(store)
    with pytest.raises(CommitError):
        await writer.commit(write("a"))
    await writer.commit(Deferral(DueAlarm(toy_id("b"), 0, Lane.FIRST, 0), until_ms=1, error="unreadable"))
    after_deferral = writer.last_error
    await writer.commit(write("b"))

    assert after_deferral == "poison"
    assert writer.last_error is None


@virtual
async def test_transactions_are_measured() -> None:
    """Each that has succeeded with its time and its number of operations; each that has failed is counted."""
    store = RecordingStore()
    writer = GroupCommit(store)
    await asyncio.gather(*commit(writer, *"abc"))
    store.fail(1)
    with pytest.raises(CommitError):
        await writer.commit(write("d"))
    await writer.commit(write("d"))

    stats = writer.stats
    assert dict(zip(stats.operations.bounds, stats.operations.counts, strict=False)) == {
        bound: {1: 1, 4: 1}.get(int(bound), 0) for bound in stats.operations.bounds
    }
    assert (stats.operations.total, stats.failures) == (4, 1)
    assert sum(stats.seconds.counts) == 2
    assert stats.seconds.total > 0


def test_a_value_that_equals_a_bound_is_within_it() -> None:
    """One before, equal, one after; what is above all bounds is counted too."""
    histogram = Histogram((1, 10))
    for value in (0.9, 1, 1.1, 10, 10.1):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == pytest.approx(23.1)
