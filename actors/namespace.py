"""Get-or-activate by name: at most one live actor per id, and none in memory that has nothing to do."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from actors.actor import DurableActor
from actors.errors import StoppedError
from actors.ids import ActorId
from actors.mailbox import ReplyFuture


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
        # Least recently used first. The loop time of the last use goes with each.
        self._resident: dict[str, tuple[DurableActor, float]] = {}
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

    async def drain(self) -> None:
        """Refuse new questions, and return when all mail that was taken has been handled."""
        self._stopped = True
        if self._sweep is not None:
            self._sweep.cancel()
        while busy := [actor for actor, _ in self._resident.values() if actor.busy]:
            for actor in busy:
                await actor.drained()

    def _actor(self, name: str, *, always: bool = False) -> DurableActor:
        if self._stopped and not always:
            raise StoppedError("the service is shutting down")
        now = asyncio.get_running_loop().time()
        known = self._resident.pop(name, None)
        if known is None and not self._stopped:
            self._make_room(now)
        actor = known[0] if known else self._make(ActorId(self.name, name))
        self._resident[name] = (actor, now)  # to the end: most recently used
        return actor

    def _make_room(self, now: float) -> None:
        """Before the new actor is there: it has no mail yet, and would be the one to go if all others are busy."""
        if len(self._resident) >= self._max_resident:
            self._passivate_oldest()
        if self._sweep is None:
            self._sweep_at(now + self._idle_seconds)

    def _passivate_oldest(self) -> None:
        name = next((name for name, (actor, _) in self._resident.items() if not actor.busy), None)
        if name is not None:
            self._passivate(name)

    def _passivate(self, name: str) -> None:
        actor, _ = self._resident.pop(name)
        actor.retire()

    def _sweep_at(self, when: float) -> None:
        self._sweep = asyncio.get_running_loop().call_at(when, self._passivate_idle)

    def _passivate_idle(self) -> None:
        """Oldest first, so it stops at the first that was used lately."""
        self._sweep = None
        now = asyncio.get_running_loop().time()
        for name, (actor, used) in list(self._resident.items()):
            if used + self._idle_seconds > now:
                break
            if actor.busy:
                self._resident[name] = (self._resident.pop(name)[0], now)
            else:
                self._passivate(name)
        if self._resident:
            _, oldest = next(iter(self._resident.values()))
            self._sweep_at(oldest + self._idle_seconds)
