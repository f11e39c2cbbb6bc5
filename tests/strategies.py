"""Hypothesis strategies for the core: arbitrary states and messages, also ones that no history leads to.

`seeded` makes a property test repeatable: the same examples on every run and every machine.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from labsessions.core.messages import (
    AttemptEnded,
    Create,
    Delete,
    EndNow,
    ExtendBy,
    ExtendUntil,
    Forget,
    Keyed,
    Message,
    Operated,
    RetryNow,
    Show,
    Update,
    Wake,
)
from labsessions.core.model import Answered, Cleanup, Lab, LabChanges, Session, State
from labsessions.core.parts import parts

# The same on every machine, also on one that is too busy to draw fast.
seeded = settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

# 9999-12-31 is the last day that a `datetime` can show; 1970 is where the service's time begins.
LAST_MS = 253_402_300_799_999
# Thirty days, times the largest time factor: the latest end of a session by the default settings.
LONGEST_MS = 10 * 43_200 * 60_000

instants = st.integers(0, LAST_MS)
generations = st.uuids().map(str)
# Few ids, so that two draws often name the same VM.
vm_ids = st.sampled_from(["vm-1", "vm-2", "vm-3", "vm-4", "ünï-🧪"])
durations = st.one_of(
    st.integers(1, 43_200),
    st.floats(1e-9, 43_200, allow_nan=False),
    st.sampled_from([0.05, 1e-05, 1e-09, 60, 60.0, 90.5, 43_200, 0.1, 0.7]),
)
time_factors = st.sampled_from([1, 1.0, 1.25, 4 / 3, 2, 10]) | st.floats(1, 10)
# Any number but 0, more often than not one that a person would ask for.
more_minutes = st.sampled_from([30, -30, 0.05, -1e-05, 10**6]) | st.floats(
    allow_nan=False, allow_infinity=False
).filter(bool)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(st.text(), json_values, max_size=3)


@st.composite
def worker_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """`worker_nodes` with repeated ids and members that nobody knows."""
    ids = draw(st.lists(vm_ids, max_size=4))
    return [{**draw(objects), "worker_lab_request_id": vm} for vm in ids]


labs = st.builds(
    Lab,
    id=st.text(),
    lab_id=st.text(),
    lab_title=st.text(),
    lab_group_id=st.text(),
    module_id=st.text(),
    duration=durations,
    activated_at=st.text(),
    counter_id=st.text(),
    config_id=st.text(),
    worker_config_id=st.text(),
    lab_request_id=vm_ids,
    user_id=st.text(min_size=1),
    terminal_url=st.text(),
    validation=st.integers(-(2**63), 2**63 - 1),
    vm=objects,
    vscode_domain=st.none() | st.text(),
    puku_domain=st.none() | st.text(),
    worker_nodes=st.none() | worker_lists(),
    load_balancers=st.none() | st.lists(objects, max_size=2),
    time_factor=time_factors,
)

changes = st.builds(
    LabChanges,
    duration=st.just(UNSET) | durations,
    terminal_url=st.just(UNSET) | st.text(),
    vscode_domain=st.just(UNSET) | st.text(),
    puku_domain=st.just(UNSET) | st.text(),
    worker_nodes=st.just(UNSET) | worker_lists(),
    load_balancers=st.just(UNSET) | st.lists(objects, max_size=2),
)

vm_tuples = st.lists(vm_ids, max_size=4, unique=True).map(tuple)

cleanups = st.builds(
    Cleanup,
    attempts=st.integers(0, 10_000),
    in_flight=st.booleans(),
    retry_ms=instants,
    started_ms=instants,
    confirmed=vm_tuples,
    last_error=st.none() | st.text(),
    stuck_since_ms=st.none() | instants,
    reason=st.sampled_from(["expired", "ended_by_operator", "of a newer release"]),
)

_sessions = st.builds(
    Session,
    generation=generations,
    version=st.integers(1, 10_000),
    lab=labs,
    vms=st.lists(vm_ids, min_size=1, max_size=4, unique=True).map(tuple),
    created_ms=st.integers(0, LAST_MS - LONGEST_MS),
    updated_ms=instants,
    expires_ms=instants,
    cleanup=st.none() | cleanups,
)

# Warnings are to come of active sessions only.
_leads = st.lists(st.integers(1, LONGEST_MS), min_size=1, max_size=3, unique=True)
sessions = _sessions | st.builds(
    structs.replace, _sessions, cleanup=st.none(), leads_ms=_leads.map(lambda leads: tuple(sorted(leads, reverse=True)))
)

obligations = st.builds(
    structs.replace,
    _sessions,
    cleanup=cleanups,
    deleted_ms=instants,
)

keys = st.sampled_from(["k", "l"])
digests = st.sampled_from(["d", "e"])

answers = st.builds(
    Answered,
    key=keys,
    digest=digests,
    at_ms=instants,
    until_ms=instants,
    session=sessions,
    granted_ms=st.none() | st.integers(-LONGEST_MS, LONGEST_MS),
    partial=st.booleans(),
)

states = st.builds(
    State,
    session=st.none() | sessions,
    owed=st.lists(obligations, max_size=1).map(tuple),
    answered=st.just(()) | st.lists(answers, max_size=2).map(tuple),
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[State, Message]:
    """Any state and anything that may be said to it; outcomes are of its own generation more often than not."""
    state = draw(states)
    own = generations
    if known := [part.generation for part in parts(state)]:
        own = st.sampled_from(known) | generations
    message: Message = draw(
        st.one_of(
            st.builds(Create, generation=generations, lab=labs),
            st.builds(Update, changes=changes),
            st.builds(ExtendBy, minutes=more_minutes),
            st.builds(ExtendUntil, instant_ms=instants),
            st.builds(Keyed, key=keys, digest=digests, message=st.builds(Create, generation=generations, lab=labs)),
            st.builds(Keyed, key=keys, digest=digests, message=st.builds(ExtendBy, minutes=more_minutes)),
            st.just(Delete()),
            st.just(Show()),
            st.just(Wake()),
            st.just(EndNow()),
            st.just(RetryNow()),
            st.builds(Forget, session_id=st.none() | st.text()),
            st.builds(Operated, who=st.text(), reason=st.none() | st.text(), message=st.just(EndNow())),
            st.builds(
                AttemptEnded,
                generation=own,
                attempt=st.integers(1, 5),
                confirmed=vm_tuples,
                error=st.none() | st.text(),
            ),
        )
    )
    return state, message
