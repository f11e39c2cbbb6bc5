"""What an operator can do, in a real browser: nothing without a confirmation, and what is sent is what was said."""

from typing import Any, NamedTuple

import pytest
from browser import TOKEN, Show, Shown
from fake_world import World, world

from labsessions.http.errors import Problem

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ADMIN = "/api/v1/admin"


def troubled() -> World:
    """Ada runs, Bob waits for a retry, Eve is stuck, Old has VMs owed."""
    made = World()
    made.add("ada", 30)
    made.add("bob", -10)
    made.add("eve", -60, worker_nodes=[{"name": "w", "worker_lab_request_id": "vm-w"}])
    made.fail("bob", 2, "VM vm-4001: 503 Service Unavailable")
    made.fail("eve", 14, "VM vm-4002: no answer within 15 s", stuck=True)
    made.owed["old"] = [{"lab_request_id": "vm-17", "status": "cleaning", "attempts": 3, "ms": made.now_ms()}]
    return made


async def choose(shown: Shown, user_id: str, action: str) -> None:
    """Open the drawer of a user, and choose an action there."""
    await shown.page.get_by_role("button", name=user_id, exact=True).first.click()
    await shown.page.locator("dialog.drawer").get_by_role("button", name=action).click()
    await shown.page.locator("dialog.ask").wait_for()


class Action(NamedTuple):
    """Who is chosen, and on which button; what the dialog says, takes and sends; what is said when it is done."""

    user_id: str
    button: str
    says: str
    fill: dict[str, str]
    sends: dict[str, Any]
    result: str


EXAM = {"minutes": 45, "reason": "exam"}
ACTIONS = [
    Action("ada", "Extend…", "It ends at", {"minutes": "45", "reason": "exam"}, EXAM, "45 min more"),
    Action("ada", "Extend…", "less than 0", {"minutes": "-5"}, {"minutes": -5}, "5 min less"),
    Action("ada", "End now…", "Its VM is deleted", {"reason": "over"}, {"reason": "over"}, "at its end"),
    Action("bob", "Retry now…", "2 attempts so far: VM vm-4001: 503", {}, {}, "next attempt for bob"),
    Action("old", "Retry now…", "owed of an ended session", {}, {}, "next attempt for old"),
    Action("eve", "Forget…", "may still run", {"reason": "by hand"}, {"reason": "by hand"}, "vm-4002, vm-w"),
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action.button}{action.result}")
async def test_an_action_on_one_session(show: Show, action: Action) -> None:
    """Said first, to whom and what; sent once, in the operator's name; its result is read out."""
    async with show(troubled(), tokens=True, query=f"?user={action.user_id}") as shown:
        await shown.page.get_by_label("ADMIN_TOKEN").fill(TOKEN)
        await shown.page.get_by_label("Your name").fill("Grace H.")
        await shown.page.get_by_role("button", name="Sign in").click()
        await shown.page.locator(".drawer").get_by_role("button", name=action.button).click()
        dialog = shown.page.locator("dialog.ask")
        assert action.user_id in await dialog.locator("h2").inner_text()
        assert action.says in await dialog.locator(".says").inner_text()
        for name, value in action.fill.items():
            await dialog.locator(f"[name={name}]").fill(value)
        for box in await dialog.locator("input[type=checkbox]").all():
            await box.check()
        assert shown.admin.posted == []
        await shown.confirm()
        await shown.said(action.result)
        ((path, sent, who),) = shown.admin.posted
        assert sent.pop("session_id", None) == (
            "5f0c7d3e-0000-4000-8000-000000000002" if action.button == "Forget…" else None
        )
        verb = action.button.partition("…")[0].partition(" ")[0].lower()
        assert (path, sent, who) == (f"{ADMIN}/sessions/{action.user_id}/{verb}", action.sends, "Grace H.")
        assert await dialog.count() == 0


async def test_cancel_and_escape_do_nothing(show: Show) -> None:
    """The dialog is gone, the drawer is still there, the focus is back on the button that asked."""
    async with show(troubled()) as shown:
        for how in ("Cancel", "Escape"):
            await choose(shown, "ada", "End now…")
            if how == "Cancel":
                await shown.page.get_by_role("button", name="Cancel").click()
            else:
                await shown.page.keyboard.press("Escape")
            await shown.page.locator("dialog.ask").wait_for(state="detached")
            assert await shown.page.evaluate("document.activeElement.textContent") == "End now…"
            await shown.page.get_by_role("button", name="Close").click()
        assert shown.admin.posted == []


async def test_forgetting_needs_a_reason_and_an_acknowledgement(show: Show) -> None:
    """Neither alone is enough."""
    async with show(troubled()) as shown:
        await choose(shown, "eve", "Forget…")
        dialog = shown.page.locator("dialog.ask")
        assert await dialog.locator("code").all_inner_texts() == ["vm-4002", "vm-w", "vm-4002"]
        await shown.confirm()
        await dialog.locator("[name=reason]").fill("gone")
        await shown.confirm()
        await dialog.locator("[name=reason]").fill("")
        await dialog.locator("[type=checkbox]").check()
        await shown.confirm()
        assert shown.admin.posted == []
        await dialog.locator("[name=reason]").fill("gone")
        await shown.confirm()
        await shown.said("forgotten")


async def test_what_makes_no_sense_cannot_be_chosen(show: Show) -> None:
    """A session under cleanup is not extended or ended; one that runs has nothing to retry; VMs that are owed have."""
    offers = {
        "ada": ["Extend…", "End now…", "Forget…"],
        "bob": ["Retry now…", "Forget…"],
        "old": ["Retry now…", "Forget…"],
        "nobody": [],
    }
    for user_id, offered in offers.items():
        async with show(troubled(), query=f"?user={user_id}") as shown:
            await shown.page.locator(".drawer-clock .quiet:not(:empty)").wait_for()
            assert await shown.texts(".drawer .buttons button:not(:disabled)") == offered, user_id


async def test_a_refusal_is_shown_where_it_was_asked(show: Show) -> None:
    """In the service's words; the dialog stays with what was typed, and it can be tried again."""
    async with show(troubled()) as shown:
        shown.admin.refusal = Problem(409, "session_being_cleaned", "Lab session is being cleaned up")
        await choose(shown, "ada", "End now…")
        await shown.page.locator("dialog.ask [name=reason]").fill("over")
        await shown.confirm()
        await shown.page.locator("[role=alert]", has_text="Not done: Lab session is being cleaned up.").wait_for()
        shown.admin.refusal = None
        await shown.confirm()
        await shown.said("at its end")
        assert [body for _, body, _ in shown.admin.posted] == [{"reason": "over"}] * 2


async def test_retry_all_counts_first_and_retries_as_many(show: Show) -> None:
    """The number that is confirmed is the number that was shown; a change of the filter counts again."""
    async with show(world(2400)) as shown:
        page = shown.page
        await page.locator("#retry-all:not(:disabled)").click()
        confirm = page.locator("dialog.ask button[type=submit]")
        await confirm.filter(has_text="Retry for 20 users").wait_for()
        await page.get_by_label("Which").select_option("stuck")
        await confirm.filter(has_text="Retry for 3 users").wait_for()
        await page.get_by_label("Last error has").nth(1).fill("nothing like it")
        await page.locator(".preview", has_text="No cleanup that waits is as chosen.").wait_for()
        assert await confirm.is_disabled()
        await page.get_by_label("Last error has").nth(1).fill("vm-4711")
        await confirm.filter(has_text="Retry for 3 users").wait_for()
        assert all(body["dry_run"] for _, body, _ in shown.admin.posted)
        await shown.confirm()
        await shown.said("Retried now: 3 of 3 users.")
        path, body, _ = shown.admin.posted[-1]
        assert path == f"{ADMIN}/retry"
        assert body == {"status": "stuck", "error": "vm-4711", "dry_run": False, "expected": 3}


async def test_others_than_were_counted_are_not_retried(show: Show) -> None:
    """If it is another number by now, nothing is done; the new number is shown, and has to be confirmed."""
    async with show(troubled()) as shown:
        await shown.page.locator("#retry-all:not(:disabled)").click()
        confirm = shown.page.locator("dialog.ask button[type=submit]")
        await confirm.filter(has_text="Retry for 2 users").wait_for()
        shown.world.fail("ada", 1, "VM vm-4000: 503")
        await shown.confirm()
        await shown.page.locator("[role=alert]", has_text="3 users match by now, not 2").wait_for()
        await confirm.filter(has_text="Retry for 3 users").wait_for()
        await shown.confirm()
        await shown.said("Retried now: 3 of 3 users.")


async def test_retry_of_one_cause(show: Show) -> None:
    """From the group of its error, with the error filled in."""
    async with show(troubled()) as shown:
        await shown.page.get_by_role("button", name="Retry…: VM vm-4002: no answer within 15 s").click()
        await shown.page.locator("dialog.ask button[type=submit]", has_text="Retry for 1 user").wait_for()
        await shown.confirm()
        await shown.said("Retried now: 1 of 1 user.")
        assert shown.admin.posted[-1][1]["error"] == "VM vm-4002: no answer within 15 s"


async def test_pause_and_resume(show: Show) -> None:
    """A pause has an end and a reason; the banner shows both, and offers the way back; the audit has it."""
    async with show(troubled()) as shown:
        await shown.page.locator("#pause").click()
        await shown.page.get_by_label("For how many minutes").fill("90")
        await shown.confirm()
        assert shown.admin.posted == []  # no reason yet
        await shown.page.get_by_label("Reason").fill("backend moves")
        await shown.confirm()
        await shown.said("Cleanups are paused until")
        assert shown.admin.posted == [(f"{ADMIN}/pause", {"minutes": 90, "reason": "backend moves"}, "operator")]
        await shown.page.locator(".banner", has_text="“backend moves”").wait_for()
        assert (await shown.texts("#tiles strong"))[7] == "Paused"
        await shown.page.get_by_role("button", name="Resume…").click()
        assert "2 sessions overdue will be cleaned up now" in (await shown.texts("dialog.ask .says"))[0]
        await shown.confirm()
        await shown.said("Cleanups go on.")
        await shown.page.locator(".banner").wait_for(state="detached")
        await shown.page.locator("#audit tbody tr", has_text="backend moves").wait_for()


@pytest.mark.parametrize("minutes", ["0", "1441", ""])
async def test_a_pause_is_a_day_at_most(show: Show, minutes: str) -> None:
    """The browser refuses what the service would."""
    async with show(World()) as shown:
        await shown.page.locator("#pause").click()
        await shown.page.get_by_label("Reason").fill("why")
        await shown.page.get_by_label("For how many minutes").fill(minutes)
        await shown.confirm()
        assert await shown.page.locator("dialog.ask input:invalid").count() == 1
        assert shown.admin.posted == []
