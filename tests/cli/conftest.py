"""The fixture of the command line's tests."""

from collections.abc import AsyncIterator

import pytest
from cli_service import FakeApi, serving


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A stand-in for the service."""
    async for each in serving():
        yield each
