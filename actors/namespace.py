"""Get-or-activate by name: at most one live actor per id, and none in memory that has nothing to do."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile
from typing import Any, cast

from actors.actor import DurableActor
from actors.errors import StoppedError
from actors.ids import ActorId
from actors.mailbox import ReplyFuture

# Of the idle time between two sweeps: actors that came one by one go in groups.
SWEEP_SHARE = 0.05


class Namespace:
    """The actors of one kind.

    An actor is made when it is first spoken to and passivated (taken from memory; its cell remembers) after
    `idle_seconds` without mail, or earlier if more than `max_resident` are in memory.
    """

    def __init__(
        self, name: str, make: Callable[[ActorId], DurableActor], *, idle_seconds: float, max_resident: int
    ) -> None:
        self.name = name
        self._make = make
        self._idle_seconds = idle_seconds
        self._max_resident = max_resident
        # Least recently used first. Not a plain dict: its first entry is found by a search through all removed ones.
        self._resident: OrderedDict[str, DurableActor] = OrderedDict()
        self._sweep: asyncio.TimerHandle | None = None
        self._stopped = False

    def ask(self, name: str, message: Any) -> ReplyFuture:
        """Say `message` to the actor; await the result for its reply. StoppedError at once if shutting down.

        Looking up and delivering are one step without an await, so a message can neither be lost to a
        passivation nor start a second instance.
        """
        return cast("ReplyFuture", self._actor(name).actor_ref.ask(message, block=False))

    def tell(self, name: str, message: Any) -> None:
        """Say `message` to the actor, without waiting for a reply. Delivered also while shutting down."""
        self._actor(name, always=True).actor_ref.tell(message)

    def __len__(self) -> int:
        """How many actors are in memory."""
        return len(self._resident)

    def is_busy(self) -> bool:
        """Whether any actor has mail."""
        return any(actor.busy for actor in self._resident.values())

    async def drain(self) -> None:
        """Refuse new questions, and return when all mail that was taken has been handled."""
        self._stopped = True
        if self._sweep is not None:
            self._sweep.cancel()
        while busy := [actor for actor in self._resident.values() if actor.busy]:
            for actor in busy:
                await actor.drained()

    def _actor(self, name: str, *, always: bool = False) -> DurableActor:
        if self._stopped and not always:
            raise StoppedError("the service is shutting down")
        now = asyncio.get_running_loop().time()
        actor = self._resident.get(name)
        if actor is None:
            if not self._stopped:
                self._make_room(now)
            actor = self._resident[name] = self._make(ActorId(self.name, name))
        else:
            self._resident.move_to_end(name)
        actor.last_used = now
        return actor

    def _make_room(self, now: float) -> None:
        """Before the new actor is there: it has no mail yet, and would be the one to go if all others are busy."""
        if len(self._resident) >= self._max_resident:
            self._passivate_oldest()
        if self._sweep is None:
            self._sweep_at(now + self._idle_seconds)

    def _passivate_oldest(self) -> None:
        name = next((name for name, actor in self._resident.items() if not actor.busy), None)
        if name is not None:
            self._passivate(name)

    def _passivate(self, name: str) -> None:
        self._resident.pop(name).retire()

    def _sweep_at(self, when: float) -> None:
        self._sweep = asyncio.get_running_loop().call_at(when, self._passivate_idle)

    def _passivate_idle(self) -> None:
        """Oldest first, so it stops at the first that was used lately."""
        self._sweep = None
        now = asyncio.get_running_loop().time()
        idle = list(takewhile(lambda actor: actor.last_used + self._idle_seconds <= now, self._resident.values()))
        for actor in idle:
            if actor.busy:
                actor.last_used = now
                self._resident.move_to_end(actor.actor_id.name)
            else:
                self._passivate(actor.actor_id.name)
        if self._resident:
            oldest = next(iter(self._resident.values())).last_used
            self._sweep_at(max(oldest + self._idle_seconds, now + self._idle_seconds * SWEEP_SHARE))
