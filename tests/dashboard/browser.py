"""A real Chromium, headless, and the dashboard in it: for the dashboard's tests and pictures."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp.test_utils import TestServer
from fake_admin import FakeAdmin
from fake_world import World

from labsessions.core.messages import Message, Reply
from labsessions.core.policy import Policy
from labsessions.http import ApiOptions, make_app

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
TOKEN = "admin-token-1"
PLATFORM_TOKEN = "platform-token-1"

# Where tests run as root there is no sandbox, and where /dev/shm is small pages crash.
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# A test machine may be slow, and busy with other tests.
_PATIENCE_MS = 30_000


class Nobody:
    """An engine and a readiness that are never asked: the dashboard reads the admin API only."""

    policy = Policy()

    async def ask(self, user_id: str, message: Message) -> Reply:
        """See `ports.Sessions`."""
        raise AssertionError(user_id, message)

    def now_ms(self) -> int:
        """See `ports.Sessions`."""
        return 0

    async def check(self) -> dict[str, Any]:
        """See `ports.Readiness`."""
        return {}


def serve(admin: FakeAdmin, options: ApiOptions) -> TestServer:
    """The real front door with the made-up admin API in it."""
    return TestServer(make_app(Nobody(), Nobody(), options, groups=(admin.group(),)))


def program() -> str | None:
    """Where Chromium is."""
    return next((found for found in map(shutil.which, _PROGRAMS) if found), None)


def missing() -> str | None:
    """What lacks for tests in a browser, in words; None if nothing does."""
    if find_spec("playwright") is None:
        return "NO TEST OF THE DASHBOARD IN A BROWSER: playwright is not installed (pip install '.[browser]')"
    if program() is None:
        return "NO TEST OF THE DASHBOARD IN A BROWSER: there is no Chromium (apt-get install chromium)"
    return None


@asynccontextmanager
async def chromium() -> AsyncIterator["Browser"]:
    """One browser as long as the block lasts."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - not everybody has it

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Path(program() or ""), args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Shown:
    """The dashboard in a tab, and the admin API behind it. `complaints`: the page's errors, its policy's too."""

    page: "Page"
    context: "BrowserContext"
    admin: FakeAdmin
    complaints: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        """What the service knows."""
        return self.admin.world

    async def texts(self, selector: str) -> list[str]:
        """The visible texts of all such elements."""
        return [text.strip() for text in await self.page.locator(selector).all_inner_texts()]

    async def settled(self) -> None:
        """Wait until every part has read what it shows."""
        unread = "it => it.matches('[aria-busy]') || !it.querySelector('.panel-body').firstChild"
        await self.page.wait_for_function(f"![...document.querySelectorAll('.panel')].some({unread})")

    async def confirm(self) -> None:
        """Press the button that does it in the dialog that is open."""
        await self.page.locator("dialog.ask button[type=submit]").click()

    async def said(self, text: str) -> None:
        """Wait until a status message has this in it."""
        await self.page.locator("[role=status] .toast", has_text=text).first.wait_for()


@asynccontextmanager
async def dashboard(
    browser: "Browser",
    world: World,
    *,
    tokens: bool = False,
    query: str = "",
    viewport: Any = DESK,
    scheme: Any = "light",
    bypass_policy: bool = False,
    driven_clock: bool = False,
    blind: bool = False,
) -> AsyncIterator[Shown]:
    """The dashboard over this world in a tab of its own, as soon as its first overview is shown, or the sign-in form.

    With a `driven_clock`, `page.clock` may be put forward. `blind`: the service cannot read its store.
    """
    admin = FakeAdmin(world, blind=blind)
    options = ApiOptions(
        version="1.2.3", tokens=(PLATFORM_TOKEN,) if tokens else (), admin_tokens=(TOKEN,) if tokens else ()
    )
    async with serve(admin, options) as server:
        context = await browser.new_context(
            viewport=viewport, color_scheme=scheme, reduced_motion="reduce", bypass_csp=bypass_policy
        )
        context.set_default_timeout(_PATIENCE_MS)
        page = await context.new_page()
        if driven_clock:
            await page.clock.install()
        shown = Shown(page, context, admin)
        page.on("console", lambda each: shown.complaints.append(each.text) if each.type == "error" else None)
        page.on("pageerror", lambda error: shown.complaints.append(str(error)))
        try:
            await page.goto(str(server.make_url("/dashboard")) + query)
            await page.locator(".link.live, #sign-in form").first.wait_for()
            yield shown
        finally:
            admin.silent = True
            await context.close()


class Show(Protocol):
    """Shows the dashboard over a world; see `dashboard`."""

    def __call__(self, world: World, **options: Any) -> AbstractAsyncContextManager[Shown]:
        """As long as the block lasts."""
        ...
