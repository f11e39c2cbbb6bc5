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

FEW, MANY = 5, 50_000
LOOKS: dict[str, tuple[Any, str]] = {
    "light": (DESK, "light"),
    "dark": (DESK, "dark"),
    "phone": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}


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


async def pictures(browser: Browser, folder: Path, size: int) -> None:
    """The board in light and dark, on a desk and on a phone; with a few sessions the drawer and a dialog, too."""
    made = world(size)
    if size == MANY:  # the worst day
        now = made.now_ms()
        made.backend, made.drain_per_second = "down", 9.5
        made.paused = {"since": iso(now), "until": iso(now + HOUR), "reason": "backend maintenance", "by": "ada"}
    async with server(made) as service:
        for name, (viewport, scheme) in LOOKS.items():
            page = await shown(browser, str(service.make_url("/dashboard")), viewport, scheme)
            await page.screenshot(path=folder / f"{name}-{size}.png", full_page=True)
            if size == FEW:
                await page.click(".row-open >> nth=0")
                await page.wait_for_selector(".timeline li")
                await page.screenshot(path=folder / f"{name}-drawer.png")
                await page.click("text=Forget…")
                await page.screenshot(path=folder / f"{name}-dialog.png")
            await page.close()


async def main(folder: Path) -> None:
    """All of them; `dashboard.png` is the one of the documentation."""
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for size in (0, FEW, MANY):
            await pictures(browser, folder, size)
        async with server(world(5), "secret") as service:
            page = await shown(browser, str(service.make_url("/dashboard")), DESK, "light")
            await page.screenshot(path=folder / "sign-in.png")
        made = world(600)
        made.drain_per_second = 0.25
        async with server(made) as service:
            page = await shown(browser, str(service.make_url("/")), {"width": 1280, "height": 900}, "light")
            await page.screenshot(path=folder / "dashboard.png")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
