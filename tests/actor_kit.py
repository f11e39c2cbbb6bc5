"""A toy durable actor and the little world around it, for the tests of the actor runtime.

Nothing here tests anything. A world is one process: make a second one on the same disk to restart.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self

from actors.actor import DurableActor, Outcome, WakeUp
from actors.admission import Limits
from actors.alarms import LONGEST_BACKOFF_SECONDS
from actors.clock import Clock
from actors.clock_guard import ClockGuard
from actors.ids import ActorId
from actors.runtime import Residency, Runtime
from actors.storage import Alarm, Deferral, Lane, Operation, Prune, Store, Write
from actors.testing import EPOCH_MS, DiskError, MemoryDisk, MemoryStore, VirtualClock, run_virtual

P = ParamSpec("P")

NAMESPACE = "toys"


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an `async def` test on a loop with virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(test(*args, **kwargs))

    return run


def toy_id(name: str) -> ActorId:
    """The id of a toy."""
    return ActorId(NAMESPACE, name)


async def cell_of(store: Store, actor_id: ActorId) -> bytes | None:
    """The cell of one actor."""
    (cell,) = await store.load([actor_id])
    return cell


def at(ms: int, lane: Lane = Lane.FIRST) -> Alarm:
    """An alarm `ms` after the beginning of driven time."""
    return Alarm(EPOCH_MS + ms, lane)


@dataclass(frozen=True, slots=True)
class Add:
    """Add to the counter and store it; the reply is the sum."""

    amount: int = 1


@dataclass(frozen=True, slots=True)
class Show:
    """The reply is the counter; nothing is written."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Store this alarm, or none."""

    alarm: Alarm | None


@dataclass(frozen=True, slots=True)
class Remember:
    """Change the counter in memory only, which no actor of the product would do."""

    count: int


@dataclass(frozen=True, slots=True)
class Do:
    """Run `act` in place of `receive`."""

    act: Callable[["Toy"], Outcome]


class Toy(DurableActor):
    """A counter with an alarm. A message that it doesn't know is the result of an effect: the world notes it."""

    def __init__(self, actor_id: ActorId, world: "World") -> None:
        super().__init__(actor_id, world.runtime)
        self.name = actor_id.name
        self.world = world
        self.count = 0
        self.alarm: Alarm | None = None
        world.made.append(self.name)

    def restore(self, cell: bytes | None) -> None:
        """See `DurableActor`."""
        count, due_ms, lane = (int(part) for part in (cell or b"0 0 0").split())
        self.count = count
        self.alarm = Alarm(due_ms, Lane(lane)) if due_ms else None

    def receive(self, message: Any) -> Outcome:
        """See `DurableActor`."""
        match message:
            case WakeUp():
                return self.world.on_wake(self)
            case Add(amount):
                self.count += amount
                return self.saved(self.count)
            case Show():
                return Outcome(self.count)
            case Arm(alarm):
                self.alarm = alarm
                return self.saved()
            case Remember(count):
                self.count = count
                return Outcome()
            case Do(act):
                return act(self)
            case result:
                self.world.results.append((self.name, result))
                return Outcome()

    def saved(self, reply: Any = None, **members: Any) -> Outcome:
        """An outcome that stores what the toy is; `members` are the other ones of `Outcome`."""
        return Outcome(reply, Write(self.actor_id, self.cell(), self.alarm), **members)

    def cell(self) -> bytes:
        """The state as it is stored."""
        due_ms, lane = self.alarm or (0, 0)
        return b"%d %d %d" % (self.count, due_ms, lane)


@dataclass(eq=False)
class World:
    """A runtime with one namespace of toys, and notes of what happened. `async with` starts and stops it."""

    disk: MemoryDisk = field(default_factory=MemoryDisk)
    limits: Limits = field(default_factory=Limits)
    residency: Residency = field(default_factory=Residency)
    clock: Clock = field(default_factory=VirtualClock)
    other_store: Store | None = None
    guard: ClockGuard | None = None
    longest_backoff_seconds: float = LONGEST_BACKOFF_SECONDS
    made: list[str] = field(default_factory=list)
    """The names of the toys made, one for each instance."""
    woken: list[tuple[str, int]] = field(default_factory=list)
    """Wake-ups that found their alarm due: name, ms since the beginning of driven time."""
    stale: list[str] = field(default_factory=list)
    """Wake-ups that found nothing due."""
    results: list[tuple[str, Any]] = field(default_factory=list)
    """What effects have sent back."""

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.disk)
        self.runtime = Runtime(
            self.other_store or self.store,
            self.clock,
            limits=self.limits,
            residency=self.residency,
            guard=self.guard,
            longest_backoff_seconds=self.longest_backoff_seconds,
        )
        self.toys = self.runtime.namespace(NAMESPACE, lambda actor_id: Toy(actor_id, self))
        self.on_wake: Callable[[Toy], Outcome] = self.note_wake_up

    async def __aenter__(self) -> Self:
        self.runtime.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.runtime.stop(seconds=0)

    @property
    def now_ms(self) -> int:
        """Milliseconds since the beginning of driven time."""
        return self.clock.now_ms() - EPOCH_MS

    async def until(self, ms: int) -> None:
        """Let virtual time pass to `ms` after its beginning, and let all happen that happens at that instant."""
        await asyncio.sleep((ms + 0.4) / 1000 - asyncio.get_running_loop().time())

    def is_due(self, toy: Toy) -> bool:
        """Note a wake-up, and say whether the toy's alarm is due."""
        if toy.alarm is None or self.clock.now_ms() < toy.alarm.due_ms:
            self.stale.append(toy.name)
            return False
        self.woken.append((toy.name, self.now_ms))
        return True

    def note_wake_up(self, toy: Toy) -> Outcome:
        """What a toy does when woken, unless `on_wake` is replaced: note it, and clear the alarm if it is due."""
        if self.is_due(toy):
            toy.alarm = None
        return toy.saved()

    def put_on_disk(self, name: str, alarm: Alarm, count: int = 0) -> None:
        """Have a toy with an alarm on the disk, as an earlier process would have left it."""
        actor_id = toy_id(name)
        cell = b"%d %d %d" % (count, *alarm)
        self.store._apply(Write(actor_id, cell, alarm))


class RecordingStore(MemoryStore):
    """A memory store that keeps the batches it was given, and refuses those with an operation of a poisoned actor."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        super().__init__(disk)
        self.batches: list[list[str]] = []
        self.poisoned: set[str] = set()

    async def apply(self, operations: Sequence[Operation]) -> None:
        """See `Store`."""
        names = [_name(operation) for operation in operations]
        self.batches.append(names)
        await self._gate.wait()
        if self.poisoned.intersection(names):
            raise DiskError("poison")
        await super().apply(operations)


def _name(operation: Operation) -> str:
    match operation:
        case Deferral(alarm=alarm):
            return alarm.actor_id.name
        case Write(actor_id=actor_id):
            return actor_id.name
        case Prune(table=table):
            return table.name
