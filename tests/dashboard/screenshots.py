"""Pictures of the dashboard over made-up data: `python tests/dashboard/screenshots.py FOLDER`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "dashboard")]

from aiohttp.test_utils import TestServer  # noqa: E402
from browser import DESK, PHONE, chromium, serve  # noqa: E402
from fake_admin import FakeAdmin  # noqa: E402
from fake_world import HOUR, World, world  # noqa: E402
from playwright.async_api import Browser, Page  # noqa: E402

from labsessions.core.projection import iso  # noqa: E402
from labsessions.http import ApiOptions  # noqa: E402


def server(made: World, *tokens: str) -> TestServer:
    """The dashboard over a made-up world."""
    return serve(FakeAdmin(made), ApiOptions(version="1.2.3", admin_tokens=tokens))


async def shown(browser: Browser, address: str, size: Any, scheme: Any) -> Page:
    """The dashboard when it has its data."""
    page = await browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    await page.goto(address)
    await page.wait_for_selector(".link.live, #sign-in form")
    await page.wait_for_timeout(900)
    return page


async def main(folder: Path, only: str) -> None:
    """All of them."""
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for size in (0, 5, 50_000):
            made = world(size)
            if size == 50_000:
                made.backend = "down"
                made.drain_per_second = 9.5
                now = made.now_ms()
                made.paused = {
                    "since": iso(now - 600_000),
                    "until": iso(now + HOUR),
                    "reason": "backend maintenance",
                    "by": "ada",
                }
            async with server(made) as service:
                address = str(service.make_url("/dashboard"))
                for name, port, scheme in (
                    ("light", DESK, "light"),
                    ("dark", DESK, "dark"),
                    ("phone", PHONE, "light"),
                    ("phone-dark", PHONE, "dark"),
                ):
                    if only and only not in f"{name}-{size}":
                        continue
                    page = await shown(browser, address, port, scheme)
                    await page.screenshot(
                        path=folder / f"{name}-{size}.png", full_page=size < 50_000 or "phone" not in name
                    )
                    if size == 5 and name in ("light", "phone", "dark"):
                        await page.click(".row-open >> nth=0")
                        await page.wait_for_selector(".timeline li")
                        await page.screenshot(path=folder / f"{name}-drawer.png")
                        await page.click("text=Forget…")
                        await page.screenshot(path=folder / f"{name}-dialog.png")
                    await page.close()
        async with server(world(5), "secret") as service:
            page = await shown(browser, str(service.make_url("/dashboard")), DESK, "light")
            await page.screenshot(path=folder / "sign-in.png")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
