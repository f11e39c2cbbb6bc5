"""What the parts need of each other, as protocols. No implementation, no foreign type."""

import asyncio
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from labsessions.core.messages import AttemptEnded, Clean, Message, Reply
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
