"""It is live, or says that it isn't; what is looked at is in the address. In a real browser."""

from typing import TYPE_CHECKING

import pytest
from browser import Show
from fake_world import World, world

if TYPE_CHECKING:
    from playwright.async_api import Request

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_what_happens_is_shown_as_it_happens(show: Show) -> None:
    """A session that is begun, fails, ends: row, figures and verdict follow without anybody's doing."""
    made = World()
    async with show(made) as shown:
        made.add("ada", -1)
        made.happen("session.created", "ada")
        await shown.page.locator(".sessions tbody tr", has_text="ada").wait_for()
        await shown.page.locator(".verdict-text", has_text="1 overdue").wait_for()
        await shown.said("Not well: 1 overdue")
        made.fail("ada", 1, "the very error")
        made.happen("session.cleanup_failed", "ada")
        await shown.page.locator(".error-cell", has_text="the very error").wait_for()
        await shown.page.locator(".failures .error", has_text="the very error").wait_for()
        made.end("ada", "expired")
        await shown.page.locator(".sessions").wait_for(state="detached")
        await shown.page.locator("#history tbody tr", has_text="ada").wait_for()
        await shown.said("All is well: Every session on time")


async def test_the_drawer_is_live_too(show: Show) -> None:
    """An event of its user is in the list of what happened at once; older ones come on request, none twice."""
    made = World()
    made.add("ada", 30)
    for number in range(120):
        made.happen("session.updated", "ada", number=number)
    async with show(made, query="?user=ada") as shown:
        events = shown.page.locator(".timeline li")
        await events.nth(49).wait_for()
        assert await events.count() == 50
        made.happen("session.expiring", "ada", remaining_seconds=300)
        await events.filter(has_text="expiring").wait_for()
        for number in (101, 121):
            await shown.page.get_by_role("button", name="Older events").click()
            await events.nth(number - 1).wait_for()
        numbers = [int(text.rpartition(" ")[2]) for text in await shown.texts(".timeline .details") if "number" in text]
        assert numbers == list(range(119, -1, -1))
        assert not await shown.page.get_by_role("button", name="Older events").is_visible()


async def test_a_view_that_is_not_live_says_so(show: Show) -> None:
    """How old it is, and when it is tried again; then it goes on where it left off, and nothing is lost."""
    made = world(5)
    async with show(made) as shown:
        made.add("seen", 25)
        made.happen("session.created", "seen")
        await shown.page.locator(".sessions tbody tr", has_text="seen").wait_for()
        newest = len(made.events)
        shown.admin.silent = True
        await shown.page.route("**/overview", lambda route: route.abort())
        await shown.page.locator(".link.stale", has_text="Stale: as of ").wait_for()
        assert await shown.page.locator("body.is-stale").count() == 1
        shown.admin.silent = False
        made.add("new", 20)
        made.happen("session.created", "new")
        await shown.page.locator(".link.live").wait_for()
        await shown.page.locator(".sessions tbody tr", has_text="new").wait_for()
        assert shown.admin.resumed_at[-1] == str(newest)


async def test_without_a_stream_it_still_reads(show: Show) -> None:
    """Where something between eats streams, the overview is asked for instead."""
    async with show(World()) as shown:
        shown.admin.silent = True
        shown.world.add("ada", -1)
        await shown.page.locator(".verdict-text", has_text="1 overdue").wait_for()


async def test_a_hidden_tab_asks_for_nothing(show: Show) -> None:
    """Whatever happens and however long; at once when it is looked at again, and from then on in time."""
    asked: list[str] = []

    def note(request: "Request") -> None:
        asked.append(request.url)

    async with show(world(5), driven_clock=True) as shown:
        page, user_id = shown.page, next(iter(shown.world.sessions))
        await shown.settled()
        await page.evaluate(HIDE, arg=True)
        await page.wait_for_function("!document.querySelector('[aria-busy]')")  # what was under way
        page.on("request", note)
        for _ in range(3):
            shown.world.happen("session.updated", user_id)
            await page.clock.fast_forward(60_000)
        await page.wait_for_timeout(1000)
        assert [url for url in asked if "/stream" not in url] == []
        async with page.expect_request("**/admin/sessions?*"):
            await page.evaluate(HIDE, arg=False)
        async with page.expect_request("**/admin/failures"), page.expect_request("**/admin/expiries?*"):
            await page.clock.fast_forward(60_000)


async def test_filters_are_in_the_address(show: Show) -> None:
    """What is typed is there, what is there is asked for and set in the form, after a reload too; Clear clears."""
    async with show(world(1000)) as shown:
        page = shown.page
        await page.get_by_label("User, id or VM").fill("ada")
        await page.get_by_label("Status").select_option("active")
        await page.locator("[name=ends]").select_option("overdue")
        await page.wait_for_url("**/dashboard?q=ada&status=active&overdue=true")
        await page.locator("[name=ends]").select_option("within an hour")
        await page.wait_for_url("**/dashboard?q=ada&status=active&ending_within=60")
        await page.locator("[name=ends]").select_option("any time")
        await page.wait_for_url("**/dashboard?q=ada&status=active")
        await page.locator("#sessions-count", has_not_text="1,000 sessions").wait_for()
        assert all(name.startswith("ada") for name in await shown.texts(".row-open"))
        await page.reload()
        await page.locator(".sessions tbody tr").first.wait_for()
        assert await page.get_by_label("User, id or VM").input_value() == "ada"
        assert await page.get_by_label("Status").input_value() == "active"
        assert all(name.startswith("ada") for name in await shown.texts(".row-open"))
        await page.get_by_role("button", name="Clear").click()
        await page.locator("#sessions-count", has_text="1,000 sessions").wait_for()
        assert page.url.endswith("/dashboard")


async def test_every_filter_is_what_the_api_takes(show: Show) -> None:
    """Each by its name, from the address to the request; what isn't one is not sent."""
    query = "?q=a&status=stuck&overdue=true&ending_within=7&lab_id=l&group_id=g&error=e&order=user_id&cursor=x&limit=1"
    async with show(world(5), query=query) as shown:
        await shown.page.locator("#sessions .nothing", has_text="No session is as the filter says.").wait_for()
        (asked,) = {path for path in shown.admin.asked if path.startswith("/api/v1/admin/sessions?")}
        assert asked.partition("?")[2] == (
            "q=a&status=stuck&overdue=true&ending_within=7&lab_id=l&group_id=g&error=e&order=user_id&limit=50"
        )


async def test_a_figure_leads_to_its_sessions_and_back(show: Show) -> None:
    """Choosing "Overdue" shows those; the back button shows all again."""
    async with show(world(1000)) as shown:
        page = shown.page
        await page.locator(".sessions tbody tr").nth(49).wait_for()
        await page.get_by_role("link", name="Overdue").click()
        await page.locator("#sessions-count", has_text="8 sessions").wait_for()
        assert page.url.endswith("?overdue=true")
        assert await page.locator("[name=ends]").input_value() == "overdue"
        await page.go_back()
        await page.locator("#sessions-count", has_text="1,000 sessions").wait_for()
        assert await page.locator("[name=ends]").input_value() == ""


async def test_a_drawer_has_an_address(show: Show) -> None:
    """It can be sent to a colleague; the back button closes it, forward opens it again."""
    made = world(5)
    user_id = list(made.sessions)[3]
    async with show(made) as shown:
        page = shown.page
        await page.get_by_role("button", name=user_id, exact=True).click()
        await page.wait_for_url(f"**/dashboard?user={user_id}")
        await page.go_back()
        await page.locator(".drawer").wait_for(state="detached")
        await page.go_forward()
        await page.locator(".drawer h2", has_text=user_id).wait_for()
        await page.reload()
        await page.locator(".drawer h2", has_text=user_id).wait_for()
        await page.get_by_role("button", name="Close").click()
        await page.locator(".drawer").wait_for(state="detached")
        assert page.url.endswith("/dashboard")
