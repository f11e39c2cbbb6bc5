"""Who may look, in a real browser: the token is asked for where there is one, and goes nowhere but into one header."""

from typing import TYPE_CHECKING

import pytest
from browser import PLATFORM_TOKEN, TOKEN, Show, Shown
from fake_world import World, world

if TYPE_CHECKING:
    from playwright.async_api import Request

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def sign_in(shown: Shown, token: str) -> None:
    """Type the token, and Enter."""
    await shown.page.get_by_label("ADMIN_TOKEN").fill(token)
    await shown.page.keyboard.press("Enter")


async def test_without_tokens_nobody_is_asked(show: Show) -> None:
    """The service is open: so is the dashboard, and the menu says so."""
    async with show(World()) as shown:
        assert await shown.page.locator("#sign-in").is_hidden()
        await shown.page.locator("#account").click()
        assert "no tokens configured" in (await shown.texts("dialog.ask .says"))[0]
        assert await shown.page.get_by_role("button", name="Sign out").count() == 0


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("guessed", "This token is wrong: the service does not know it."),
        (PLATFORM_TOKEN, "This token is not an operator’s: it has to be the ADMIN_TOKEN."),
        ("tökén", "That cannot be a token: it has characters that no header carries."),
    ],
)
async def test_a_wrong_token_says_so(show: Show, token: str, said: str) -> None:
    """What is wrong with it; it isn't kept, nothing is shown, and the right one still works."""
    async with show(World(), tokens=True) as shown:
        await sign_in(shown, token)
        await shown.page.locator("[role=alert]", has_text=said).wait_for()
        assert await shown.page.evaluate("Object.values(sessionStorage).join('')") == ""
        assert await shown.page.locator("#board").is_hidden()
        assert shown.admin.asked == []
        await sign_in(shown, TOKEN)
        await shown.page.locator("#board").wait_for()


async def test_the_token_goes_into_one_header_only(show: Show) -> None:
    """In each request of data as Bearer; in no address, no cookie, no body, nowhere that outlasts the tab."""
    requests: list[Request] = []

    def note(request: "Request") -> None:
        requests.append(request)

    async with show(world(5), tokens=True) as shown:
        shown.page.on("request", note)
        await sign_in(shown, TOKEN)
        await shown.page.locator(".link.live").wait_for()
        await shown.page.locator(".row-open").first.click()
        await shown.page.locator(".timeline li").first.wait_for()
        assert len(requests) > 8
        for request in requests:
            headers = await request.all_headers()
            sent = f"Bearer {TOKEN}" if "/api/" in request.url else None
            assert headers.pop("authorization", None) == sent, request.url
            assert TOKEN not in f"{request.url}{headers}{request.post_data}"
        kept = await shown.page.evaluate("[{...sessionStorage}, {...localStorage}, document.cookie]")
        assert kept == [{"labsessions.token": TOKEN, "labsessions.operator": ""}, {}, ""]


async def test_signed_in_until_one_signs_out(show: Show) -> None:
    """A reload keeps it, signing out forgets it, and another tab has to sign in itself."""
    async with show(World(), tokens=True) as shown:
        await sign_in(shown, TOKEN)
        await shown.page.locator("#board").wait_for()
        await shown.page.reload()
        await shown.page.locator(".link.live").wait_for()
        other = await shown.context.new_page()
        await other.goto(shown.page.url)
        await other.get_by_label("ADMIN_TOKEN").wait_for()
        await shown.page.locator("#account").click()
        await shown.page.get_by_role("button", name="Sign out").click()
        await shown.page.get_by_label("ADMIN_TOKEN").wait_for()
        assert await shown.page.evaluate("sessionStorage.getItem('labsessions.token')") is None


async def test_a_token_that_is_replaced_is_asked_for_again(show: Show) -> None:
    """What was good once and is refused now: the way in, not a page full of errors."""
    async with show(World(), tokens=True) as shown:
        await sign_in(shown, TOKEN)
        await shown.page.locator(".link.live").wait_for()
        await shown.page.evaluate("sessionStorage.setItem('labsessions.token', 'replaced')")
        shown.world.happen("session.created", "ada")
        await shown.page.get_by_label("ADMIN_TOKEN").wait_for()


async def test_the_operators_name_is_kept_for_the_audit(show: Show) -> None:
    """Given at the door or later; it is on the button, and in what is done."""
    async with show(World()) as shown:
        await shown.page.locator("#account").click()
        await shown.page.get_by_label("Your name").fill("Grace H.")
        await shown.confirm()
        await shown.said("You are Grace H.")
        assert await shown.texts("#account") == ["Grace H."]
        await shown.page.locator("#pause").click()
        await shown.page.get_by_label("Reason").fill("why")
        await shown.confirm()
        await shown.said("paused until")
        assert shown.admin.posted[-1][2] == "Grace H."


async def test_a_service_that_is_away_can_be_tried_again(show: Show) -> None:
    """At the start: in words, with a button."""
    async with show(World()) as shown:
        await shown.page.route("**/overview", lambda route: route.abort())
        await shown.page.reload()
        await shown.page.get_by_text("The service cannot be reached.").wait_for()
        await shown.page.unroute("**/overview")
        await shown.page.get_by_role("button", name="Try again").click()
        await shown.page.locator(".link.live").wait_for()
