"""A real Chromium, headless, for the dashboard's tests and pictures."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Where tests run as root there is no sandbox, and where /dev/shm is small pages crash.
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser as long as the block lasts."""
    assert PROGRAM is not None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Path(PROGRAM), args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
