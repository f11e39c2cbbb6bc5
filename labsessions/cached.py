"""What many ask again and again is found out once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

# What is dear is kept for longer: at most a tenth of the time goes into finding it out.
_TIMES_ITS_COST: Final = 9


class Cached(Generic[Value]):
    """The answer of `make`, kept for so many seconds. While it is being made, everybody waits for the same one."""

    def __init__(self, make: Callable[[], Awaitable[Value]], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._kept: tuple[float, Value] | None = None

    async def get(self) -> Value:
        """The answer. Raises what `make` raises; then the next one who asks tries again."""
        async with self._turn:
            now = asyncio.get_running_loop().time
            began = now()
            if self._kept is None or began >= self._kept[0]:
                value = await self._make()
                took = now() - began
                self._kept = (now() + max(self._seconds, _TIMES_ITS_COST * took), value)
            return self._kept[1]
