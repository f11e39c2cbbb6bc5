"""Brings what service and backend do to the screen: new lines of the one's log, new calls in the other's record."""

import aiohttp
import msgspec

from labsessions.children import Child, ChildError
from labsessions.demo.client import ANSWER_SECONDS
from labsessions.demo.screen import Screen, now_ms
from labsessions.mockbackend import Call

# A line of the log is written a turn of the service's loop after what it tells of.
UNDER_WAY_MS = 100


class Watch:
    """Shows what is new in the service's log and the backend's record. Raises ChildError without a record."""

    def __init__(self, screen: Screen, http: aiohttp.ClientSession, service: Child, backend: Child) -> None:
        self._screen = screen
        self._http = http
        self._service = service
        self._backend = backend
        self._shown: set[int] = set()
        self._complete_ms = now_ms()

    async def look(self) -> None:
        """Show what is known to be complete: all that happened before the last look."""
        looked_ms = now_ms()
        await self._gather()
        self._screen.show(self._complete_ms)
        self._complete_ms = looked_ms - UNDER_WAY_MS

    async def last_look(self) -> tuple[list[Call], int]:
        """Show all that is left; the backend's record, and when it was asked for."""
        read_ms = now_ms()
        calls = await self._gather()
        self._screen.show()
        return calls, read_ms

    async def _gather(self) -> list[Call]:
        for line in self._service.new_lines():
            self._screen.service(line)
        calls = await self._calls()
        for call in calls:
            if call.status is not None and call.seq not in self._shown:
                self._shown.add(call.seq)
                self._screen.backend(call)
        return calls

    async def _calls(self) -> list[Call]:
        limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self._http.get(f"{self._backend.url}/__calls", timeout=limit) as response:
                return msgspec.json.decode(await response.read(), type=list[Call])
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise ChildError(f"the backend's record can't be read: {type(error).__name__}") from error
