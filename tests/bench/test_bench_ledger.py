"""The ledger: what a backend that answers well must have been asked for, and each way in which it wasn't."""

from labsessions.bench.ledger import Ledger
from labsessions.mockbackend import Call
from labsessions.mockbackend.faults import Route

DEADLINE = 1_764_000_000_000


def call(route: Route, vm: str = "vm-1", *, late_ms: int = 3, status: int = 202) -> Call:
    """One call, arrived so long after the deadline and answered a millisecond later."""
    at_ms = DEADLINE + late_ms
    return Call(
        seq=1,
        at_ms=at_ms,
        route=route,
        method="POST",
        authorized=True,
        content_type="application/json",
        lab_request_id=vm,
        status=status,
        work_done=status < 300,
        ended_ms=at_ms + 1,
    )


def ledger(*calls: Call, labs: int = 1) -> Ledger:
    """A ledger of labs that end at the deadline, with these calls noted."""
    made = Ledger()
    for number in range(1, labs + 1):
        made.expect(f"vm-{number}", DEADLINE)
    for each in calls:
        made.note(each)
    return made


def test_two_calls_each_are_what_is_owed() -> None:
    """Lateness is that of the first call; the end is that of the last answer."""
    done = ledger(
        call("expose"), call("delete", late_ms=5), call("expose", "vm-2"), call("delete", "vm-2", late_ms=9), labs=2
    )
    assert (done.faults(), done.owed, done.confirmed) == ([], 0, 2)
    assert (list(done.lateness_ms), done.last_confirmed_ms) == ([3, 3], DEADLINE + 10)


def test_a_lab_that_was_not_asked_for_is_lost() -> None:
    """Its services alone don't count."""
    lost = ledger(call("expose"), labs=2)
    assert lost.owed == 2
    assert lost.faults() == ["2 labs are lost: their VM was never asked for, e.g. vm-1"]


def test_a_call_before_the_deadline_is_early() -> None:
    """By a millisecond; on the deadline it is in time."""
    assert ledger(call("expose", late_ms=0), call("delete")).faults() == []
    early = ledger(call("expose", late_ms=-1), call("delete"))
    assert early.faults() == ["1 labs were cleaned up before their deadline, e.g. vm-1"]


def test_nothing_is_asked_for_twice() -> None:
    """Neither services nor a VM; confirmed is confirmed once."""
    doubled = ledger(call("expose"), call("expose"), call("delete"), call("delete"))
    assert (doubled.confirmed, doubled.faults()) == (
        1,
        [
            "1 services were asked for again, e.g. vm-1",
            "1 VMs were asked for again although they were confirmed, e.g. vm-1",
        ],
    )


def test_a_call_that_was_refused_is_told() -> None:
    """It confirms nothing."""
    refused = ledger(call("expose"), call("delete", status=401))
    assert refused.faults() == [
        "1 calls were answered 401, e.g. vm-1",
        "1 labs are lost: their VM was never asked for, e.g. vm-1",
    ]


def test_a_call_for_anybody_else_is_a_fault() -> None:
    """That lab goes on."""
    strange = ledger(call("expose"), call("delete"), call("delete", "vm-9"))
    assert strange.faults() == ["1 calls for a lab whose time wasn't over, or that was done with, e.g. vm-9"]


def test_what_is_settled_is_forgotten_but_not_forgiven() -> None:
    """Only labs that are done with and ended before; another call for one is a fault."""
    settled = ledger(call("expose"), call("delete"), labs=2)
    settled.settle(DEADLINE)
    assert settled.owed == 1
    settled.note(call("delete", "vm-2"))
    assert settled.faults() == []
    settled.settle(DEADLINE + 1)
    settled.note(call("delete"))
    assert settled.faults() == ["1 calls for a lab whose time wasn't over, or that was done with, e.g. vm-1"]
