"""A cleaner with a client of its own, as the service has one."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from labsessions.backend import BackendCleaner, BackendSettings, open_client


@asynccontextmanager
async def open_cleaner(settings: BackendSettings, rng: random.Random | None = None) -> AsyncIterator[BackendCleaner]:
    """As long as the block lasts."""
    async with open_client(settings, rng) as client:
        yield BackendCleaner(client)
