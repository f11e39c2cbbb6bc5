"""Quick retries inside one call, as options for aiohttp-retry: what is tried again, and when.

They bridge a hiccup of a second; everything longer is the business of the durable retry. What the library leaves
to us: without `exceptions` it retries none, an answer that is retried keeps its connection until it is read, and
`attempts` counts the first try too.
"""

import asyncio
import random
from datetime import UTC, datetime
from typing import Final

from aiohttp import ClientConnectionError, ClientResponse
from aiohttp_retry import RetryOptionsBase

from labsessions.backend.answers import read_bounded, retry_after_seconds

FIRST_PAUSE_SECONDS: Final = 0.1  # long enough for a connection to be accepted again, short against a call's time
JITTER: Final = 0.5  # so that calls that failed together don't come back together
DRAIN_SECONDS: Final = 0.25  # for a body that nobody needs: a new connection costs less than a longer wait

TOO_MANY_REQUESTS: Final = 429
SERVER_ERRORS: Final = range(500, 600)


class QuickRetry(RetryOptionsBase):
    """Tries again after a connection error, a 429 or a 5xx, but never beyond the deadline of the call.

    `deadline` is on the clock of the event loop. One object serves one call.
    """

    def __init__(self, *, retries: int, deadline: float, max_bytes: int, rng: random.Random) -> None:
        super().__init__(
            attempts=1 + retries,
            exceptions={ClientConnectionError},
            retry_all_server_errors=False,  # or the library would not ask us about them
            evaluate_response_callback=self._is_final,
        )
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._rng = rng

    @property
    def remaining(self) -> float:
        """Seconds until the deadline of the call, never negative."""
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def _is_final(self, response: ClientResponse) -> bool:
        """Whether this answer is the last word. One that isn't is read here, to give its connection back."""
        if response.status != TOO_MANY_REQUESTS and response.status not in SERVER_ERRORS:
            return True
        wanted = retry_after_seconds(response, datetime.now(UTC))
        if wanted is not None and wanted >= self.remaining:
            return True  # waiting would only use up the time of the call
        await read_bounded(response, self._max_bytes, min(DRAIN_SECONDS, self.remaining))
        return False

    def get_timeout(self, attempt: int, response: ClientResponse | None = None) -> float:
        """Seconds until the next try: doubling from 0.1, within half of what is left, but as long as we were told."""
        pause = FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1) * self._rng.uniform(1 - JITTER, 1 + JITTER)
        pause = min(pause, self.remaining / 2)  # half, so that a failure is reported as itself and not as a timeout
        wanted = None if response is None else retry_after_seconds(response, datetime.now(UTC))
        return pause if wanted is None else max(pause, wanted)
