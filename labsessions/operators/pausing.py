"""Pauses of the cleanups: the runtime's, each beginning and end in the audit, in the same transaction."""

from collections.abc import Callable
from typing import Final

from actors.errors import ActorError
from actors.pause import Pause
from labsessions.core.audit import DONE, Entry
from labsessions.core.projection import iso
from labsessions.operators.audit import AuditLog, audited
from labsessions.ports import EngineError, Paused

NOT_PAUSED: Final = "not_paused"


class Pausing:
    """`ports.Pauses`."""

    def __init__(self, pause: Pause, audit: AuditLog, now_ms: Callable[[], int]) -> None:
        self._pause = pause
        self._audit = audit
        self._now_ms = now_ms

    @property
    def current(self) -> Paused | None:
        """See `ports.Pauses`."""
        paused = self._pause.current
        return None if paused is None else Paused(*paused)

    async def begin(self, until_ms: int, reason: str, who: str) -> Paused:
        """See `ports.Pauses`."""
        entry = Entry(who=who, action="pause", outcome=DONE, reason=reason, detail={"until": iso(until_ms)})
        try:
            return Paused(*await self._pause.begin(until_ms, reason, who, [audited(entry, self._now_ms())]))
        except ActorError as error:
            raise EngineError(str(error)) from error

    async def end(self, who: str) -> bool:
        """See `ports.Pauses`."""
        entry = Entry(who=who, action="resume", outcome=DONE)
        try:
            ended = await self._pause.end(who, [audited(entry, self._now_ms())])
        except ActorError as error:
            raise EngineError(str(error)) from error
        if ended is None:
            await self._audit.note(Entry(who=who, action="resume", outcome=NOT_PAUSED))
        return ended is not None
