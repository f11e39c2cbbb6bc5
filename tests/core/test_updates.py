"""What a PUT does to the deadline and to the VMs that are owed a deletion (CONTRACT §3.2)."""

from typing import Any

import pytest
from builders import HOUR, MASTER, MINUTE, NOW, User, lab, worker_nodes
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, structs
from strategies import changes, durations, labs, seeded, vm_ids

from labsessions.core.messages import Clean, Create, Update, Updated, Wake
from labsessions.core.model import Lab, LabChanges, duration_ms

LATER = NOW + 10 * MINUTE


def update(user: User, **members: Any) -> Updated:
    """PUT `members` ten minutes after the creation; the one event of it."""
    (event,) = user.say(Update(LabChanges(**members)), LATER).events
    assert isinstance(event, Updated)
    return event


# --- the deadline -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "expires_ms", "moved"),
    [
        (61, NOW + HOUR + MINUTE, True),
        (59, NOW + HOUR - MINUTE, True),
        (59.99999, NOW + HOUR, False),  # 3599999.4 ms, rounded up
        (60.00001, NOW + HOUR + 1, True),
        (60, NOW + HOUR, False),
        (60.0, NOW + HOUR, False),
        (10, LATER, True),
        (0.05, NOW + 3_000, True),
    ],
)
def test_a_duration_moves_the_deadline_both_ways(minutes: float, expires_ms: int, *, moved: bool) -> None:
    """The deadline is creation + duration; a wake-up is armed anew only where it is another instant."""
    user = User().create()
    event = update(user, duration=minutes)

    assert user.due_ms == user.session.expires_ms == expires_ms
    assert event.deadline_moved is moved


def test_a_deadline_in_the_past_is_a_wake_up_that_is_due() -> None:
    """The PUT succeeds and starts nothing itself: the cleanup begins by the same way as any other."""
    user = User().create()
    decision = user.say(Update(LabChanges(duration=5)), LATER)
    assert decision.effects == ()
    assert user.session.cleanup is None
    assert user.due_ms == LATER - 5 * MINUTE

    user.say(Wake(), LATER)
    assert user.newest_clean.attempt == user.cleanup.attempts == 1


def test_a_deadline_that_has_passed_can_still_be_moved_before_the_wake_up() -> None:
    """As long as cleanup hasn't begun, a PUT succeeds; the wake-up that was due is then early."""
    user = User().create()
    user.say(Update(LabChanges(duration=120)), NOW + HOUR + 5)
    user.say(Wake(), NOW + HOUR + 6)

    assert user.session.status == "active"
    assert user.due_ms == NOW + 2 * HOUR


@seeded
@given(changes, durations)
def test_only_a_duration_moves_the_deadline(put: LabChanges, minutes: float) -> None:
    """Whatever else is changed: without a duration the deadline stays, with one it is creation + duration."""
    user = User().create(duration=minutes)
    before = user.session
    user.say(Update(structs.replace(put, duration=UNSET)), LATER)
    assert user.session.expires_ms == before.expires_ms

    user.say(Update(put), LATER)
    wanted = minutes if put.duration is UNSET else put.duration
    assert user.session.expires_ms == NOW + duration_ms(wanted)


# --- members ----------------------------------------------------------------------------------------------


@seeded
@given(labs, changes)
def test_members_that_are_given_change_and_no_others(new: Lab, put: LabChanges) -> None:
    """Every member of the PUT is taken over as sent, every other one is left alone."""
    user = User()
    user.say(Create("0" * 32, new), NOW)
    old = user.session.lab
    user.say(Update(put), LATER)

    given_members = {name: value for name, value in structs.asdict(put).items() if value is not UNSET}
    assert structs.asdict(user.session.lab) == structs.asdict(old) | given_members
    assert (user.session.created_ms, user.session.updated_ms) == (NOW, LATER)


def test_every_member_that_a_put_may_change_is_a_member_of_a_lab() -> None:
    """`LabChanges` and `Lab` use the same names, in Python and on the wire."""
    wire = {field.name: field.encode_name for field in structs.fields(Lab)}
    assert {field.name: field.encode_name for field in structs.fields(LabChanges)}.items() <= wire.items()


def test_an_empty_list_is_a_value() -> None:
    """`[]` and `""` are values, not absence."""
    user = User().create(worker_nodes=worker_nodes("a"), load_balancers=[{"id": "lb"}], puku_domain="puku.test")
    update(user, worker_nodes=[], load_balancers=[], puku_domain="")

    assert user.session.lab == lab(worker_nodes=[], load_balancers=[], puku_domain="")


# --- the VMs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "owed"),
    [
        ([], ["a"], (MASTER, "a")),
        (["a"], ["a", "b"], (MASTER, "a", "b")),
        (["a"], ["b"], (MASTER, "a", "b")),
        (["a", "b"], [], (MASTER, "a", "b")),
        (["a", "b"], ["b", "a"], (MASTER, "a", "b")),
        (["a"], ["b", "b", "a", "b"], (MASTER, "a", "b")),
        (["a"], [MASTER, "b"], (MASTER, "a", "b")),
    ],
    ids=["first", "added", "replaced", "removed", "reordered", "doubled", "master"],
)
def test_a_vm_once_named_is_owed_its_deletion(before: list[str], after: list[str], owed: tuple[str, ...]) -> None:
    """Added workers are deleted with the session, removed ones too; nobody is deleted twice."""
    user = User().create(worker_nodes=worker_nodes(*before))
    update(user, worker_nodes=worker_nodes(*after))
    assert user.session.vms == owed

    user.expire()
    assert user.newest_clean == Clean(
        generation=user.session.generation,
        attempt=1,
        user_id="user-1",
        master=MASTER,
        vms=owed,
        limit_ms=60_000,
    )


@seeded
@given(st.lists(st.lists(vm_ids, max_size=3), min_size=1, max_size=6))
def test_no_vm_leaks_through_any_series_of_updates(lists: list[list[str]]) -> None:
    """All VMs ever named are asked for in the first attempt, each once, the master first."""
    user = User().create(worker_nodes=worker_nodes(*lists[0]))
    for workers in lists[1:]:
        update(user, worker_nodes=worker_nodes(*workers))
    user.expire()

    asked = user.newest_clean.vms
    assert asked[0] == MASTER
    assert sorted(asked) == sorted({MASTER, *(vm for workers in lists for vm in workers)})
