"""Batches: what is asked of a medium while it is busy goes together, in its next turn.

No timer and no window: a lone item goes at once. A batch that fails is repeated one item at a time, so that only
the culprit fails; unless the medium itself is the culprit, as each item would wait for it in vain. The writer
(`group_commit`) and the reader of cells are made of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from actors.errors import StoreUnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Hands items to `perform`, at most `largest` at a time and one batch after the other.

    `perform` returns one result for each item, in order; if it raises, nothing of the batch has happened. `failure`
    makes of what it raised what the callers are told.
    """

    def __init__(
        self,
        perform: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        largest: int,
        failure: Callable[[Exception], Exception] = lambda error: error,
    ) -> None:
        self._perform = perform
        self._largest = largest
        self._failure = failure
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> "asyncio.Future[Result]":
        """The result to come, or the failure of this item."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append((item, result))
        if self._task is None:
            # A context of its own: the work for many must not carry what the first of them has bound.
            self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())
        return result

    async def drained(self) -> None:
        """Return when nothing is pending. The work is never cancelled: the medium would go on regardless."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[: self._largest], self._pending[self._largest :]
                await self._run(batch)
        finally:
            self._task = None

    async def _run(self, batch: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        try:
            results = await self._perform([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever the medium raises, the callers must hear of it
            if len(batch) == 1 or isinstance(error, StoreUnavailableError):
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(self._failure(error))
            else:
                for single in batch:
                    await self._run([single])
        else:
            for (_, waiting), result in zip(batch, results, strict=True):
                if not waiting.done():  # whoever waited may have been cancelled
                    waiting.set_result(result)
