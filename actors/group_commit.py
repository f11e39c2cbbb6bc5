"""Group commit: all actors' pending writes go in one transaction as soon as the writer is free.

No timer and no window: a lone write goes at once, and while one transaction is being made durable the next
batch gathers. A batch that fails is repeated one operation at a time, so that only the culprit fails.
"""

import asyncio
from contextvars import Context

from actors.errors import CommitError
from actors.storage import Operation, Store

# A transaction of this many operations takes about 10 ms here: long enough to share the cost of a sync, short
# enough that nobody waits noticeably for others.
MAX_BATCH = 512

_Pending = tuple[Operation, "asyncio.Future[None]"]


class GroupCommit:
    """The one writer above a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: list[_Pending] = []
        self._task: asyncio.Task[None] | None = None
        self.last_error: str | None = None
        """Why the last transaction failed; None if it did not."""

    async def commit(self, operation: Operation) -> None:
        """Return when `operation` is durable. CommitError if it is not and will not be."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((operation, done))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())
        await done

    async def drained(self) -> None:
        """Return when nothing is pending. The writer is never cancelled: SQLite would go on regardless."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
                await self._write(batch)
        finally:
            self._task = None

    async def _write(self, batch: list[_Pending]) -> None:
        try:
            await self._store.apply([operation for operation, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever the medium raises, the callers must hear of it
            self.last_error = str(error)
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for single in batch:
                await self._write([single])
        else:
            self.last_error = None
            for _, done in batch:
                if not done.done():  # whoever waited may have been cancelled
                    done.set_result(None)


def _fail(done: "asyncio.Future[None]", error: Exception) -> None:
    if not done.done():
        failure = CommitError(f"not stored: {error}")
        failure.__cause__ = error
        done.set_exception(failure)
