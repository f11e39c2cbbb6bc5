"""What the parts need of each other, as protocols. No implementation, no foreign type."""

import asyncio
from collections.abc import Callable, Mapping
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
