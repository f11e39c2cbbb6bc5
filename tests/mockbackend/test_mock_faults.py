"""Faults as data: what their JSON may be, which calls they meet, how they are used up."""

import pytest

from labsessions.mockbackend import Drop, Fault, FaultError, Hang, Slow, Status, fail_next, parse_faults
from labsessions.mockbackend.faults import FaultScript


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"kind": "hang"}', [Hang()]),
        ('[{"kind": "slow", "seconds": 0.5, "times": null}]', [Slow(seconds=0.5)]),
        (
            b'{"kind": "status", "status": 200, "route": "expose", "lab_request_id": "a", "times": 1}',
            [Status(status=200, route="expose", lab_request_id="a", times=1)],
        ),
        ("[]", []),
    ],
)
def test_json_of_one_fault_or_a_list(text: str | bytes, expected: list[Fault]) -> None:
    """Members that are left out are null."""
    assert parse_faults(text) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"kind": "fire"}', "kind"),
        ("{}", "kind"),
        ('{"kind": "status"}', "status"),
        ('{"kind": "status", "status": 199}', "status"),
        ('{"kind": "status", "status": 600}', "status"),
        ('{"kind": "status", "status": 503, "retry_after": -1}', "retry_after"),
        ('{"kind": "status", "status": 302, "location": "a\\r\\nb"}', "location"),
        ('{"kind": "slow"}', "seconds"),
        ('{"kind": "slow", "seconds": -0.1}', "seconds"),
        ('{"kind": "huge", "bytes": 1.5}', "bytes"),
        ('{"kind": "redirect", "status": 200}', "status"),
        ('{"kind": "drop", "times": 0}', "times"),
        ('{"kind": "drop", "route": "vm"}', "route"),
        ('{"kind": "drop", "second": 1}', "second"),
        ("3", "object"),
        ("{", "truncated"),
        (b"\xff", "malformed"),
    ],
)
def test_a_bad_fault_is_refused_by_its_field(text: str | bytes, named: str) -> None:
    """The error says which member is wrong, or that the text is no JSON."""
    with pytest.raises(FaultError, match=named):
        parse_faults(text)


def test_the_first_fault_that_meets_a_call_is_used_up_first() -> None:
    """Route and VM select, null is any; `times` counts down and the next fault takes over."""
    once, other, rest = Drop(times=1), Hang(lab_request_id="b"), Status(status=500, route="delete", times=2)
    script = FaultScript([once, other, rest])
    assert script.take("expose", "a") == once
    assert script.take("expose", "a") is None
    assert script.take("delete", "b") == other
    assert script.take("delete", "a") == rest
    assert script.left() == [other, Status(status=500, route="delete", times=1)]
    assert script.take("delete", "a") is not None
    assert script.take("delete", "a") is None
    assert script.take("delete", "b") == other
    script.clear()
    assert script.take("delete", "b") is None


def test_fail_next_leaves_the_harmless_step_alone() -> None:
    """`--fail-next` fails deletions, because a failure of step 1 would change nothing."""
    script = FaultScript([fail_next(1)])
    assert script.take("expose", "a") is None
    assert script.take("delete", "a") == Status(status=500, route="delete", times=1)
    assert script.take("delete", "a") is None
