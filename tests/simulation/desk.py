"""The simulator's books with nobody behind them: tests write into them what a broken service would do."""

from typing import Any

from builders import NOW, User

from actors.ids import ActorId
from actors.storage import Alarm, Deferral, Operation, Write
from actors.testing import MemoryDisk, MemoryStore, run_virtual
from labsessions.core.codec import encode
from labsessions.core.decision import Decision
from labsessions.core.machine import wake_at
from labsessions.core.messages import (
    Clean,
    Create,
    Delete,
    Event,
    ExtendBy,
    ExtendUntil,
    Keyed,
    Message,
    Operated,
    Update,
)
from labsessions.core.model import State
from labsessions.engines.embedded import NAMESPACE, lane_of
from labsessions.engines.tables import projected
from labsessions.simulation.books import Books, Capacity
from labsessions.simulation.journal import Journal
from labsessions.simulation.ledger import Ledger

USER = "user-1"
ACTOR = ActorId(NAMESPACE, USER)


class Desk:
    """A disk, the books on it, and clocks that are set by hand."""

    def __init__(self) -> None:
        self.wall_ms = NOW
        self.elapsed_ms = 0
        self.disk = MemoryDisk()
        self.user = User()
        self.books = Books(elapsed_ms=lambda: self.elapsed_ms, wall_ms=lambda: self.wall_ms, policy=self.user.policy)
        self.books.capacity = Capacity(held_ms=1000)
        self.journal = Journal(self.books, self.disk)
        self.ledger = Ledger(self.books)

    def write(self, state: State, *events: Event, **changes: Any) -> Write:
        """What stores `state` in full; `changes` are `Write`'s members that are to be wrong."""
        due_ms = wake_at(state)
        members: dict[str, Any] = {
            "cell": encode(state),
            "alarm": None if due_ms is None else Alarm(due_ms, lane_of(state)),
            "rows": projected(USER, state, events, NOW),
        }
        return Write(ACTOR, **{**members, **changes})

    def apply(self, operation: Operation) -> None:
        """Make it durable, and tell the journal."""
        run_virtual(self._apply(operation))
        self.journal.committed([operation])

    async def _apply(self, operation: Operation) -> None:
        await MemoryStore(self.disk).apply([operation])

    def put_off(self, ms: int) -> Deferral:
        """The wake-up that is armed, put off."""
        alarm = self.disk.armed[ACTOR]
        return Deferral(alarm, alarm.due_ms + ms, "for a test")

    def decide(self, message: Message) -> Decision:
        """What the core makes of it at this time by the wall clock; nothing is stored."""
        return self.user.say(message, self.wall_ms)

    def say(self, message: Message) -> Decision:
        """Ask as a client if it is one, decide, store, check, and reply."""
        clients = Keyed | Operated | Create | Update | ExtendBy | ExtendUntil | Delete
        request = self.ledger.asked(USER, message) if isinstance(message, clients) else None
        before = self.user.state
        decision = self.decide(message)
        rows = projected(USER, decision.state, decision.events, NOW, before)
        self.apply(self.write(decision.state, *decision.events, rows=rows))
        self.journal.check()
        if request is not None:
            self.ledger.replied(request, decision.reply)
        return decision

    def at(self, wall_ms: int) -> None:
        """Time passes until then."""
        self.elapsed_ms += wall_ms - self.wall_ms
        self.wall_ms = wall_ms

    def clean(self) -> Clean:
        """The attempt that was asked for last."""
        return self.user.newest_clean
