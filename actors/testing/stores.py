"""A durable medium in memory that fails when told."""

import asyncio
import heapq
from collections.abc import Sequence

from actors.ids import ActorId
from actors.storage import Append, Column, Deferral, DueAlarm, Lane, Operation, Prune, Put, Write


class DiskError(OSError):
    """The medium has failed as told; nothing of the operation has happened."""


class ProcessDiedError(Exception):
    """The process that used this store is dead; the disk will hear nothing of it any more."""


class MemoryDisk:
    """What survives a process: cells with their alarms, and the rows of the registered tables by key."""

    def __init__(self) -> None:
        self.cells: dict[ActorId, bytes] = {}
        self.armed: dict[ActorId, DueAlarm] = {}
        self.tables: dict[str, dict[tuple[Column, ...], dict[str, Column]]] = {}
        self.numbers: dict[str, int] = {}
        """The last number that each table of `Append` has given."""

    def rows(self, table: str) -> list[dict[str, Column]]:
        """The rows of a table, in order of their first insertion."""
        return list(self.tables.get(table, {}).values())


class MemoryStore:
    """A `Store` on a `MemoryDisk`, with crash points. One store is one process; after its death make another.

    `fail(n)`: the next n commits fail. `hold`, `release`: commits wait in between. `die_before(n)`,
    `die_after(n)`: the process dies at the nth commit from now, which is then lost, or durable but unanswered.
    """

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.dead = False
        self.commits = 0
        self.loads = 0
        self.unreadable: set[ActorId] = set()
        self._failures = 0
        self._countdown: int | None = None
        self._durable_death = False
        self._gate = asyncio.Event()
        self._gate.set()

    def fail(self, commits: int) -> None:
        """Let the next commits fail, with nothing applied."""
        self._failures = commits

    def hold(self) -> None:
        """Keep commits waiting."""
        self._gate.clear()

    def release(self) -> None:
        """Let them through."""
        self._gate.set()

    def die_before(self, commits: int) -> None:
        """Die instead of the nth commit from now."""
        self._countdown, self._durable_death = commits, False

    def die_after(self, commits: int) -> None:
        """Die when the nth commit from now is durable, before anybody hears of it."""
        self._countdown, self._durable_death = commits, True

    async def load(self, actor_ids: Sequence[ActorId]) -> Sequence[bytes | None]:
        """See `Store`."""
        await self._alive()
        self.loads += 1
        for actor_id in actor_ids:
            if actor_id in self.unreadable:
                raise DiskError(f"the cell of {actor_id} cannot be read")
        return [self.disk.cells.get(actor_id) for actor_id in actor_ids]

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        await self._alive()
        await self._gate.wait()
        await self._alive()
        if self._failures:
            self._failures -= 1
            raise DiskError("the commit has failed")
        dies = self._dies()
        if not dies or self._durable_death:
            for operation in operations:
                self._apply(operation)
            self.commits += 1
        if dies:
            self.dead = True
            raise ProcessDiedError

    async def alarms(self, lane: Lane, limit: int) -> Sequence[DueAlarm]:
        """See `Store`."""
        await self._alive()
        in_lane = (alarm for alarm in self.disk.armed.values() if alarm.lane == lane)
        return heapq.nsmallest(limit, in_lane, key=lambda alarm: alarm.due_ms)

    async def deferred(self) -> int:
        """See `Store`."""
        await self._alive()
        return sum(alarm.deferrals > 0 for alarm in self.disk.armed.values())

    async def close(self) -> None:
        """See `Store`."""

    async def _alive(self) -> None:
        await asyncio.sleep(0)  # a real medium answers later, never at once
        if self.dead:
            raise ProcessDiedError

    def _dies(self) -> bool:
        if self._countdown is None:
            return False
        self._countdown -= 1
        return self._countdown <= 0

    def _apply(self, operation: Operation) -> None:
        disk = self.disk
        if isinstance(operation, Deferral):
            alarm = operation.alarm
            if disk.armed.get(alarm.actor_id) == alarm:
                disk.armed[alarm.actor_id] = alarm._replace(due_ms=operation.until_ms, deferrals=alarm.deferrals + 1)
        elif isinstance(operation, Prune):
            table = disk.tables.get(operation.table.name, {})
            (key,) = operation.table.key
            for number in [row[key] for row in table.values()]:
                if isinstance(number, int) and number <= operation.through:
                    del table[(number,)]
        else:
            self._apply_write(operation)

    def _apply_write(self, write: Write) -> None:
        disk, actor_id = self.disk, write.actor_id
        disk.cells.pop(actor_id, None)
        disk.armed.pop(actor_id, None)
        if write.cell is not None:
            disk.cells[actor_id] = write.cell
            if write.alarm is not None:
                disk.armed[actor_id] = DueAlarm(actor_id, write.alarm.due_ms, write.alarm.lane, deferrals=0)
        for row in write.rows:
            table = disk.tables.setdefault(row.table.name, {})
            if isinstance(row, Put):
                values = dict(zip(row.table.columns, row.values, strict=True))
                table[tuple(values[column] for column in row.table.key)] = values
            elif isinstance(row, Append):
                number = disk.numbers[row.table.name] = disk.numbers.get(row.table.name, 0) + 1
                (key,) = row.table.key
                table[(number,)] = {key: number, **dict(zip(row.table.columns, row.values, strict=True))}
            else:
                table.pop(row.key, None)
