"""A pause: somebody holds wake-ups back for a while, and they go on by themselves at its end.

It is kept as the cell of an id that no actor has: a restart finds it, a backup has it, and what its caller writes with
it (an audit, for instance) is in the same transaction, as no file beside the database could be. What is held back stays
due. Like the clock guard it gates the delivery of wake-ups and nothing else: effects that run go on, and deadlines are
never moved.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from actors.clock import Clock, Timer
from actors.ids import ActorId
from actors.storage import Append, Operation, Write

logger = logging.getLogger(__name__)

CELL: Final = ActorId("Pause", "wake-ups")
# The wall clock may be set: it is looked at again after this.
RECHECK_MS: Final = 30_000


class Paused(NamedTuple):
    """Since when, until when (ms since 1970 UTC), why, and who wanted it."""

    since_ms: int
    until_ms: int
    reason: str
    by: str

    def __str__(self) -> str:
        """For people."""
        until = datetime.fromtimestamp(self.until_ms / 1000, UTC)
        return f"paused by {self.by} until {until:%Y-%m-%dT%H:%M:%SZ}: {self.reason}"


class Pause:
    """Asked before each delivery. `load` reads a cell, `commit` makes a write durable."""

    def __init__(
        self,
        clock: Clock,
        load: Callable[[ActorId], Awaitable[bytes | None]],
        commit: Callable[[Operation], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._load = load
        self._commit = commit
        self._paused: Paused | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._timer: Timer | None = None
        # One after the other: what is stored last is what holds.
        self._turn = asyncio.Lock()

    @property
    def current(self) -> Paused | None:
        """The pause that is on; None if there is none."""
        self.is_open()
        return self._paused

    async def restore(self) -> None:
        """Go on with the pause that an earlier process has stored. To be awaited before anything is delivered.

        One that cannot be read is none: it must not keep wake-ups from anybody for ever.
        """
        cell = await self._load(CELL)
        if cell is None:
            return
        paused = decoded(cell)
        if paused is None:
            logger.error("the stored pause cannot be read, so there is none")
        elif self._clock.now_ms() < paused.until_ms:
            self._hold(paused)
            logger.warning("wake-ups are still %s", paused)

    async def begin(self, until_ms: int, reason: str, by: str, rows: Sequence[Append] = ()) -> Paused:
        """Hold wake-ups back until then; a pause that is on is replaced. Durable, with the `rows`, on return.

        Raises CommitError if it isn't stored; then nothing has changed.
        """
        async with self._turn:
            before = self.current
            paused = Paused(self._clock.now_ms() if before is None else before.since_ms, until_ms, reason, by)
            await self._commit(Write(CELL, json.dumps(paused._asdict()).encode(), alarm=None, rows=rows))
            self._hold(paused)
        logger.warning("wake-ups are %s", paused)
        return paused

    async def end(self, by: str, rows: Sequence[Append] = ()) -> Paused | None:
        """Let wake-ups go on; the pause that was on, None if there was none: then nothing is written.

        Raises CommitError if it isn't stored; then nothing has changed.
        """
        async with self._turn:
            paused = self.current
            if paused is None:
                return None
            await self._commit(Write(CELL, cell=None, alarm=None, rows=rows))
            if self._paused is not None:  # else its time has come meanwhile
                self._release(f"{by} has ended the pause")
        return paused

    def is_open(self) -> bool:
        """Whether a wake-up may be delivered now."""
        if self._paused is not None and self._clock.now_ms() >= self._paused.until_ms:
            self._release("the pause is over")
        return self._paused is None

    async def opened(self) -> None:
        """Return when a wake-up may be delivered."""
        while not self.is_open():
            await self._open.wait()

    def stop(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def _hold(self, paused: Paused) -> None:
        self._paused = paused
        self._open.clear()
        self._look_later()

    def _look_later(self) -> None:
        self.stop()
        if self._paused is not None:
            at_ms = min(self._paused.until_ms, self._clock.now_ms() + RECHECK_MS)
            self._timer = self._clock.call_at(at_ms, self._look)

    def _look(self) -> None:
        if not self.is_open():
            self._look_later()

    def _release(self, why: str) -> None:
        self.stop()
        self._paused = None
        self._open.set()
        logger.warning("wake-ups go on: %s", why)


def decoded(cell: bytes) -> Paused | None:
    """The pause in a stored cell; None if it cannot be read."""
    try:
        members = json.loads(cell)
        return Paused(int(members["since_ms"]), int(members["until_ms"]), str(members["reason"]), str(members["by"]))
    except (ValueError, KeyError, TypeError):
        return None
