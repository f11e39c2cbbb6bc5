"""How a state is stored: it comes back as it was, older files open, and damage is told, not guessed at."""

import msgspec
import pytest
from builders import MINUTE, NOW, POLICY, User, worker_nodes
from hypothesis import given
from msgspec import structs
from strategies import seeded, states

from labsessions.core.codec import UnreadableStateError, decode, encode
from labsessions.core.machine import wake_at
from labsessions.core.messages import Delete, ExtendBy, Extended
from labsessions.core.model import Cleanup, Lab, Session, State
from labsessions.core.projection import row
from labsessions.simulation.releases import ADDED

# Written by release 0.1.0 and never to be edited: such files are on operators' disks.
V1_STUCK = (
    '{"v":1,"state":{"session":{"generation":"6f1c2a7e-94d0-4b8e-a3c5-d07f8e2b9a41","version":27,"lab":{"id":"sess-1",'
    '"labId":"lab-7","labTitle":"Kubernetes für alle 🚀","labGroupID":"group-2","moduleID":"module-3","duration":90.5,'
    '"activatedAt":"2026-11-23T10:00:00.000Z","counterID":"counter-4","configId":"config-5",'
    '"workerConfigId":"worker-config-6","lab_request_id":"vm-m","user_id":"user/ä","terminal_url":"https://t.test/?a=1",'
    '"validation":0,"vm":{"name":"m","network_id":"n","netbird_ip":"100.64.0.1","extra":{"deep":[1,null,true,0.1]}},'
    '"vscode_domain":"code.test","puku_domain":null,"worker_nodes":[{"name":"w1","worker_lab_request_id":"vm-w2",'
    '"network_id":"n","netbird_ip":""}],"loadBalancers":[{"id":"lb","domain":"lb.test","port":8080}]},'
    '"vms":["vm-m","vm-w1","vm-w2"],"created_ms":1764000000123,"updated_ms":1764000060000,"expires_ms":1764005430123,'
    '"cleanup":{"attempts":12,"in_flight":false,"retry_ms":1764009000000,"started_ms":1764005430125,'
    '"confirmed":["vm-m","vm-w2"],"last_error":"vm-w1: status 500","stuck_since_ms":1764008690000}}}}'
).encode()

STUCK = State(
    session=Session(
        generation="6f1c2a7e-94d0-4b8e-a3c5-d07f8e2b9a41",
        version=27,
        lab=Lab(
            id="sess-1",
            lab_id="lab-7",
            lab_title="Kubernetes für alle 🚀",
            lab_group_id="group-2",
            module_id="module-3",
            duration=90.5,
            activated_at="2026-11-23T10:00:00.000Z",
            counter_id="counter-4",
            config_id="config-5",
            worker_config_id="worker-config-6",
            lab_request_id="vm-m",
            user_id="user/ä",
            terminal_url="https://t.test/?a=1",
            validation=0,
            vm={"name": "m", "network_id": "n", "netbird_ip": "100.64.0.1", "extra": {"deep": [1, None, True, 0.1]}},
            vscode_domain="code.test",
            puku_domain=None,
            worker_nodes=[{"name": "w1", "worker_lab_request_id": "vm-w2", "network_id": "n", "netbird_ip": ""}],
            load_balancers=[{"id": "lb", "domain": "lb.test", "port": 8080}],
        ),
        vms=("vm-m", "vm-w1", "vm-w2"),
        created_ms=1_764_000_000_123,
        updated_ms=1_764_000_060_000,
        expires_ms=1_764_005_430_123,
        cleanup=Cleanup(
            attempts=12,
            in_flight=False,
            retry_ms=1_764_009_000_000,
            started_ms=1_764_005_430_125,
            confirmed=("vm-m", "vm-w2"),
            last_error="vm-w1: status 500",
            stuck_since_ms=1_764_008_690_000,
        ),
    )
)

# The least that release 0.1.0 ever wrote: an active session without anything optional.
V1_ACTIVE = (
    b'{"v":1,"state":{"session":{"generation":"00000000-0000-4000-8000-000000000000","version":1,"lab":{'
    b'"id":"session-1","labId":"lab-1","labTitle":"Kubernetes from scratch","labGroupID":"group-1",'
    b'"moduleID":"module-1","duration":60,"activatedAt":"2026-11-23T10:00:00.000Z","counterID":"counter-1","configId":"config-1",'
    b'"workerConfigId":"worker-config-1","lab_request_id":"vm-master","user_id":"user-1",'
    b'"terminal_url":"https://terminal.test/1","validation":0,"vm":{"name":"master","network_id":"net-1",'
    b'"netbird_ip":"100.64.0.1"},"vscode_domain":null,"puku_domain":null,"worker_nodes":null,"loadBalancers":null},'
    b'"vms":["vm-master"],"created_ms":1764000000123,"updated_ms":1764000000123,"expires_ms":1764003600123,'
    b'"cleanup":null}}}'
)


@pytest.mark.parametrize(
    ("stored", "state"),
    [(V1_STUCK, STUCK), (V1_ACTIVE, User().create().state)],
    ids=["stuck", "active"],
)
def test_a_file_of_the_first_release_opens(stored: bytes, state: State) -> None:
    """Every member of it arrives where it belongs, in this release and in every later one."""
    assert decode(stored) == state


@pytest.mark.parametrize(
    ("kind", "type_"), [("state", State), ("session", Session), ("lab", Lab), ("cleanup", Cleanup)]
)
def test_the_simulators_older_release_is_the_first_one(kind: str, type_: type) -> None:
    """What it leaves out is what the first release didn't know, with the default that means as much as nothing."""
    state = msgspec.json.decode(V1_STUCK)["state"]
    session = state["session"]
    known = {"state": state, "session": session, "lab": session["lab"], "cleanup": session["cleanup"]}[kind]
    members = {member.encode_name: member.default for member in msgspec.structs.fields(type_)}
    assert members.keys() == known.keys() | ADDED[kind].keys()
    for name, nothing in ADDED[kind].items():
        assert msgspec.json.encode(members[name]) == msgspec.json.encode(nothing)


def test_members_of_a_newer_release_are_tolerated() -> None:
    """Additions with a default need no new version: what we don't know is passed over, at every level."""
    stored = V1_STUCK
    for where in (b'"v":1', b'"session":{', b'"id":"sess-1"', b'"attempts":12'):
        addition = b'"added":{"later":[1]}'
        stored = stored.replace(where, where + addition + b"," if where.endswith(b"{") else where + b"," + addition)
    assert stored.count(b'"added"') == 4
    assert decode(stored) == STUCK


@seeded
@given(states)
def test_a_state_comes_back_as_it_was(state: State) -> None:
    """Any state, with any text, any numbers and any unknown members."""
    assert decode(encode(state)) == state


@seeded
@given(states)
def test_nothing_left_is_nothing_stored(state: State) -> None:
    """State and wake-up are there together or not at all; a row belongs to a session."""
    nothing = state.session is None and not state.owed and not state.answered
    assert (encode(state) is None) is nothing
    assert (row(state) is None) is (state.session is None)
    assert (wake_at(state) is None) is nothing


def test_nothing_stored_is_the_empty_state() -> None:
    """A user that was never seen and one whose session has ended are the same."""
    assert decode(None) == State()
    assert encode(State()) is None


def test_equal_states_have_equal_bytes() -> None:
    """The same history leads to the same bytes: a store may compare them."""
    reached = [User().create(worker_nodes=worker_nodes("a")).expire().fail("a").state for _ in range(2)]
    assert encode(reached[0]) == encode(reached[1])


# --- damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3, 10**30])
def test_a_newer_file_is_refused_with_both_versions(version: int) -> None:
    """After a downgrade the operator reads what is in the file and what this release can do."""
    with pytest.raises(UnreadableStateError, match=f"version {version}, this release reads version 1"):
        decode(V1_ACTIVE.replace(b'"v":1', b'"v":%d' % version))


def test_a_newer_file_is_refused_for_its_version_whatever_else_is_in_it() -> None:
    """The version is read first: the shape of a newer file is none of our business."""
    with pytest.raises(UnreadableStateError, match="version 2"):
        decode(b'{"v":2,"state":"of another kind"}')


@pytest.mark.parametrize("length", [0, 1, 5, len(V1_STUCK) // 2, len(V1_STUCK) - 1])
def test_a_truncated_file_is_unreadable(length: int) -> None:
    """Cut off anywhere."""
    with pytest.raises(UnreadableStateError, match=r"the stored state cannot be read: .*truncated"):
        decode(V1_STUCK[:length])


@pytest.mark.parametrize(
    ("found", "instead", "told"),
    [
        (b'"v":1', b'"v":"1"', r"Expected `int`, got `str` - at `\$\.v`"),
        (b'"v":1,', b"", "missing required field `v`"),
        (b'"validation":0', b'"validation":0.5', r"validation"),
        (b'"duration":90.5', b'"duration":null', r"session\.lab\.duration"),
        (b'"retry_ms":1764009000000,', b"", "missing required field `retry_ms`"),
        (b'"in_flight":false', b'"in_flight":"no"', r"cleanup\.in_flight"),
        (b'{"v":1', b'["v":1', "array|malformed"),
        (b"}}}}", b"}}}}}", "trailing"),
        ("für".encode(), b"f\xfcr", "utf-8"),
        (b'"sess-1"', b'"\\ud800"', "malformed"),
        (b"[1,null,true,0.1]", b"[" * 100_000 + b"]" * 100_000, "recursion"),
    ],
    ids=[
        "version-type",
        "no-version",
        "fraction",
        "null",
        "member-missing",
        "bool-type",
        "array",
        "trailing",
        "latin-1",
        "surrogate",
        "depth",
    ],
)
def test_a_damaged_file_is_unreadable_and_says_where(found: bytes, instead: bytes, told: str) -> None:
    """One error type for the store to report, with the library's words on what is wrong."""
    assert found in V1_STUCK
    with pytest.raises(UnreadableStateError, match=f"the stored state cannot be read: .*{told}"):
        decode(V1_STUCK.replace(found, instead))


@pytest.mark.parametrize("stored", [b"null", b"[]", b"1", b"\xff\xfe", b"\x00", b" "])
def test_what_is_no_document_is_unreadable(stored: bytes) -> None:
    """Whatever else may be found in the cell."""
    with pytest.raises(UnreadableStateError, match="the stored state cannot be read: "):
        decode(stored)


def test_a_file_from_before_obligations_opens() -> None:
    """Members added with a default need no new version: a cell of release 0.1.0 owes nothing."""
    for stored in (V1_STUCK, V1_ACTIVE):
        state = decode(stored)
        assert state.owed == ()
        assert state.session is not None
        assert state.session.deleted_ms is None


def test_a_file_from_before_time_factors_opens() -> None:
    """Nobody had extra time then; such a session can be extended by this release."""
    user = User()
    user.state = decode(V1_ACTIVE)
    assert user.session.lab.time_factor == 1
    assert user.say(ExtendBy(30), NOW).reply == Extended(user.session, 30 * MINUTE, partial=False)
    assert decode(encode(user.state)) == user.state


def test_obligations_are_stored_without_a_session() -> None:
    """What is owed after the session is gone comes back as it was."""
    user = User(structs.replace(POLICY, owed_after_ms=1)).create()
    user.say(Delete(), NOW)
    assert user.state.session is None
    assert decode(encode(user.state)) == user.state
