"""Effects: what an actor has done outside its mailbox, after the commit that decided it.

So a slow outside call never keeps the actor from its mail. At most one effect runs per actor; its result goes
back to the mailbox as a message. A cancelled effect has no result.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from actors.ids import ActorId

logger = logging.getLogger(__name__)

# Makes the coroutine that does the work and returns the message for the mailbox.
Effect = Callable[[], Coroutine[Any, Any, Any]]


class Effects:
    """Runs effects as tasks and hands their results to `deliver`."""

    def __init__(self, deliver: Callable[[ActorId, Any], None]) -> None:
        self._deliver = deliver
        self._running: dict[ActorId, asyncio.Task[None]] = {}

    def start(self, actor_id: ActorId, effect: Effect, context: Context) -> None:
        """Run `effect` in `context`, instead of one that still runs for this actor."""
        self.cancel(actor_id)
        task = asyncio.get_running_loop().create_task(self._run(actor_id, effect), context=context)
        self._running[actor_id] = task
        task.add_done_callback(lambda done: self._forget(actor_id, done))

    def cancel(self, actor_id: ActorId) -> None:
        """Stop the actor's effect, if there is one: it takes no further step, and its result is not delivered."""
        task = self._running.pop(actor_id, None)
        if task is not None:
            task.cancel()

    def running(self, actor_id: ActorId) -> "asyncio.Task[None] | None":
        """The actor's effect, while it runs."""
        return self._running.get(actor_id)

    def __len__(self) -> int:
        """How many run."""
        return len(self._running)

    async def drain(self, seconds: float) -> None:
        """Let the running effects finish for `seconds`, then cancel the rest: their alarms will repeat them."""
        if self._running and seconds > 0:
            await asyncio.wait(self._running.values(), timeout=seconds)
        if unfinished := dict(self._running):
            for actor_id in unfinished:
                self.cancel(actor_id)
            logger.warning("%d effects were still running and have been released", len(unfinished))
            await asyncio.wait(unfinished.values())

    async def _run(self, actor_id: ActorId, effect: Effect) -> None:
        try:
            message = await effect()
        except Exception:  # a bug of the effect; the actor's alarm repeats it
            logger.exception("the effect of %s failed without a result", actor_id)
        else:
            # A cancelled effect may return all the same: libraries swallow cancellations (`asyncio.wait_for` of 3.11).
            if self.running(actor_id) is asyncio.current_task():
                self._deliver(actor_id, message)

    def _forget(self, actor_id: ActorId, task: "asyncio.Task[None]") -> None:
        if self._running.get(actor_id) is task:
            del self._running[actor_id]
