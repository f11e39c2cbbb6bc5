"""The promises of the contract, over what the clients, the backend and the database remember. Pure functions.

Nothing here waits or asks: `Violation` values come out, each with all that is remembered about its session.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crash_memory import Exchange, Known, Memory

from labsessions.mockbackend import Call


class Ended(NamedTuple):
    """A line of the history."""

    id: str
    user: str
    reason: str


@dataclass(frozen=True, slots=True)
class Violation:
    """`rule` was broken for this session: `found` is how, `remembered` all that is known of it, a line each."""

    rule: str
    session: str
    found: str
    remembered: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For whoever has to find the fault."""
        return "\n  ".join((f"{self.rule}: {self.session}: {self.found}", *self.remembered))


def check(
    memories: Sequence[Memory], calls: Sequence[Call], history: Sequence[Ended], rows: Collection[str], now_ms: int
) -> list[Violation]:
    """All that is broken at `now_ms`, when every lab whose time ended should be done with.

    `calls` are in the order of arrival, `rows` the ids that `labs_sessions` shows.
    """
    by_vm: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_vm[str(call.lab_request_id)].append(call)
    lines = Counter(line.id for line in history)
    reasons = {line.id: line for line in history}
    found: list[Violation] = list(strangers(memories, calls, history))
    for memory in memories:
        found += untrue(memory)
        for known in memory.sessions.values():
            mine = [call for vm in known.possible for call in by_vm.get(vm, ())]
            broken = [
                *early(known, mine),
                *late(known, mine),
                *foreign(known, mine),
                *unconfirmed(known, mine, reasons.get(known.id)),
                *ended_once(known, lines[known.id], reasons.get(known.id)),
                *overdue(memory, known, now_ms),
                *shown(known, rows),
            ]
            if broken:
                remembered = _remembered(memory.about(known.id), mine, known, reasons.get(known.id))
                found += (Violation(rule, known.id, what, remembered) for rule, what in broken)
    return found


Broken = Iterator[tuple[str, str]]


def untrue(memory: Memory) -> Iterator[Violation]:
    """Every answer fits what was acknowledged before, with or without what was lost since."""
    for exchange in memory.untrue:
        place = memory.exchanges.index(exchange)
        remembered = tuple(str(earlier) for earlier in memory.exchanges[max(0, place - 12) : place])
        yield Violation("an answer isn't true", memory.user, str(exchange), remembered)


def early(known: Known, calls: Iterable[Call]) -> Broken:
    """No call arrives before the deadline in force, not by a millisecond."""
    for call in calls:
        if call.at_ms < known.first_call_ms:
            yield "a call before the deadline", f"{known.first_call_ms - call.at_ms} ms early: call {call.seq}"


def late(known: Known, calls: Iterable[Call]) -> Broken:
    """Once a client was told that a session is gone, no further call is started for it."""
    for call in calls:
        if known.fence is not None and call.seq > known.fence:
            yield "a call for a session that is gone", f"call {call.seq} was started after call {known.fence}"


def foreign(known: Known, calls: Iterable[Call]) -> Broken:
    """A call names the user whose VM it is."""
    for call in calls:
        if call.route == "delete" and call.user_id != known.user:
            yield "a call in another user's name", f"call {call.seq} for {call.user_id}"


def unconfirmed(known: Known, calls: Iterable[Call], line: Ended | None) -> Broken:
    """A session that has ended by itself has left no VM behind: each was confirmed before anybody was told."""
    if known.gone is None or known.deleted:
        return
    if (line is None and not known.certain) or (known.asked_to_delete and (line is None or line.reason == "deleted")):
        return
    done = {call.lab_request_id for call in calls if _confirms(call) and call.seq <= (known.fence or call.seq)}
    for vm in known.owed or (known.id,):
        if vm not in done:
            yield "a VM is left behind", f"{vm} was not confirmed when the session was gone"


def overdue(memory: Memory, known: Known, now_ms: int) -> Broken:
    """A session whose time is over is gone by now."""
    if any(life is not None and life.id == known.id and life.expires_ms <= now_ms for life in memory.worlds):
        yield "not cleaned up in time", f"nobody was told by {now_ms} that it is gone"


def shown(known: Known, rows: Collection[str]) -> Broken:
    """`labs_sessions` shows the sessions that are, and no other."""
    if known.gone is not None and known.id in rows:
        yield "labs_sessions", "still shows it"
    if known.gone is None and known.certain and known.id not in rows:
        yield "labs_sessions", "doesn't show it"


def ended_once(known: Known, lines: int, line: Ended | None) -> Broken:
    """A session that is gone stands in the history once, for the reason that is known; one that is here doesn't."""
    if lines > 1:
        yield "history", f"stands there {lines} times"
    if line is None:
        if known.gone is not None and known.certain:
            yield "history", "is missing"
        return
    if known.gone is None:
        yield "history", f"has ended ({line.reason}), and nobody was told"
    if line.user != known.user:
        yield "history", f"is {line.user}'s there"
    if known.deleted and line.reason != "deleted":
        yield "history", f"was deleted by hand, and is {line.reason} there"
    if line.reason == "deleted" and not known.asked_to_delete:
        yield "history", "nobody has deleted it"


def strangers(memories: Iterable[Memory], calls: Iterable[Call], history: Iterable[Ended]) -> Iterator[Violation]:
    """Nothing is called for and nothing has ended that no client has asked for."""
    sessions = {known.id: known for memory in memories for known in memory.sessions.values()}
    vms = {vm for known in sessions.values() for vm in known.possible}
    for call in calls:
        if call.lab_request_id is not None and call.lab_request_id not in vms:
            yield Violation("a call for nobody's VM", call.lab_request_id, _told(call))
    for line in history:
        if line.id not in sessions:
            yield Violation("history", line.id, "nobody has created it")


def counts(memories: Iterable[Memory], calls: Iterable[Call]) -> Mapping[str, int]:
    """The figures of a run: what was acknowledged, refused, lost, and called."""
    figures: Counter[str] = Counter()
    for memory in memories:
        figures["sessions"] += sum(known.certain for known in memory.sessions.values())
        figures["sessions that may have been"] += sum(not known.certain for known in memory.sessions.values())
        for exchange in memory.exchanges:
            figures[f"{exchange.kind} {exchange.status or 'lost'}"] += 1
            figures["acknowledgements"] += exchange.status in {200, 201}
            figures["answers lost"] += exchange.status is None
    for call in calls:
        figures["calls"] += 1
        figures["VMs confirmed"] += _confirms(call)
        figures["calls with a fault"] += call.fault is not None
        figures["calls that the service died in or gave up"] += call.status in {"cancelled", "hung"}
    return dict(sorted(figures.items()))


def _confirms(call: Call) -> bool:
    return call.route == "delete" and call.work_done and isinstance(call.status, int)


def _remembered(
    exchanges: Iterable[Exchange], calls: Iterable[Call], known: Known, line: Ended | None
) -> tuple[str, ...]:
    told = sorted(
        [(exchange.sent_ms, str(exchange)) for exchange in exchanges] + [(call.at_ms, _told(call)) for call in calls]
    )
    return (*(text for _, text in told), str(known), f"in the history: {line}")


def _told(call: Call) -> str:
    what = f"call {call.seq} at {call.at_ms}, ended {call.ended_ms}: {call.route} {call.lab_request_id}"
    return f"{what} for {call.user_id}: {call.status}, fault {call.fault}, work done {call.work_done}"
