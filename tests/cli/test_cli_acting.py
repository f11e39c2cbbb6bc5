"""The commands that act: what they ask of the service, and what they say was done. All of it with `--yes`."""

from typing import Any

import pytest
from cli_service import Asked, FakeApi, Refuses

EXTENDED = {"expires_at": "2026-11-25T09:30:00.000Z", "extension": {"granted_seconds": 1800.0, "partial": False}}
VM = {"lab_request_id": "vm-1", "created_at": "2026-11-25T01:00:00.000Z", "age_seconds": 7200.5, "user_id": "ann"}


async def test_extend(api: FakeApi) -> None:
    """By minutes, or until an instant; what was granted is said."""
    api.answers["POST /sessions/ann/extend"] = EXTENDED
    ran = await api.run("extend", "ann", "--minutes", "30", "--reason", "exam")
    assert (ran.status, ran.out) == (0, "it ends at 2026-11-25 09:30:00 UTC, 30m 0s later\n")
    await api.run("extend", "ann", "--until", "2026-11-25T09:30:00Z")
    assert [asked.body for asked in api.asked] == [
        {"minutes": 30.0, "reason": "exam"},
        {"until": "2026-11-25T09:30:00Z"},
    ]


async def test_less_time_and_a_part_of_it_are_said(api: FakeApi) -> None:
    """A negative number of minutes shortens."""
    shortened = {"granted_seconds": -60.0, "partial": False}
    api.answers["POST /sessions/ann/extend"] = EXTENDED | {"extension": shortened}
    assert "1m 0s earlier" in (await api.run("extend", "ann", "--minutes=-1")).out
    api.answers["POST /sessions/ann/extend"] = EXTENDED | {"extension": {"granted_seconds": 5.0, "partial": True}}
    assert "all that the limit allows" in (await api.run("extend", "ann", "--minutes", "9")).out


@pytest.mark.parametrize("options", [[], ["--minutes", "1", "--until", "2026-11-25T09:30:00Z"]])
async def test_how_long_must_be_said_once(api: FakeApi, options: list[str]) -> None:
    """For extensions and pauses."""
    assert (await api.run("extend", "ann", *options)).status == 2
    assert (await api.run("pause", "--reason", "r", *options)).status == 2
    assert api.asked == []


async def test_end(api: FakeApi) -> None:
    """The reason goes along; without one there is none."""
    api.answers["POST /sessions/a b/end"] = {"user_id": "a b"}
    ran = await api.run("end", "a b", "--yes", "--reason", "cheating")
    assert (ran.status, "ends now" in ran.out) == (0, True)
    await api.run("end", "a b", "--yes")
    assert [asked.body for asked in api.asked] == [{"reason": "cheating"}, {}]


async def test_retry_of_one_user_needs_no_confirmation(api: FakeApi) -> None:
    """It does no more than what would be done anyway."""
    api.answers["POST /sessions/ann/retry"] = {"user_id": "ann", "session_ids": ["s"], "vms": ["vm-1", "vm-2"]}
    ran = await api.run("retry", "ann")
    assert (ran.status, ran.out) == (0, "the next attempt is due now, for vm-1, vm-2\n")


@pytest.mark.parametrize(
    ("options", "which"),
    [
        (["--all-stuck"], {"status": "stuck"}),
        (["--error", "HTTP 503"], {"error": "HTTP 503"}),
        (["--all-stuck", "--error", "x", "--reason", "r"], {"status": "stuck", "error": "x", "reason": "r"}),
    ],
)
async def test_retry_of_many_is_counted_first(api: FakeApi, options: list[str], which: dict[str, Any]) -> None:
    """What is confirmed is that number: the service refuses if there is another one by then."""

    def answer(asked: Asked) -> dict[str, Any]:
        dry = asked.body["dry_run"]
        return {"matched": 3, "retried": 0 if dry else 3, "running": 0, "failed": 0, "dry_run": dry}

    api.answers["POST /retry"] = answer
    ran = await api.run("retry", *options, "--yes")
    assert (ran.status, ran.out) == (0, "3 of 3 are due now; they are tried at the usual pace\n")
    assert [asked.body for asked in api.asked] == [
        {**which, "dry_run": True},
        {**which, "dry_run": False, "expected": 3},
    ]


async def test_what_was_not_done_of_many_is_said(api: FakeApi) -> None:
    """Some are being tried already, which is no fault; one that could not be told is, and its status is 1."""
    answer = {"matched": 5, "retried": 3, "running": 2, "failed": 0, "dry_run": False}
    api.answers["POST /retry"] = answer
    ran = await api.run("retry", "--all-stuck", "--yes")
    assert (ran.status, ran.out.splitlines()[1]) == (0, "2 are being tried already")
    api.answers["POST /retry"] = answer | {"running": 1, "failed": 1}
    ran = await api.run("retry", "--all-stuck", "--yes")
    assert (ran.status, "1 could not be told" in ran.err) == (1, True)


async def test_if_none_waits_nothing_is_asked_or_done(api: FakeApi) -> None:
    """Without `--yes`, too."""
    api.answers["POST /retry"] = {"matched": 0, "retried": 0, "dry_run": True}
    ran = await api.run("retry", "--all-stuck")
    assert (ran.status, ran.out, len(api.asked)) == (0, "none waits for a retry\n", 1)


async def test_another_number_by_then_is_1(api: FakeApi) -> None:
    """In the service's words."""

    def answer(asked: Asked) -> Any:
        if asked.body["dry_run"]:
            return {"matched": 3, "retried": 0, "dry_run": True}
        return Refuses(409, "changed", "There are 4")

    api.answers["POST /retry"] = answer
    ran = await api.run("retry", "--all-stuck", "--yes")
    assert (ran.status, ran.err) == (1, "labsessions: There are 4\n")


@pytest.mark.parametrize("options", [[], ["ann", "--all-stuck"], ["ann", "--error", "x"]])
async def test_retry_wants_to_know_whom(api: FakeApi, options: list[str]) -> None:
    """One user or many, not both and not none."""
    assert (await api.run("retry", *options, "--yes")).status == 2
    assert api.asked == []


async def test_forget_says_which_vms_may_still_run(api: FakeApi) -> None:
    """By name; the reason must be there."""
    api.answers["POST /sessions/ann/forget"] = {"user_id": "ann", "session_ids": ["s"], "vms": ["vm-1"]}
    assert (await api.run("forget", "ann", "--yes")).status == 2
    ran = await api.run("forget", "ann", "--yes", "--reason", "gone", "--session-id", "s-1")
    assert (ran.status, ran.out) == (0, "forgotten; look at the backend, these may still run: vm-1\n")
    assert [asked.body for asked in api.asked] == [{"reason": "gone", "session_id": "s-1"}]


async def test_pause_and_resume(api: FakeApi) -> None:
    """The answer says until when, by whom and why; without options the state is shown."""
    paused = {"since": "2026-11-25T08:00:00.000Z", "until": "2026-11-25T09:00:00.000Z", "reason": "move", "by": "olga"}
    api.answers["GET /pause"] = api.answers["POST /pause"] = {"paused": paused}
    api.answers["POST /resume"] = {"paused": None}
    said = "cleanups are paused until 2026-11-25 09:00:00 UTC, by olga: move\n"
    assert (await api.run("pause", "--minutes", "60", "--reason", "move")).out == said
    assert (await api.run("pause")).out == said
    assert (await api.run("resume")).out == "cleanups are not paused\n"
    assert [(asked.method, asked.body) for asked in api.asked] == [
        ("POST", {"minutes": 60.0, "reason": "move"}),
        ("GET", None),
        ("POST", {}),
    ]
    assert (await api.run("pause", "--minutes", "5")).status == 2  # nobody would know why


# --- webhooks ----------------------------------------------------------------------------------------------

WEBHOOK = {
    "name": "lms",
    "url": "https://lms.example",
    "state": "disabled",
    "cursor": 7,
    "lag": 3,
    "last_error": "HTTP 410",
    "next_attempt_at": None,
    "dead_letters": 2,
}


async def test_webhooks(api: FakeApi) -> None:
    """Where they stand; calling again; sending once more."""
    api.answers["GET /webhooks"] = {"endpoints": [WEBHOOK]}
    api.answers["POST /webhooks/a b/enable"] = WEBHOOK | {"state": "active"}
    api.answers["POST /webhooks/lms/replay"] = {"from_seq": 4, "events": 9, "dead_letters": 2}
    assert (await api.run("webhooks", "list")).out.splitlines()[1].split()[:3] == [
        "lms",
        "https://lms.example",
        "disabled",
    ]
    assert (await api.run("webhooks", "enable", "a b")).out == "lms is active\n"
    ran = await api.run("webhooks", "replay", "lms", "--from-seq", "4", "--dead-letters")
    assert ran.out == "9 events and 2 dead letters are sent once more\n"
    await api.run("webhooks", "replay", "lms", "--from-seq", "4")
    assert [asked.body for asked in api.asked[-2:]] == [{"from_seq": 4, "dead_letters": True}, {"from_seq": 4}]
    assert (await api.run("webhooks", "replay", "lms")).status == 2


async def test_all_dead_letters_are_shown(api: FakeApi) -> None:
    """Page by page."""
    letter = {"type": "session.created", "at": "2026-11-25T08:00:00.000Z", "attempts": 9}
    letter |= {"given_up_at": "2026-11-25T09:00:00.000Z", "last_error": "HTTP 500"}

    def page(asked: Asked) -> dict[str, Any]:
        after = int(asked.query.get("after", "0"))
        return {"dead_letters": [letter | {"seq": after + 1}], "next_after": None if after == 1 else after + 1}

    api.answers["GET /webhooks/lms/dead-letters"] = page
    assert [
        each["seq"] for each in (await api.run("webhooks", "dead-letters", "lms", "--json")).json()["dead_letters"]
    ] == [
        1,
        2,
    ]
    assert "HTTP 500" in (await api.run("webhooks", "dead-letters", "lms")).out


# --- orphans -----------------------------------------------------------------------------------------------


async def test_a_report_of_orphans_is_a_finding(api: FakeApi) -> None:
    """Exit status 1 if there are any, 0 if none."""
    api.answers["GET /orphans"] = {"listed": 3, "known": 2, "total": 1, "orphans": [VM]}
    ran = await api.run("orphans")
    assert ran.status == 1
    assert "vm-1" in ran.out
    assert "2h 0m" in ran.out
    assert "1 of 3 VMs are orphans, 2 are known here" in ran.out
    none = {"listed": 3, "known": 3, "total": 0, "orphans": []}
    api.answers["GET /orphans"] = none
    ran = await api.run("orphans", "--json")
    assert (ran.status, ran.json()) == (0, none)


def swept(asked: Asked, vms: list[dict[str, Any]], failing: str | None = None) -> dict[str, Any]:
    """What the service answers to an order about these VMs."""
    body = asked.body
    if body["dry_run"]:
        return {"dry_run": True, "matched": len(vms) + 5, "deleted": 0, "failed": 0, "stopped": None, "vms": vms}
    names = body["lab_request_ids"]
    done = [
        {"lab_request_id": name, "outcome": "failed" if name == failing else "deleted", "error": None} for name in names
    ]
    for each in done:
        each["error"] = "HTTP 500" if each["outcome"] == "failed" else None
    failed = sum(each["outcome"] == "failed" for each in done)
    stopped = "the backend is down" if failed else None
    return {"matched": len(names), "deleted": len(names) - failed, "failed": failed, "stopped": stopped, "vms": done}


async def test_a_sweep_deletes_what_the_preview_has_shown_and_nothing_else(api: FakeApi) -> None:
    """Slice by slice, each with the names that were confirmed."""
    vms = [VM | {"lab_request_id": f"vm-{n}"} for n in range(23)]
    api.answers["POST /orphans/sweep"] = lambda asked: swept(asked, vms)
    ran = await api.run(
        "orphans", "--sweep", "--min-age", "90", "--max", "23", "--unknown-age", "--reason", "r", "--yes"
    )
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "23 deleted, 0 failed, of 23")
    first, *slices = (asked.body for asked in api.asked)
    assert first == {
        "min_age_minutes": 90.0,
        "unknown_age": True,
        "none_known": False,
        "reason": "r",
        "max": 23,
        "dry_run": True,
    }
    assert [len(each["lab_request_ids"]) for each in slices] == [10, 10, 3]
    assert [name for each in slices for name in each["lab_request_ids"]] == [each["lab_request_id"] for each in vms]
    assert {each["min_age_minutes"] for each in slices} == {90.0}


async def test_a_sweep_that_is_stopped_is_1_and_goes_no_further(api: FakeApi) -> None:
    """What failed, and why it ended, is said."""
    vms = [VM | {"lab_request_id": f"vm-{n}"} for n in range(23)]
    api.answers["POST /orphans/sweep"] = lambda asked: swept(asked, vms, failing="vm-12")
    ran = await api.run("orphans", "--sweep", "--yes")
    assert (ran.status, ran.out.splitlines()[-1], len(api.asked)) == (1, "19 deleted, 1 failed, of 23", 3)
    assert "vm-12: HTTP 500" in ran.err
    assert "the backend is down" in ran.err
    document = (await api.run("orphans", "--sweep", "--yes", "--json")).json()
    assert (document["deleted"], document["failed"], document["stopped"]) == (19, 1, "the backend is down")


async def test_no_orphan_of_that_age_is_done(api: FakeApi) -> None:
    """Nobody is asked, nothing is deleted."""
    api.answers["POST /orphans/sweep"] = lambda asked: swept(asked, [])
    ran = await api.run("orphans", "--sweep")
    assert (ran.status, ran.out, len(api.asked)) == (0, "no orphan of that age\n", 1)


@pytest.mark.parametrize("option", ["--yes", "--unknown-age", "--none-known"])
async def test_what_belongs_to_a_sweep_is_refused_without_one(api: FakeApi, option: str) -> None:
    """Who wrote it meant something else than a report."""
    assert (await api.run("orphans", option)).status == 2
