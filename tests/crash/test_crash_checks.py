"""Each promise, broken once in what is remembered, is told; what keeps them all is left alone."""

from dataclasses import replace

import pytest
from crash_checks import Ended, check
from crash_memory import Exchange, Memory, Shown

from labsessions.mockbackend import Call

USER, LAB, WORKER = "user", "user-0", "user-0-w"
DEADLINE = 60_010
LATER = 100_000
EXPIRED, DELETED = Ended(LAB, USER, "expired"), Ended(LAB, USER, "deleted")


def call(seq: int, vm: str, at_ms: int = DEADLINE, *, done: bool = True, user: str = USER) -> Call:
    """A deletion of a VM, confirmed if `done`."""
    status = 202 if done else 503
    made = Call(seq=seq, at_ms=at_ms, route="delete", method="POST", authorized=True, content_type="application/json")
    made.lab_request_id, made.user_id, made.status, made.work_done = vm, user, status, done
    return made


BOTH = [call(1, LAB), call(2, WORKER)]


def lab(*further: Exchange, fence: int | None = 2) -> Memory:
    """A lab of a minute from 10 on, with a worker that was added; the fence stands behind two calls."""
    seen = Shown(LAB, 1, (), 10, DEADLINE)
    memory = Memory(USER)
    memory.remember(Exchange("create", 5, 15, 201, LAB, minutes=1, workers=(), shown=seen))
    memory.remember(Exchange("put", 20, 30, 200, LAB, workers=(WORKER,), shown=replace(seen, workers=(WORKER,))))
    for exchange in further:
        for known in memory.remember(exchange):
            known.fence = fence
    return memory


GONE = Exchange("get", DEADLINE + 500, DEADLINE + 510, 404, LAB)
BY_HAND = Exchange("delete", 100, 110, 200, LAB)
LOST_BY_HAND = Exchange("delete", 100, 110, None, LAB)


def rules(
    memory: Memory, calls: list[Call], history: list[Ended], rows: tuple[str, ...] = (), now_ms: int = LATER
) -> set[str]:
    """The rules that are broken."""
    return {violation.rule for violation in check([memory], calls, history, rows, now_ms)}


def test_a_lab_that_ended_well() -> None:
    """Both VMs confirmed at the deadline, gone, once in the history."""
    assert rules(lab(GONE), BOTH, [EXPIRED]) == set()


def test_a_lab_that_was_deleted_by_hand() -> None:
    """No call is needed."""
    assert rules(lab(BY_HAND), [], [DELETED]) == set()


def test_a_lab_that_goes_on() -> None:
    """It is shown, and not in the history."""
    assert rules(lab(), [], [], rows=(LAB,), now_ms=DEADLINE - 1) == set()


def test_a_call_a_millisecond_early() -> None:
    """The deadline itself is not early."""
    assert rules(lab(GONE), [call(1, LAB, DEADLINE - 1), call(2, WORKER)], [EXPIRED]) == {"a call before the deadline"}


@pytest.mark.parametrize("end", [GONE, BY_HAND])
def test_a_call_that_was_started_after_the_end(end: Exchange) -> None:
    """The last call in front of the fence may have been on its way; the next one cannot."""
    line = EXPIRED if end is GONE else DELETED
    assert rules(lab(end), [*BOTH, call(3, WORKER)], [line]) == {"a call for a session that is gone"}


def test_a_call_that_was_on_its_way() -> None:
    """It died with the process, or arrived late: the delete was acknowledged in between."""
    memory = lab(Exchange("get", 20_000, 20_010, 200, LAB, shown=Shown(LAB, 1, (WORKER,), 10, DEADLINE)))
    for known in memory.remember(Exchange("delete", DEADLINE, DEADLINE + 10, 200, LAB)):
        known.fence = 2
    assert rules(memory, [call(1, LAB, done=False), call(2, WORKER, DEADLINE + 11)], [DELETED]) == set()


@pytest.mark.parametrize("calls", [[], [call(1, LAB)], [call(1, LAB), call(2, WORKER, done=False)]])
def test_a_vm_that_is_left_behind(calls: list[Call]) -> None:
    """Never asked for, or never confirmed; a worker that a PUT has added counts like the master."""
    assert rules(lab(GONE), calls, [EXPIRED]) == {"a VM is left behind"}


def test_a_vm_that_was_confirmed_after_the_session_was_told_gone() -> None:
    """Late is as wrong as never; and it is a call too many."""
    broken = {"a VM is left behind", "a call for a session that is gone"}
    assert rules(lab(GONE, fence=1), BOTH, [EXPIRED]) == broken


def test_a_lost_delete_leaves_both_ends_open() -> None:
    """The history tells which it was; if it expired, its VMs are confirmed."""
    assert rules(lab(LOST_BY_HAND, GONE), [], [DELETED]) == set()
    assert rules(lab(LOST_BY_HAND, GONE), BOTH, [EXPIRED]) == set()
    assert rules(lab(LOST_BY_HAND, GONE), [], [EXPIRED]) == {"a VM is left behind"}


def test_a_call_in_another_users_name() -> None:
    """The user in a call is the owner of the VM."""
    assert rules(lab(GONE), [call(1, LAB, user="other"), call(2, WORKER)], [EXPIRED]) == {
        "a call in another user's name"
    }


def test_a_call_for_nobodys_vm() -> None:
    """Every VM that is called for was named by a client."""
    assert rules(lab(GONE), [*BOTH, call(3, "other")], [EXPIRED]) == {"a call for nobody's VM"}


@pytest.mark.parametrize(
    ("end", "history"),
    [
        (GONE, []),
        (GONE, [EXPIRED, EXPIRED]),
        (GONE, [Ended(LAB, "other", "expired")]),
        (GONE, [EXPIRED, Ended("other-0", "other", "expired")]),
        (BY_HAND, [EXPIRED]),
        (BY_HAND, []),
    ],
)
def test_a_history_that_is_wrong(end: Exchange, history: list[Ended]) -> None:
    """Missing, twice, another's, nobody's, for another reason."""
    assert "history" in rules(lab(end), BOTH, history)


def test_a_history_that_says_deleted_though_nobody_did() -> None:
    """Then its VMs may be there still."""
    assert "history" in rules(lab(GONE), BOTH, [DELETED])


def test_a_lab_that_is_overdue() -> None:
    """Nobody was told that it is gone, and its time is over; a millisecond before it wasn't."""
    assert rules(lab(), [], [], rows=(LAB,), now_ms=DEADLINE) == {"not cleaned up in time"}


def test_a_row_that_is_wrong() -> None:
    """Missing for a lab that is, there for one that is gone."""
    assert rules(lab(), [], [], rows=(), now_ms=1000) == {"labs_sessions"}
    assert rules(lab(GONE), BOTH, [EXPIRED], rows=(LAB,)) == {"labs_sessions"}


def test_an_untrue_answer() -> None:
    """It is told with what came before it."""
    early = replace(GONE, sent_ms=200, ended_ms=210)
    assert "an answer isn't true" in rules(lab(early), BOTH, [EXPIRED])


def test_a_violation_tells_what_was_remembered() -> None:
    """The exchanges about the session, the calls for its VMs, and its line in the history, in the order of time."""
    (violation,) = check([lab(GONE)], [call(1, LAB), call(2, WORKER, done=False)], [EXPIRED], (), LATER)
    told = str(violation)
    places = [
        told.index(words) for words in ("a VM is left behind", "'create'", "'put'", "call 1 at", "'get'", "expired")
    ]
    assert places == sorted(places)
