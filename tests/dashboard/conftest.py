"""One browser for all tests of a module, as it takes a second to start; each test has a tab of its own."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from browser import Show, Shown, chromium, dashboard, missing
from fake_world import World

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tabs() -> AsyncIterator["Browser"]:
    """The browser; the test is skipped where there is none."""
    if lacking := missing():
        pytest.skip(lacking)
    async with chromium() as browser:
        yield browser


@pytest.fixture
def show(tabs: "Browser") -> Show:
    """Tabs of the browser."""

    def on(world: World, **options: Any) -> AbstractAsyncContextManager[Shown]:
        return dashboard(tabs, world, **options)

    return on
