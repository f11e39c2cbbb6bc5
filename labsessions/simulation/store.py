"""The store of a simulated process: the memory store with its crash points, slow at times, and somebody who watches."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final, Protocol

from actors.ids import ActorId
from actors.storage import Deferral, DueAlarm, Lane, Operation, Prune, Write
from actors.testing import DiskError, MemoryDisk, MemoryStore

# Far more than any instant needs: who comes here turns in circles without time passing.
SPINNING: Final = 5_000
INSTANT_SECONDS: Final = 0.001
# What an operation waits for before it reaches the medium, or its answer on the way back: mostly nothing, else turns of
# the loop (negative) or seconds. So answers cross, and a window of alarms is old when it arrives.
LAGS: Final = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1, -2, -5, 0.001, 0.02)
LONGEST_LAG_SECONDS: Final = max(LAGS)


class Watcher(Protocol):
    """Hears what has become of each transaction, before anybody else does."""

    def committed(self, operations: Sequence[Operation]) -> None:
        """They are durable."""
        ...

    def refused(self, operations: Sequence[Operation]) -> None:
        """Nothing of them has happened."""
        ...

    def read(self, lane: Lane, window: Sequence[DueAlarm]) -> None:
        """The dispatcher hears of these alarms."""
        ...

    def blinded(self) -> None:
        """The alarms could not be read, so that nobody is served."""
        ...

    def died(self) -> None:
        """The process has met its end at this transaction."""
        ...

    def spins(self) -> None:
        """Operation follows operation, and no time passes."""
        ...


class WatchedStore(MemoryStore):
    """A `MemoryStore`. Transactions that an actor in `poisoned` takes part in fail; `blind`, it cannot read alarms."""

    def __init__(self, disk: MemoryDisk, watcher: Watcher, rng: Random) -> None:
        super().__init__(disk)
        self.poisoned: dict[ActorId, None] = {}
        self.blind = False
        self._operations = 0
        self._instant = 0.0
        self._watcher = watcher
        self._rng = rng

    @property
    def holds(self) -> bool:
        """Whether commits wait."""
        return not self._gate.is_set()

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """See `Store`."""
        await self._lag()
        cells = await super().load(actor_ids)
        await self._lag()
        return cells

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        self._count()
        await self._lag()
        if self.poisoned and any(actor_of(operation) in self.poisoned for operation in operations):
            await asyncio.sleep(0)
            self._watcher.refused(operations)
            raise DiskError("one of the rows cannot be written")
        was_dead, commits = self.dead, self.commits
        try:
            await super().apply(operations)
        except DiskError:
            self._watcher.refused(operations)
            raise
        finally:
            if self.commits != commits:
                self._watcher.committed(operations)
            if self.dead and not was_dead:
                self._watcher.died()

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        self._count()
        await self._lag()
        if self.blind:
            self._watcher.blinded()
            raise DiskError("the alarms cannot be read")
        window = await super().alarms(lane, limit)
        await self._lag()
        self._watcher.read(lane, window)
        return window

    async def _lag(self) -> None:
        lag = self._rng.choice(LAGS)
        if lag > 0:
            await asyncio.sleep(lag)
        while lag < 0:
            await asyncio.sleep(0)
            lag += 1

    def _count(self) -> None:
        now = asyncio.get_running_loop().time()
        if now > self._instant + INSTANT_SECONDS:
            self._instant, self._operations = now, 0
        self._operations += 1
        if self._operations == SPINNING:
            self._watcher.spins()


def actor_of(operation: Operation) -> ActorId:
    """Whom an operation is about."""
    match operation:
        case Deferral(alarm=alarm):
            return alarm.actor_id
        case Write(actor_id=actor_id):
            return actor_id
        case Prune():
            raise TypeError("a simulated process prunes nothing")
