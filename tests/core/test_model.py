"""Durations, the VMs of a lab, and what a session tells of itself."""

from fractions import Fraction

import pytest
from builders import MASTER, User, worker_nodes
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeded, sessions, vm_ids

from labsessions.core.model import Session, duration_ms, named_vms


@pytest.mark.parametrize(
    ("minutes", "ms"),
    [
        (1, 60_000),
        (60, 3_600_000),
        (60.0, 3_600_000),
        (90.5, 5_430_000),
        (43_200, 2_592_000_000),
        (0.05, 3_000),  # 3000.0000000000005 in floating point
        (0.1, 6_000),
        (0.7, 42_000),  # 42000.0 only by luck of rounding
        (1.1, 66_000),  # 66000.00000000001 in floating point
        (1e-05, 1),  # 0.6 ms
        (1e-09, 1),
        (5e-324, 1),
        (1.00001, 60_001),  # 60000.6 ms
        (0.00005, 3),
        (0.000050001, 4),  # a hair over 3 ms
        (0.000049999, 3),  # a hair under 3 ms
    ],
)
def test_a_duration_is_rounded_up_to_the_millisecond(minutes: float, ms: int) -> None:
    """Never a millisecond short, and never one too many (CONTRACT §3.1)."""
    assert duration_ms(minutes) == ms


@seeded
@given(st.floats(min_value=0, exclude_min=True, max_value=1e12))
def test_a_duration_is_the_smallest_that_is_long_enough(minutes: float) -> None:
    """For any figure as the client wrote it: at least that long, and less than a millisecond longer."""
    exact = Fraction(repr(minutes)) * 60_000
    assert exact <= duration_ms(minutes) < exact + 1


@seeded
@given(st.integers(1, 10**12))
def test_integers_and_floats_agree(minutes: int) -> None:
    """60 and 60.0 are the same hour."""
    assert duration_ms(minutes) == minutes * 60_000
    assert duration_ms(float(minutes)) == minutes * 60_000


@pytest.mark.parametrize(
    ("workers", "vms"),
    [
        (None, (MASTER,)),
        ([], (MASTER,)),
        (["b", "a"], (MASTER, "b", "a")),
        (["a", "b", "a", "a"], (MASTER, "a", "b")),
        (["a", MASTER, "b"], (MASTER, "a", "b")),
    ],
)
def test_vms_are_the_master_then_each_distinct_worker_in_order(workers: list[str] | None, vms: tuple[str, ...]) -> None:
    """Each VM once, in the client's order; a master named as its own worker is one VM (CONTRACT §2, step 2)."""
    nodes = None if workers is None else worker_nodes(*workers)
    assert named_vms(MASTER, nodes) == vms


@seeded
@given(vm_ids, st.lists(vm_ids))
def test_vms_are_a_set_with_an_order(master: str, workers: list[str]) -> None:
    """Whatever the list: the master first, nothing missing, nothing twice."""
    vms = named_vms(master, worker_nodes(*workers))
    assert vms[0] == master
    assert set(vms) == {master, *workers}
    assert len(set(vms)) == len(vms)


def test_status_follows_the_life_of_a_session() -> None:
    """Active until the deadline, cleaning from then on, stuck from the limit of failures (three here) on."""
    user = User().create()
    seen = [user.session.status]
    for _ in range(4):
        seen.append(user.expire().session.status)
        seen.append(user.fail().session.status)

    assert seen == ["active", *["cleaning"] * 5, "stuck", "stuck", "stuck"]


@seeded
@given(sessions)
def test_pending_is_what_is_owed_and_not_confirmed(session: Session) -> None:
    """`pending` and the confirmed share out `vms`; the order is that of `vms`."""
    confirmed = () if session.cleanup is None else session.cleanup.confirmed
    assert set(session.pending) == set(session.vms) - set(confirmed)
    assert list(session.pending) == sorted(session.pending, key=session.vms.index)
