"""What the parts need of each other, as protocols. No implementation, no foreign type."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

from labsessions.core.audit import Entry
from labsessions.core.messages import AttemptEnded, Clean, Message, Reply
from labsessions.core.model import Status
from labsessions.core.policy import Policy


class EngineError(Exception):
    """The engine could not carry out a request for a fault of the service; nothing was acknowledged or changed."""


class Sessions(Protocol):
    """The engine as HTTP sees it: one mailbox per user."""

    @property
    def policy(self) -> Policy:
        """The limits that the engine decides by."""
        ...

    async def ask(self, user_id: str, message: Message) -> Reply:
        """Say something to the user's session and wait for its reply, which is durable when it arrives.

        Raises EngineError for a fault of the service: not stored, state unreadable, shutting down.
        """
        ...

    def now_ms(self) -> int:
        """The wall clock that deadlines are measured by, in milliseconds since 1970 UTC."""
        ...


class StoredEvent(NamedTuple):
    """A fact as it is stored: its number, its type of a closed vocabulary, and what clients see of it."""

    seq: int
    type: str
    data: dict[str, Any]


class Span(NamedTuple):
    """Which events are stored: all after the number `pruned`, up to `newest`; both 0 if there never was one."""

    pruned: int
    newest: int


class Record(Protocol):
    """What is stored of the past, read beside the engine, as of the last commit.

    Each `async` method may raise what the store raises if it cannot be read.
    """

    async def span(self) -> Span:
        """Which events are stored, of all users."""
        ...

    async def events_after(self, user_id: str, seq: int) -> list[StoredEvent]:
        """The user's events after this number, in order: some of them, and none only if there is none."""
        ...

    async def last_ended(self, user_id: str) -> dict[str, Any] | None:
        """Why and when the user's last session has ended; None if none has."""
        ...

    def watch(self, user_id: str) -> AbstractContextManager[asyncio.Event]:
        """An event that is set whenever more of the user's events are stored, as long as the block lasts."""
        ...


class Audit(Protocol):
    """What operators have done. Actions on one user's session are noted by the engine itself (`messages.Operated`)."""

    async def note(self, entry: Entry) -> None:
        """Done when the entry is durable. EngineError if it isn't and won't be."""
        ...

    async def entries(self, before: int | None, limit: int) -> list[dict[str, Any]]:
        """The newest entries before this number, the newest first: rows of the audit, `detail` as an object."""
        ...


class Paused(NamedTuple):
    """Cleanups are held back since then until then (ms since 1970 UTC)."""

    since_ms: int
    until_ms: int
    reason: str
    by: str


class Pauses(Protocol):
    """Holding cleanups back. Each call is in the audit; it is durable when it returns, or raises EngineError."""

    @property
    def current(self) -> Paused | None:
        """The pause that is on."""
        ...

    async def begin(self, until_ms: int, reason: str, who: str) -> Paused:
        """Hold them back until then; a pause that is on is replaced."""
        ...

    async def end(self, who: str) -> bool:
        """Let them go on; False if there was no pause."""
        ...


class Waiting(Protocol):
    """Who waits for another cleanup attempt, as of the last commit."""

    async def users(self, status: str | None, error: str | None, user_ids: Sequence[str] | None) -> list[str]:
        """Those of whom a session, or what is owed, is `cleaning` or `stuck`; has this in its last error; of these.

        None: any. May raise what the store raises if it cannot be read.
        """
        ...


class BusyError(Exception):
    """A question of an operator is not answered now, as it would keep others waiting. The text says what to do."""


class Key(NamedTuple):
    """Where a page of a list ends: an instant as it is stored (empty where the order has none), and what tells ties."""

    at: str
    tie: str


class Which(NamedTuple):
    """Sessions that an operator asks for; None: whichever.

    `overdue`: whether the deadline has passed. `ending_within_minutes`: it will have by then. `text` is the beginning
    of a user's id, or a whole `id` or `lab_request_id`; `error` is a part of `last_error`.
    """

    status: Status | None = None
    overdue: bool | None = None
    ending_within_minutes: float | None = None
    lab_id: str | None = None
    group_id: str | None = None
    text: str | None = None
    error: str | None = None


class Ended(NamedTuple):
    """Ended sessions that an operator asks for; None: whichever. From `since_ms` on, and before `until_ms`."""

    user_id: str | None = None
    reason: str | None = None
    lab_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class Page(NamedTuple):
    """Some of what was asked for. `next` is None at the end; `total` is None where counting would be dear."""

    items: list[dict[str, Any]]
    next: Key | None
    total: int | None = None


class Survey(Protocol):
    """What operators ask of all sessions, as of the last commit. Members are named and shaped as in the admin API.

    Paging goes by keys: what was there all the time and kept its place in the order comes exactly once. A method
    raises BusyError if it would take too long, or what the store raises if it cannot be read.
    """

    async def sessions(self, which: Which, order: Literal["expires_at", "user_id"], limit: int, after: Key) -> Page:
        """Sessions in this order, those behind the key; `Key("", "")` is before all."""
        ...

    async def user(self, user_id: str) -> dict[str, Any]:
        """All that is known of one user: `session`, `owed`, `events`, `last_ended`."""
        ...

    async def events(self, user_id: str, before: int | None, limit: int) -> list[dict[str, Any]]:
        """The user's events, the newest first, with numbers below `before`."""
        ...

    async def history(self, ended: Ended, limit: int, before: Key | None) -> Page:
        """Sessions that have ended, the latest first."""
        ...

    async def analytics(self, since_ms: int, until_ms: int, by: Literal["day", "lab"]) -> list[dict[str, Any]]:
        """How sessions ended in this time, one row for each day or lab."""
        ...

    async def failures(self) -> list[dict[str, Any]]:
        """Sessions under cleanup by what went wrong last, the most frequent first."""
        ...

    async def expiries(self, hours: float) -> dict[str, Any]:
        """How many sessions will end in each of the next five minutes."""
        ...


class Tail(Protocol):
    """The events of all users, read once for everybody who follows them; their data names the user.

    Each `async` method may raise what the store raises if it cannot be read.
    """

    async def span(self) -> Span:
        """Which events are stored."""
        ...

    async def events_after(self, seq: int) -> list[StoredEvent]:
        """The events after this number, in order: some of them, and none only if there is none."""
        ...

    def watch(self) -> AbstractContextManager[asyncio.Event]:
        """An event that is set whenever more events are stored, as long as the block lasts."""
        ...


class Overview(Protocol):
    """The service at a glance."""

    async def current(self) -> dict[str, Any]:
        """As `GET /overview` of the admin API has it, about a second old at most. Never raises."""
        ...


class Cleaner(Protocol):
    """Carries out a cleanup attempt at the lab backend."""

    async def clean(self, effect: Clean) -> AttemptEnded:
        """Make the calls of CONTRACT §2 within the effect's limit; never raises but on cancellation."""
        ...


class Readiness(Protocol):
    """What `/health/ready` and `/` report."""

    async def check(self) -> dict[str, Any]:
        """`{"ready": bool, …}`: what is wrong or not configured, in words for an operator. Never raises."""
        ...


class Exposition(Protocol):
    """What `/metrics` shows."""

    async def text(self) -> bytes:
        """All figures in Prometheus's text format, version 0.0.4. Never raises."""
        ...


class LogListener(Protocol):
    """Follows the log of this process."""

    async def next(self) -> tuple[int, list[str]]:
        """Wait for lines: how many were lost before them, and those that are there, each a JSON object."""
        ...

    def wake(self) -> None:
        """Let `next` return, also with nothing."""
        ...


class LiveLog(Protocol):
    """The log of this process, as it is written."""

    def listen(self, wanted: Callable[[Mapping[str, Any]], bool]) -> AbstractContextManager[LogListener]:
        """A listener to the lines whose fields are wanted, as long as the block lasts."""
        ...


class Time(Protocol):
    """Time that is driven, for tests of what talks to the service."""

    def now_ms(self) -> int:
        """The instant, in milliseconds since 1970 UTC."""
        ...

    async def advance(self, ms: int) -> None:
        """Let `ms` pass, and return when all has been done that fell due."""
        ...


class WebhookRefusedError(Exception):
    """An operator's word to a webhook makes no sense as it stands; the text says why."""


class Webhooks(Protocol):
    """The endpoints that are told of events. Methods that name one answer None if none of this name is configured.

    Each may raise EngineError, or what the store raises if it cannot be read.
    """

    async def endpoints(self) -> list[dict[str, Any]]:
        """Where each endpoint stands."""
        ...

    async def dead_letters(self, name: str, after: int, limit: int) -> list[dict[str, Any]] | None:
        """Its messages that were given up, by number, after this one."""
        ...

    async def replay(self, name: str, from_seq: int | None, *, dead_letters: bool) -> dict[str, Any] | None:
        """Send once more: all events from this number on that are still stored, and the dead letters.

        Raises WebhookRefusedError where the endpoint is disabled, or the number lies ahead of it.
        """
        ...

    async def enable(self, name: str) -> dict[str, Any] | None:
        """Call it again, at once, whatever it said last; where it stands then."""
        ...
