"""Expectation against outcome: pure functions over what the client was told and what the backend was asked.

Nothing here talks to anybody, and nothing counts but the evidence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from msgspec import Struct

from labsessions.demo.scenarios import RETRY_SECONDS, RETRY_SPREAD, Scenario
from labsessions.mockbackend import Call

PROMPT_MS: Final = 1000  # "promptly" (CONTRACT §3.3) for people who watch; a busy machine stays far below


@dataclass(slots=True)
class Seen:
    """What one client was told: its answers, each deadline, and the error of each failed attempt while `cleaning`."""

    answers: list[str] = field(default_factory=list)
    created_ms: int = 0
    deadlines_ms: list[int] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)


class Verdict(Struct, frozen=True):
    """What happened in a scenario, in words, and in what it differs from the expectation."""

    happened: str
    differences: tuple[str, ...]


def judge(scenario: Scenario, seen: Seen, calls: Sequence[Call], read_ms: int) -> Verdict:
    """The verdict on one scenario; `calls` is the backend's whole record, read at `read_ms`."""
    own = [call for call in calls if call.lab_request_id in scenario.vms or call.user_id == scenario.user]
    differences = [*_answers(scenario, seen), *_strangers(scenario, own), *_failures_seen(scenario, seen)]
    if seen.deadlines_ms:
        differences += _deadlines(scenario, seen)
        differences += _deletions(scenario, own)
        differences += _times(scenario, own, seen.deadlines_ms[-1], read_ms)
    return Verdict(_happened(seen, own, read_ms), tuple(differences))


def confirmed(call: Call) -> bool:
    """Whether the backend did the work and said so."""
    return call.work_done and isinstance(call.status, int) and call.status // 100 == 2  # noqa: PLR2004 - a 2xx


def _answers(scenario: Scenario, seen: Seen) -> Iterator[str]:
    if tuple(seen.answers) != scenario.answers:
        was = ", ".join(seen.answers) or "nothing"
        yield f"the client was answered {was} instead of {', '.join(scenario.answers)}"


def _strangers(scenario: Scenario, own: Sequence[Call]) -> Iterator[str]:
    """Calls in the user's name for a VM that is not the user's, or for nobody's VM."""
    for call in own:
        if call.lab_request_id not in scenario.vms or call.user_id not in {None, scenario.user}:
            yield f"{call.lab_request_id} was asked for in the name of {call.user_id}"


def _failures_seen(scenario: Scenario, seen: Seen) -> Iterator[str]:
    for attempt in range(1, scenario.failures + 1):
        if attempt not in seen.failures:
            yield f"the failure of attempt {attempt} was never to be seen in the session"


def _deadlines(scenario: Scenario, seen: Seen) -> Iterator[str]:
    durations_ms = tuple(deadline_ms - seen.created_ms for deadline_ms in seen.deadlines_ms)
    if durations_ms != scenario.durations_ms:
        told, wanted = (", ".join(map(str, each)) for each in (durations_ms, scenario.durations_ms))
        yield f"the deadline was {told} ms after the creation instead of {wanted} ms"


def _deletions(scenario: Scenario, own: Sequence[Call]) -> Iterator[str]:
    """Which VMs were asked for, in which order, how often, and with what answers."""
    attempts = scenario.failures + 1 if scenario.owed else 0
    services = [call for call in own if call.route == "expose"]
    if len(services) != attempts:
        yield f"exposed services were asked for {len(services)}×, not {attempts}×"
    for vm in scenario.vms:
        asked = _deletions_of(vm, own)
        # Only the master meets failures here, so each other VM is confirmed by its first call and left alone.
        wanted = (attempts if vm == scenario.vms[0] else 1) if vm in scenario.owed else 0
        if wanted and not any(confirmed(call) for call in asked):
            yield f"{vm} is leaked: its deletion was never confirmed"
        if asked and len(asked) != wanted:
            yield f"{vm} was asked for {len(asked)}×, not {wanted}×"
        elif any(confirmed(call) for call in asked[:-1]):
            yield f"{vm} was asked for again although it was confirmed"
    order = tuple(dict.fromkeys(call.lab_request_id for call in own if call.route == "delete"))
    if set(order) == set(scenario.owed) and order != scenario.owed:
        yield f"asked in the order {', '.join(str(vm) for vm in order)}"


def _times(scenario: Scenario, own: Sequence[Call], deadline_ms: int, read_ms: int) -> Iterator[str]:
    """Never early, promptly, and retried at the interval; for a lab that nobody asks for: watched long enough."""
    for call in own:
        if call.at_ms < deadline_ms:
            yield f"{call.route} of {call.lab_request_id} came {deadline_ms - call.at_ms} ms before the deadline"
    if own and own[0].at_ms - deadline_ms > PROMPT_MS:
        yield f"the first call came {own[0].at_ms - deadline_ms} ms after the deadline, not within {PROMPT_MS} ms"
    if not scenario.owed and read_ms - deadline_ms < PROMPT_MS:
        yield f"the backend was not watched until {PROMPT_MS} ms after the deadline"
    asked = _deletions_of(scenario.vms[0], own)
    for before, after in pairwise(asked):
        pause = after.at_ms - (before.ended_ms or before.at_ms)
        if not RETRY_SECONDS * 1000 <= pause <= RETRY_SECONDS * 1000 * (1 + RETRY_SPREAD) + PROMPT_MS:
            yield f"{after.lab_request_id} was tried again after {pause} ms, not at the interval of {RETRY_SECONDS:g} s"


def _deletions_of(vm: str, calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.route == "delete" and call.lab_request_id == vm]


def _happened(seen: Seen, own: Sequence[Call], read_ms: int) -> str:
    """The facts, one to a line."""
    if not seen.deadlines_ms:
        return f"no session: {', '.join(seen.answers) or 'no answer'}"
    lines: list[str] = []
    deadline_ms = seen.deadlines_ms[-1]
    if (moved := deadline_ms - seen.deadlines_ms[0]) != 0:
        lines.append(f"deadline moved by {moved / 1000:g} s")
    if own:
        lines.append(f"first call {_beside(own[0].at_ms - deadline_ms)} the deadline")
    else:
        lines.append(f"no call until {_beside(read_ms - deadline_ms)} the deadline")
    for vm in dict.fromkeys(call.lab_request_id for call in own if call.route == "delete"):
        asked = _deletions_of(str(vm), own)
        outcome = "deleted" if any(confirmed(call) for call in asked) else "not deleted"
        lines.append(f"{vm} {outcome} ({', '.join(str(call.status or 'no answer') for call in asked)})")
    if seen.failures:
        numbers = " and ".join(str(attempt) for attempt in sorted(seen.failures))
        lines.append(f"listed as cleaning, failure of attempt {numbers} seen")
    lines.append("session gone" if "GET 404" in seen.answers else "session not gone")
    return "\n".join(lines)


def _beside(ms: int) -> str:
    return f"{ms} ms after" if ms >= 0 else f"{-ms} ms before"
