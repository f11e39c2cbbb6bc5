"""Group commit: all actors' pending writes go in one transaction as soon as the writer is free (see `batches`)."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

from actors.batches import Batches
from actors.errors import CommitError
from actors.stats import CommitStats
from actors.storage import Operation, Store, Write

# A transaction of this many operations takes about 10 ms here: long enough to share the cost of a sync, short
# enough that nobody waits noticeably for others.
MAX_BATCH = 512


class GroupCommit:
    """The one writer above a store."""

    def __init__(self, store: Store) -> None:
        self.stats = CommitStats()
        self._store = store
        self._batches = Batches(self._apply, largest=MAX_BATCH, failure=_not_stored)
        self.last_error: str | None = None
        """Why the last write of an actor failed; None if it did not. A deferral that goes through proves nothing: it
        touches no projection, so it may succeed where every write fails."""

    def commit(self, operation: Operation) -> "asyncio.Future[None]":
        """Done when `operation` is durable. CommitError if it is not and will not be."""
        return self._batches.submit(operation)

    async def drained(self) -> None:
        """Return when nothing is pending."""
        await self._batches.drained()

    async def _apply(self, operations: Sequence[Operation]) -> Sequence[None]:
        began = perf_counter()  # a loop's clock may be as coarse as a transaction is short
        try:
            await self._store.apply(operations)
        except Exception as error:
            self.last_error = str(error)
            self.stats.failures += 1
            raise
        self.stats.seconds.observe(perf_counter() - began)
        self.stats.operations.observe(len(operations))
        if any(isinstance(operation, Write) for operation in operations):
            self.last_error = None
        return [None] * len(operations)


def _not_stored(error: Exception) -> CommitError:
    failure = CommitError(f"not stored: {error}")
    failure.__cause__ = error
    return failure
