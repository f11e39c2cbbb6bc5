"""For everybody, in a real browser: by keyboard, with a screen reader, on a phone, in the dark, without motion."""

from typing import Any

import pytest
from browser import PHONE, Show, Shown
from fake_world import World, world

from labsessions.core.projection import iso

axe = pytest.importorskip(
    "axe_playwright_python.async_playwright",
    reason="NO ACCESSIBILITY CHECK OF THE DASHBOARD: axe-playwright-python is not installed (pip install '.[browser]')",
)
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


async def violations(shown: Shown) -> dict[str, list[str]]:
    """What axe-core has found, by rule: the elements."""
    found = await axe.Axe().run(shown.page, options=RULES)
    return {
        each["id"]: [node["html"][:200] + " " + node.get("failureSummary", "") for node in each["nodes"]]
        for each in found.response["violations"]
    }


def everything() -> World:
    """Every banner, every colour."""
    made = world(600)
    now = made.now_ms()
    made.backend, made.test_clock, made.clock_problem = "down", True, "the clock has stepped by 3600 s"
    made.paused = {"since": iso(now), "until": iso(now + 3_600_000), "reason": "moving", "by": "ada"}
    made.add("ada", 10)
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1440, "height": 900}, PHONE], ids=["desk", "phone"])
async def test_no_accessibility_fault(show: Show, scheme: str, viewport: Any) -> None:
    """By axe-core, WCAG 2.2 AA, contrast included: the board, with its tables open; the drawer; a dialog."""
    # The checker is a script that is put into the page, which the page's own policy forbids.
    async with show(everything(), scheme=scheme, viewport=viewport, bypass_policy=True) as shown:
        await shown.settled()
        for summary in await shown.page.locator("summary").all():
            await summary.click()
        assert await violations(shown) == {}
        await shown.page.locator(".row-open").first.click()
        await shown.page.locator(".facts").wait_for()
        assert await violations(shown) == {}
        await shown.page.locator(".drawer").get_by_role("button", name="Forget…").click()
        assert await violations(shown) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_accessibility_fault_at_the_door(show: Show, scheme: str) -> None:
    """The form to sign in, with what was wrong; then the board with nothing on it, and a message."""
    async with show(World(), scheme=scheme, tokens=True, bypass_policy=True) as shown:
        await shown.page.get_by_label("ADMIN_TOKEN").fill("wrong")
        await shown.page.keyboard.press("Enter")
        await shown.page.locator("[role=alert]:not(:empty)").wait_for()
        assert await violations(shown) == {}
        await shown.page.get_by_label("ADMIN_TOKEN").fill("admin-token-1")
        await shown.page.keyboard.press("Enter")
        await shown.settled()
        await shown.page.locator("#account").click()
        await shown.confirm()
        await shown.page.locator(".toast").wait_for()
        assert await violations(shown) == {}


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1440, 2560])
async def test_nothing_is_wider_than_the_screen(show: Show, width: int) -> None:
    """From 320 pixels on, which is also a desk screen at 400 % zoom: the page scrolls down only."""
    made = everything()
    made.add("a" * 200, 5, labTitle="W" * 300, labId="x" * 100)
    made.fail("a" * 200, 100, "VM " + "v" * 300)
    async with show(made, viewport={"width": width, "height": 800}) as shown:
        await shown.settled()
        too_wide = """() => [...document.querySelectorAll("body *")]
            .filter((each) => !each.closest(".scroll, svg, .sessions thead, .lab > *"))
            .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
            .map((each) => `${each.tagName}#${each.id}.${each.className}`)"""
        assert await shown.page.evaluate(too_wide) == []
        assert await shown.page.evaluate("document.documentElement.scrollWidth") <= width
        await shown.page.locator(".row-open").first.click()
        await shown.page.locator(".facts").wait_for()
        assert await shown.page.evaluate(too_wide) == []


async def test_the_first_stop_skips_to_the_sessions(show: Show) -> None:
    """Tab, Enter: from there the next stop is in the filters."""
    async with show(world(5)) as shown:
        keyboard = shown.page.keyboard
        await keyboard.press("Tab")
        assert await shown.page.evaluate("document.activeElement.textContent") == "Skip to the sessions"
        box = await shown.page.locator(".skip").bounding_box()
        assert box is not None
        assert box["y"] >= 0
        await keyboard.press("Enter")
        await keyboard.press("Tab")
        assert await shown.page.evaluate("document.activeElement.name") == "q"


async def test_everything_is_reached_by_keyboard_and_seen(show: Show) -> None:
    """Each stop has an outline; every button, field, link and fold is a stop, and no stop is out of the window."""
    async with show(world(5)) as shown:
        await shown.settled()
        wanted = await shown.page.evaluate(
            "[...document.querySelectorAll('button, input, select, a[href], summary')]"
            ".filter((each) => !each.disabled && each.checkVisibility()).length"
        )
        stops = set()
        for _ in range(wanted * 2):
            await shown.page.keyboard.press("Tab")
            stop = await shown.page.evaluate(
                """() => {
                    const all = [...document.querySelectorAll("*")], at = document.activeElement;
                    if (at === document.body) return null;
                    const box = at.getBoundingClientRect(), style = getComputedStyle(at);
                    const seen = box.bottom > 0 && box.top < innerHeight && box.width > 0;
                    const kind = at.matches("button, input, select, a[href], summary");
                    return [all.indexOf(at), kind, seen && style.outlineStyle !== "none", at.outerHTML.slice(0, 120)];
                }"""
            )
            if stop is None:
                break
            assert stop[2], stop[3]
            if stop[1]:
                stops.add(stop[0])
        assert len(stops) == wanted


async def test_the_focus_stays_in_a_dialog_and_comes_back(show: Show) -> None:
    """By keyboard alone: open, go round, leave with Esc; first the dialog, then the drawer."""
    async with show(world(5)) as shown:
        page = shown.page
        row = page.locator(".row-open").nth(2)
        await row.focus()
        await page.keyboard.press("Enter")
        await page.locator(".facts").wait_for()
        await page.locator(".drawer").get_by_role("button", name="Extend…").focus()
        await page.keyboard.press("Enter")
        for _ in range(12):
            await page.keyboard.press("Tab")
            inside = "document.activeElement === document.body || !!document.activeElement.closest('dialog.ask')"
            assert await page.evaluate(inside)
        await page.keyboard.press("Escape")
        await page.locator("dialog.ask").wait_for(state="detached")
        assert await page.evaluate("document.activeElement.textContent") == "Extend…"
        await page.keyboard.press("Escape")
        await page.locator(".drawer").wait_for(state="detached")
        assert await row.evaluate("it => it === document.activeElement")


async def test_the_focus_survives_what_is_read_anew(show: Show) -> None:
    """A row that moves, a list that is drawn again: whoever is on it stays on it."""
    made = World()
    for number in range(5):
        made.add(f"user.{number}", 10 + number)
    made.fail("user.4", 1, "an error")
    async with show(made) as shown:
        row = shown.page.get_by_role("button", name="user.2", exact=True)
        await row.focus()
        made.add("user.0a", 9)
        made.end("user.3", "deleted")
        await shown.page.get_by_role("button", name="user.0a", exact=True).wait_for()
        assert await row.evaluate("it => it === document.activeElement")


async def test_without_motion_where_none_is_wanted(show: Show) -> None:
    """`prefers-reduced-motion`: nothing is animated; else something is."""
    async with show(world(5)) as shown:
        durations = []
        for preference in ("reduce", "no-preference"):
            await shown.page.emulate_media(reduced_motion=preference)
            await shown.page.locator(".row-open").first.click()
            drawer = shown.page.locator(".drawer")
            durations.append(await drawer.evaluate("it => getComputedStyle(it).animationName"))
            await shown.page.keyboard.press("Escape")
            await drawer.wait_for(state="detached")
        assert durations == ["none", "slide"]
