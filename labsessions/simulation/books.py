"""The books of a run: what each user's clients have asked, what became durable, what the backend has confirmed.

Values only; who writes them and what must fit is in `journal` (the medium) and `ledger` (clients and backend).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from actors.storage import Column
from labsessions.core.messages import (
    Create,
    Delete,
    EndNow,
    ExtendBy,
    ExtendUntil,
    Forget,
    Keyed,
    RetryNow,
    Show,
    Update,
)
from labsessions.core.model import Answered, Session
from labsessions.core.policy import Policy

ClientMessage = Create | Update | ExtendBy | ExtendUntil | Delete | Show | EndNow | RetryNow | Forget

ACKNOWLEDGED_MS = -1
"""Since before any time: not a single call may start any more."""


@dataclass(slots=True, eq=False)
class Request:
    """What a client has asked. `since` is the place of the state that was the user's last one then.

    `applied` is the session that it led to; not for extensions, which several may have led to. `keyed` is what the
    message came with, if it has a key.
    """

    user: str
    message: ClientMessage
    since: int
    troubles: int
    applied: Session | None = None
    keyed: Keyed | None = None


@dataclass(slots=True, eq=False)
class Made:
    """The session that came of a request with a key, and until when by the wall clock the key is to be remembered."""

    digest: str
    session: Session
    until_ms: int


@dataclass(slots=True, eq=False)
class Book:
    """One user.

    `states` are all that were ever durable, the newest last; `pending` is what may still become durable. `owed` are
    the VMs of the newest session, `confirmed` what the backend has said of them. `troubles` counts how often the
    user's own row could not be read or written, `spoiled` is True while that is so. `latest_wall_ms`: the latest that
    the wall clock has shown since the newest state was stored. `tries`: writes in vain since `trying_ms`.
    `debts` are the durable obligations; `named_ms` is
    since when nothing else may touch the VMs that the newest session names. `answered` are the durable answers to
    requests with keys; `made` is what came of each key, whatever is stored.
    """

    user: str
    states: list[Session | None] = field(default_factory=lambda: [None])
    cell: bytes | None = None
    pending: list[Request] = field(default_factory=list)
    owed: dict[str, None] = field(default_factory=dict)
    confirmed: dict[str, None] = field(default_factory=dict)
    troubles: int = 0
    spoiled: bool = False
    stored_troubles: int = 0
    stored_wall_ms: int = 0
    stored_ms: int = 0
    latest_wall_ms: int = 0
    trying_ms: int = 0
    tries: int = 0
    debts: tuple[Session, ...] = ()
    named_ms: int = 0
    answered: tuple[Answered, ...] = ()
    made: dict[str, Made] = field(default_factory=dict)

    @property
    def session(self) -> Session | None:
        """What is durable now."""
        return self.states[-1]

    def mend(self) -> None:
        """Its row can be read and written again; its wake-up may have been put off for long."""
        if self.spoiled:
            self.troubles, self.spoiled = self.troubles + 1, False


@dataclass(slots=True, eq=False)
class End:
    """How a session ended, and since when no call may start for it; `claimed` once a client was told."""

    reason: str
    elapsed_ms: int
    line: dict[str, Column]
    claimed: bool = False


@dataclass(slots=True, eq=False)
class Outcome:
    """What an attempt has told the mailbox, and when by the wall clock, in which `epoch` of it."""

    wall_ms: int
    epoch: int
    confirmed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How fast a process serves: so many `slots`, each held for `held_ms` at most, one grant every `pace_ms`.

    `lag_ms`: what the medium needs beside that from a deadline to a stored attempt.
    """

    slots: int = 1
    held_ms: float = 0.0
    pace_ms: float = 0.0
    lag_ms: float = 0.0

    def longest_wait_ms(self, others: int) -> float:
        """How long a first attempt may wait while so many `others` are served.

        As long as one waits, all slots are taken: by who was there before, and by those others.
        """
        return (1 + others / self.slots) * self.held_ms + (2 + others) * self.pace_ms + self.lag_ms


@dataclass(slots=True, kw_only=True)
class Books:
    """All of it. The clocks are of the process that runs now: virtual time since the run's beginning, and wall time.

    `epoch` counts the times that the wall clock was set, `highest_wall_ms` is the latest that it
    had shown by then; `disturbed_ms` is until when something lasted that may hold
    up everybody: a start, a step of the clock, a failing medium, an outage. `policy` and `capacity` are those of the
    process that runs now. `woken_ms` has the instant of each wake-up. `heard` are the confirmations by generation,
    `settled` is when an obligation was over. `ended_now` are the sessions that operators have ended.
    """

    elapsed_ms: Callable[[], int]
    wall_ms: Callable[[], int]
    policy: Policy = field(default_factory=Policy)
    capacity: Capacity = field(default_factory=Capacity)
    epoch: int = 0
    highest_wall_ms: int = 0
    disturbed_ms: int = 0
    woken_ms: list[int] = field(default_factory=list)
    users: dict[str, Book] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    heard: dict[str, dict[str, None]] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    ended_now: dict[str, None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def of(self, user: str) -> Book:
        """The user's book, made at first use."""
        book = self.users.get(user)
        if book is None:
            book = self.users[user] = Book(user)
        return book

    def disturbed(self, ms: int = 0) -> None:
        """Something happens that may hold up everybody, for so long."""
        self.disturbed_ms = max(self.disturbed_ms, self.elapsed_ms() + ms)

    def served_since(self, elapsed_ms: int) -> int:
        """How many wake-ups there were since then."""
        return len(self.woken_ms) - bisect_left(self.woken_ms, elapsed_ms)

    def clock_changes(self) -> None:
        """The wall clock is about to be set, or to go on in another process."""
        now_ms = self.wall_ms()
        for book in self.users.values():
            book.latest_wall_ms = max(book.latest_wall_ms, now_ms)
        self.highest_wall_ms = max(self.highest_wall_ms, now_ms)
        self.epoch += 1
        self.disturbed()
