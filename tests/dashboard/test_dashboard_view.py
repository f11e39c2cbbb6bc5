"""What an operator sees, in a real browser: the verdict, the figures, the table; however many sessions there are."""

import re
from datetime import UTC, datetime

import pytest
from browser import Show
from fake_world import HOUR, World, world

from labsessions.core.projection import iso

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

MARKUP = '<img src=x onerror="document.title=1"><b>bold</b><script>document.title=2</script>'


async def test_all_is_well(show: Show) -> None:
    """With nothing to do: the verdict says so, and every part says that it has nothing."""
    async with show(World()) as shown:
        assert await shown.texts(".verdict-text") == ["Every session on time"]
        await shown.settled()
        assert await shown.texts("#sessions .panel-body") == ["No session is running."]
        assert await shown.texts("#failures .panel-body") == ["No cleanup is in trouble."]
        assert await shown.page.title() == "Lab sessions"
        assert shown.complaints == []


async def test_what_is_wrong_comes_first(show: Show) -> None:
    """Verdict, since when, other problems, and the figures that are bad; the tab's title has it too."""
    made = world(600)
    made.backend = "down"
    async with show(made) as shown:
        (verdict,) = await shown.texts(".verdict-text")
        assert verdict.startswith("5 overdue, oldest ")
        assert await shown.page.title() == f"⚠ {verdict} – Lab sessions"
        (since,) = await shown.texts(".verdict-since")
        assert since.startswith("since ")
        assert "sessions stuck in cleanup: 1; see last_error" in await shown.texts(".problems li")
        bad = await shown.texts("#tiles .bad > * > span")
        assert bad == ["Overdue", "Stuck", "Lab backend"]
        assert "503 Service Unavailable" in (await shown.texts("#tiles .bad small"))[-1]


async def test_what_is_not_known_is_no_zero(show: Show) -> None:
    """A store that cannot be read, a scheduler that has ended: neither looks as if all were well."""
    async with show(world(5), blind=True) as shown:
        await shown.page.locator("#tiles .bad", has_text="Ended").wait_for()
        assert (await shown.texts("#tiles strong"))[:6] == ["–"] * 6


async def test_banners_change_the_meaning_of_everything_below(show: Show) -> None:
    """A pause with its end, its reason and who did it; a step of the clock; a clock that is driven."""
    made = world(5)
    now = made.now_ms()
    made.paused = {"since": iso(now), "until": iso(now + HOUR), "reason": MARKUP, "by": "ada"}
    made.clock_problem, made.test_clock = "the clock has stepped forward by 3600 s", True
    async with show(made) as shown:
        assert await shown.texts(".banner strong") == ["PAUSED", "CLOCK STEP", "TEST CLOCK"]
        paused, step, _ = await shown.texts(".banner p")
        assert f"by ada: “{MARKUP}”" in paused
        assert re.search(r"in (1 h|5\d min)", paused)
        assert step == made.clock_problem
        assert not await shown.page.locator("#pause").is_visible()


async def test_what_clients_send_is_shown_as_text(show: Show) -> None:
    """Markup in a title, an id, an error, an event: nowhere does it become an element, and nothing of it runs."""
    made = world(5)
    user_id = "<i>eve</i>"
    made.add(user_id, 30, labTitle=MARKUP, labId=MARKUP, terminal_url="javascript:document.title=3")
    made.fail(user_id, 2, MARKUP)
    made.happen("session.cleanup_failed", user_id, last_error=MARKUP)
    made.end(made.add("<u>gone</u>", -1)["user_id"], MARKUP)
    made.audit.append(
        {"seq": 1, "at": iso(made.now_ms()), "who": MARKUP, "action": MARKUP, "user_id": user_id, "reason": MARKUP}
    )
    async with show(made) as shown:
        await shown.page.get_by_role("button", name=user_id, exact=True).first.click()
        await shown.page.locator(".timeline li").first.wait_for()
        await shown.settled()
        assert MARKUP in (await shown.texts(".lab-title"))
        assert MARKUP in (await shown.texts(".facts dd"))
        assert MARKUP in (await shown.texts(".failures p.error"))
        assert await shown.texts("#drawer-title") == [user_id]
        for element in ("img[src=x]", "b", "i", "u", "body script", "dialog a", "[onerror]"):
            assert await shown.page.locator(element).count() == 0, element
        assert await shown.page.title() not in ("1", "2", "3")
        assert shown.complaints == []


@pytest.mark.parametrize(
    "attempt",
    [
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "document.body.setAttribute('onclick', 'document.title = 4')",
        "document.createElement('script').textContent = 'document.title = 5'",
        "document.body.append(document.createRange().createContextualFragment('<b>x</b>'))",
    ],
)
async def test_the_browser_itself_refuses_markup(show: Show, attempt: str) -> None:
    """Even if the dashboard had a mistake: text never becomes markup or code."""
    async with show(World()) as shown:
        script = f"() => {{ try {{ {attempt}; return 'done'; }} catch (error) {{ return error.name; }} }}"
        assert await shown.page.evaluate(script) == "TypeError"


@pytest.mark.parametrize("ahead_hours", [-7, 0, 5])
async def test_countdowns_go_by_the_servers_clock(show: Show, ahead_hours: int) -> None:
    """The browser's clock may be hours off: the time that is left is what the service says, and it runs."""
    made = World(ahead_ms=ahead_hours * HOUR)
    made.add("ada", 42.5)
    async with show(made) as shown:
        time = shown.page.locator(".time-cell time")
        await time.wait_for()
        first = await time.inner_text()
        assert "40:00" < first < "42:31"
        await shown.page.wait_for_function(
            "before => document.querySelector('.time-cell time').textContent !== before", arg=first
        )
        assert await time.inner_text() < first


async def test_a_session_passes_its_deadline_before_ones_eyes(show: Show) -> None:
    """Active, ending soon, overdue: without another word from the service."""
    made = World()
    made.add("ada", 2 / 60)
    async with show(made) as shown:
        await shown.page.locator(".pill.overdue").wait_for()
        await shown.page.locator(".time-cell.number", has_text="−0:").wait_for()


async def test_fifty_thousand_sessions_are_a_page(show: Show) -> None:
    """Never more rows than a page has; the next page goes on where this one ends, and there is a way back."""
    made = world(50_000)
    order = sorted(made.sessions.values(), key=lambda each: (each["expires_ms"], each["user_id"]))
    expected = [each["user_id"] for each in order]
    async with show(made) as shown:
        page, rows, seen = shown.page, ".sessions tbody tr", []
        await page.locator(rows).first.wait_for()
        assert await shown.texts("#sessions-count") == ["50,000 sessions"]
        for number in range(3):
            await page.locator(".pages", has_text=f"{number * 50 + 1} – {number * 50 + 50} of 50,000").wait_for()
            assert await page.locator(rows).count() == 50
            seen += await shown.texts(".row-open")
            await page.locator("nav.pages").get_by_role("button", name="More").click()
        assert seen == expected[:150]
        await page.locator(".pages", has_text="151 – 200").wait_for()
        await page.locator("nav.pages").get_by_role("button", name="Back").click()
        await page.locator(".pages", has_text="101 – 150").wait_for()
        assert await shown.texts(".row-open") == expected[100:150]
        assert await page.evaluate("document.querySelectorAll('*').length") < 2500


async def test_the_end_of_a_class_is_seen_before_it_comes(show: Show) -> None:
    """A bar for each five minutes, what is above the drain rate marked, and the same in words and as a table."""
    made = World(drain_per_second=0.1)  # 30 in five minutes
    for number in range(100):
        made.add(f"class.{number}", 62)
    made.add("late", -3)
    async with show(made) as shown:
        await shown.page.locator("#expiries .bar.above").wait_for()
        assert await shown.page.locator("#expiries .bar.due").count() == 1
        assert await shown.page.locator("#expiries .capacity").count() == 1
        (legend,) = await shown.texts("#expiries .legend")
        assert legend.startswith("1 overdue now. 100 sessions to end; most at ")
        assert "100, cleaned up in about 16 min 40 s." in legend
        label = await shown.page.locator("#expiries .chart").get_attribute("aria-label")
        assert label is not None
        assert "100 sessions to end" in label
        await shown.page.locator("#expiries summary").click()
        assert [cell.split("\t")[1] for cell in await shown.texts("#expiries tbody tr")] == ["1", "100"]


async def test_trends_and_the_past(show: Show) -> None:
    """Outcomes and lateness by day, labs, what ended last and why."""
    async with show(world(5)) as shown:
        await shown.page.locator("#lateness .bar.range").first.wait_for()
        await shown.settled()
        assert await shown.page.locator("#lateness .bar.range").count() == 14
        await shown.page.locator("#outcomes summary").click()
        assert await shown.page.locator("#outcomes tbody tr").count() == 14
        assert len(await shown.texts("#labs tbody tr")) == 8
        assert len(await shown.texts("#history tbody tr")) == 10
        await shown.page.locator("#history").get_by_role("button", name="Older").click()
        await shown.page.locator("#history").get_by_role("button", name="Newer", disabled=False).wait_for()


async def test_what_cannot_be_read_says_so(show: Show) -> None:
    """One part in trouble says it in words, and the others go on."""
    async with show(world(5)) as shown:
        await shown.page.route("**/failures", lambda route: route.fulfill(status=500, body="{}"))
        shown.world.happen("session.created", "ada")
        await shown.page.locator("#failures .trouble", has_text="Could not be read").wait_for()
        assert await shown.texts(".link") == ["Live"]


async def test_a_time_is_shown_in_the_readers_zone(show: Show) -> None:
    """The exact instant, as the service has it, is there too."""
    made = World()
    session = made.add("ada", 30)
    async with show(made) as shown:
        time = shown.page.locator(".time-cell time")
        assert await time.get_attribute("datetime") == iso(session["expires_ms"])
        title = await time.get_attribute("title")
        assert title is not None
        assert title.startswith(iso(session["expires_ms"]))
        assert datetime.fromtimestamp(session["expires_ms"] / 1000, UTC).isoformat()[:16] in title
