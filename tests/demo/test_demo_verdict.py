"""The demo's judgement: what went as expected is accepted, and each kind of failure is named as a difference."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from labsessions.demo.scenarios import RETRY_SECONDS, SCENARIOS, Scenario
from labsessions.demo.verdict import PROMPT_MS, Seen, Verdict, judge
from labsessions.mockbackend import Call

CREATED_MS = 1_000_000
RETRY_MS = round(RETRY_SECONDS * 1000)
READ_MS = CREATED_MS + 60_000

SINGLE, KUBERNETES, FAILS_TWICE, BY_HAND, EXTENDED = SCENARIOS


def good_seen(scenario: Scenario) -> Seen:
    """What the client is told if all goes well."""
    return Seen(
        answers=list(scenario.answers),
        created_ms=CREATED_MS,
        deadlines_ms=[CREATED_MS + duration for duration in scenario.durations_ms],
        failures=dict.fromkeys(range(1, scenario.failures + 1), "HTTP 503"),
    )


def call(scenario: Scenario, at_ms: int, vm: str, **changes: Any) -> Call:
    """A deletion of the VM, confirmed a millisecond later."""
    good = Call(
        seq=at_ms,
        at_ms=at_ms,
        route="delete",
        method="POST",
        authorized=True,
        content_type="application/json",
        lab_request_id=vm,
        user_id=scenario.user,
        status=202,
        work_done=True,
        ended_ms=at_ms + 1,
    )
    return replace(good, **changes)


def good_calls(scenario: Scenario) -> list[Call]:
    """What the backend is asked if all goes well: per attempt the services, then the VMs."""
    calls: list[Call] = []
    at_ms = good_seen(scenario).deadlines_ms[-1]
    for attempt in range(scenario.failures + 1 if scenario.owed else 0):
        calls.append(call(scenario, at_ms, scenario.vms[0], route="expose", user_id=None, status=200))
        refused = {"status": 503, "work_done": False} if attempt < scenario.failures else {}
        calls += [call(scenario, at_ms, vm, **refused) for vm in scenario.owed]
        at_ms += 1 + RETRY_MS
    return calls


def judged(
    scenario: Scenario, calls: Sequence[Call] | None = None, seen: Seen | None = None, read_ms: int = READ_MS
) -> Verdict:
    """The verdict, with good evidence where none is given."""
    return judge(scenario, seen or good_seen(scenario), good_calls(scenario) if calls is None else calls, read_ms)


def shifted(calls: Sequence[Call], ms: int) -> list[Call]:
    """The same calls so much later."""
    return [replace(each, at_ms=each.at_ms + ms, ended_ms=(each.ended_ms or 0) + ms) for each in calls]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.user)
def test_what_goes_as_expected_is_accepted(scenario: Scenario) -> None:
    """Good evidence has no differences, and other users' calls are no matter."""
    others = [each for other in SCENARIOS if other is not scenario for each in good_calls(other)]
    verdict = judged(scenario, [*others, *good_calls(scenario)])
    assert verdict.differences == ()
    assert "session gone" in verdict.happened


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.user)
def test_a_session_that_does_not_end_is_a_difference(scenario: Scenario) -> None:
    """The 404 at the end is part of every expectation; a deadline of the demo that was missed looks like this."""
    seen = good_seen(scenario)
    seen.answers.remove("GET 404")
    verdict = judged(scenario, seen=seen)
    assert [each for each in verdict.differences if "the client was answered" in each]
    assert "session not gone" in verdict.happened


@pytest.mark.parametrize(("late_ms", "words"), [(-1, "1 ms before the deadline"), (0, None), (1, None)])
def test_a_call_before_the_deadline_is_a_difference(late_ms: int, words: str | None) -> None:
    """Not a millisecond before the deadline; on it is in time."""
    verdict = judged(SINGLE, shifted(good_calls(SINGLE), late_ms))
    assert bool(verdict.differences) == (words is not None)
    assert words is None or all(words in each for each in verdict.differences)
    assert ("before" in verdict.happened) == (words is not None)


def test_exposed_services_that_are_deleted_early_are_a_difference_too() -> None:
    """The first of the calls may not come early either, though the VM's deletion is in time."""
    services, deletion = good_calls(SINGLE)
    verdict = judged(SINGLE, [replace(services, at_ms=services.at_ms - 1), deletion])
    assert verdict.differences == ("expose of alice-vm came 1 ms before the deadline",)


@pytest.mark.parametrize(("late_ms", "differences"), [(PROMPT_MS - 1, 0), (PROMPT_MS, 0), (PROMPT_MS + 1, 1)])
def test_a_late_cleanup_is_a_difference(late_ms: int, differences: int) -> None:
    """Promptly means within a second."""
    verdict = judged(SINGLE, shifted(good_calls(SINGLE), late_ms))
    assert len(verdict.differences) == differences
    assert f"{late_ms} ms after the deadline" in verdict.happened


@pytest.mark.parametrize("vm", KUBERNETES.vms)
def test_a_vm_that_is_never_asked_for_is_leaked(vm: str) -> None:
    """Master or worker: each is owed its deletion."""
    calls = [each for each in good_calls(KUBERNETES) if (each.route, each.lab_request_id) != ("delete", vm)]
    verdict = judged(KUBERNETES, calls)
    assert verdict.differences == (f"{vm} is leaked: its deletion was never confirmed",)


@pytest.mark.parametrize(
    "outcome",
    [
        {"status": 503, "work_done": False},
        {"status": "dropped"},
        {"status": None, "ended_ms": None},
        {"status": 307},
        {"work_done": False},
    ],
    ids=str,
)
def test_a_vm_whose_deletion_is_not_confirmed_is_leaked(outcome: dict[str, Any]) -> None:
    """Only a 2xx for work that was done counts."""
    services, deletion = good_calls(SINGLE)
    verdict = judged(SINGLE, [services, replace(deletion, **outcome)])
    assert verdict.differences == ("alice-vm is leaked: its deletion was never confirmed",)
    assert "alice-vm not deleted" in verdict.happened


def test_nothing_asked_at_all_is_a_difference() -> None:
    """A service that forgets its sessions."""
    verdict = judged(SINGLE, [])
    assert "alice-vm is leaked: its deletion was never confirmed" in verdict.differences
    assert "no call until" in verdict.happened


def test_a_vm_that_is_asked_for_twice_is_a_difference() -> None:
    """What is confirmed is never asked for again."""
    calls = good_calls(KUBERNETES)
    assert judged(KUBERNETES, [*calls, calls[-1]]).differences == ("bob-worker-2 was asked for 2×, not 1×",)


def test_the_wrong_order_is_a_difference() -> None:
    """The master first, then the workers in order."""
    services, master, first, second = good_calls(KUBERNETES)
    verdict = judged(KUBERNETES, [services, master, second, first])
    assert verdict.differences == ("asked in the order bob-vm, bob-worker-2, bob-worker-1",)


def test_services_that_are_not_asked_for_are_a_difference() -> None:
    """Each attempt begins with the exposed services."""
    assert judged(SINGLE, good_calls(SINGLE)[1:]).differences == ("exposed services were asked for 0×, not 1×",)


def test_somebody_elses_vm_in_the_users_name_is_a_difference() -> None:
    """Neither a foreign VM nor one's own in a foreign name."""
    calls = good_calls(SINGLE)
    foreign = judged(SINGLE, [*calls, call(SINGLE, calls[-1].at_ms, "zoe-vm")])
    assert foreign.differences == ("zoe-vm was asked for in the name of alice",)
    assert judged(SINGLE, [calls[0], replace(calls[1], user_id="zoe")]).differences == (
        "alice-vm was asked for in the name of zoe",
    )


def test_a_missing_attempt_is_a_difference() -> None:
    """Three attempts are two failures and a success; after two the VM is leaked."""
    verdict = judged(FAILS_TWICE, good_calls(FAILS_TWICE)[:4])
    assert verdict.differences == (
        "exposed services were asked for 2×, not 3×",
        "carol-vm is leaked: its deletion was never confirmed",
        "carol-vm was asked for 2×, not 3×",
    )
    assert "carol-vm not deleted (503, 503)" in verdict.happened


def test_an_attempt_after_the_confirmation_is_a_difference() -> None:
    """Also if the number of attempts is right."""
    calls = good_calls(FAILS_TWICE)
    calls[3] = replace(calls[3], status=202, work_done=True)
    assert judged(FAILS_TWICE, calls).differences == ("carol-vm was asked for again although it was confirmed",)


@pytest.mark.parametrize(
    ("pause_ms", "accepted"),
    [
        (RETRY_MS - 1, False),
        (RETRY_MS, True),
        (RETRY_MS + 1, True),
        (RETRY_MS * 11 // 10 + PROMPT_MS, True),
        (RETRY_MS * 11 // 10 + PROMPT_MS + 1, False),
    ],
)
def test_a_retry_before_or_long_after_the_interval_is_a_difference(pause_ms: int, *, accepted: bool) -> None:
    """From the failure to the next attempt: the interval, plus at most the spread and what "promptly" means."""
    calls = good_calls(FAILS_TWICE)
    verdict = judged(FAILS_TWICE, [*calls[:4], *shifted(calls[4:], pause_ms - RETRY_MS)])
    assert (verdict.differences == ()) == accepted
    assert accepted or f"carol-vm was tried again after {pause_ms} ms" in verdict.differences[0]


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_failure_that_the_session_does_not_show_is_a_difference(attempt: int) -> None:
    """`cleaning` with the last error is to be seen after each failed attempt."""
    seen = good_seen(FAILS_TWICE)
    del seen.failures[attempt]
    assert judged(FAILS_TWICE, seen=seen).differences == (
        f"the failure of attempt {attempt} was never to be seen in the session",
    )


@pytest.mark.parametrize("route", ["delete", "expose"])
def test_any_call_for_a_session_deleted_by_hand_is_a_difference(route: str) -> None:
    """Deleted by hand means that the backend is never asked, however late."""
    at_ms = CREATED_MS + BY_HAND.durations_ms[0] + 30_000
    verdict = judged(BY_HAND, [call(BY_HAND, at_ms, "dave-vm", route=route)])
    assert [each for each in verdict.differences if "1×, not 0×" in each]


@pytest.mark.parametrize(("after_ms", "differences"), [(PROMPT_MS - 1, 1), (PROMPT_MS, 0), (PROMPT_MS + 1, 0)])
def test_silence_counts_only_if_it_was_watched(after_ms: int, differences: int) -> None:
    """That nobody was asked says nothing before a late cleanup would have come."""
    verdict = judged(BY_HAND, [], read_ms=CREATED_MS + BY_HAND.durations_ms[0] + after_ms)
    assert len(verdict.differences) == differences
    assert f"no call until {after_ms} ms after the deadline" in verdict.happened


def test_a_call_at_the_old_deadline_is_a_difference() -> None:
    """After a PUT only the new deadline counts."""
    old_ms, new_ms = EXTENDED.durations_ms
    verdict = judged(EXTENDED, shifted(good_calls(EXTENDED), old_ms - new_ms))
    assert "delete of erin-vm came 3000 ms before the deadline" in verdict.differences


@pytest.mark.parametrize("off_ms", [-1, 1])
def test_a_deadline_that_the_service_gets_wrong_is_a_difference(off_ms: int) -> None:
    """Each deadline is the creation plus the duration, also the one that a PUT has moved."""
    seen = good_seen(EXTENDED)
    seen.deadlines_ms[-1] += off_ms
    verdict = judged(EXTENDED, shifted(good_calls(EXTENDED), off_ms), seen)
    assert verdict.differences == (
        f"the deadline was 3000, {6000 + off_ms} ms after the creation instead of 3000, 6000 ms",
    )


def test_a_put_that_is_ignored_is_a_difference() -> None:
    """Answered 200, but the deadline stays."""
    seen = good_seen(EXTENDED)
    seen.deadlines_ms = [seen.deadlines_ms[0]] * 2
    assert "the deadline was 3000, 3000 ms" in judged(EXTENDED, seen=seen).differences[0]


@pytest.mark.parametrize(("answers", "told"), [(["POST 500"], "POST 500"), ([], "nothing")])
def test_a_session_that_cannot_be_created_is_a_difference(answers: list[str], told: str) -> None:
    """There is no deadline to judge by then; the answer is the difference."""
    verdict = judged(SINGLE, [], Seen(answers=answers))
    assert verdict.differences == (f"the client was answered {told} instead of POST 201, GET 404",)
    assert "no session" in verdict.happened
