"""The dashboard over the real process: what the made-up admin API promises is what the service does."""

from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from browser import TOKEN
from processes import Client, until, world

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def confirm(page: "Page", button: str, reason: str) -> None:
    """Choose it, say why, and press the button that does it."""
    await page.get_by_role("button", name=button).first.click()
    await page.locator("dialog.ask [name=reason]").fill(reason)
    await page.locator("dialog.ask button[type=submit]").click()


async def test_an_operator_signs_in_pauses_ends_and_resumes(tabs: "Browser", tmp_path: Path) -> None:
    """A new session shows by itself; it is ended while cleanups are paused, and cleaned up when they go on."""
    async with (
        world(tmp_path, ADMIN_TOKEN=TOKEN) as (service, _, backend),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
    ):
        client = Client(http, service)
        context = await tabs.new_context()
        context.set_default_timeout(30_000)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            await page.goto(f"{service.url}/")
            await page.locator("#sign-in input").first.fill(TOKEN)
            await page.keyboard.press("Enter")
            await page.get_by_text("every session on time", exact=False).first.wait_for()
            await client.create("ada", labTitle="<b>Pods</b>")
            await page.get_by_role("button", name="ada", exact=True).first.wait_for()
            await page.get_by_text("<b>Pods</b>").first.wait_for()
            await confirm(page, "Pause cleanups…", "the backend moves")
            await page.get_by_text("PAUSED").first.wait_for()
            await page.get_by_role("button", name="ada", exact=True).first.click()
            await confirm(page, "End now…", "course over")
            await page.get_by_text("ended_by_operator").or_(page.get_by_text("cleaning")).first.wait_for()
            assert await backend.calls() == []
            await page.keyboard.press("Escape")
            await page.get_by_role("button", name="Resume…").click()
            await page.locator("dialog.ask button[type=submit]").click()
            await until(lambda: client.gone("ada"), "the session to be cleaned up")
            await page.locator(".row-open", has_text="ada").wait_for(state="detached")
            assert complaints == []
        finally:
            await context.close()
