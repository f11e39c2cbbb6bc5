"""State, row and wake-up of every session: agreement is found, and each way of disagreeing is named."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pytest
from builders import HOUR, MINUTE, NOW, OTHER_GENERATION, POLICY, User, lab, worker_nodes
from data_files import data_with, sql
from msgspec import structs

from actors.pause import CELL, Paused
from labsessions.core.messages import Create, Delete, Keyed
from labsessions.core.projection import ROW_COLUMNS, iso
from labsessions.core.reanchor import AHEAD_MS
from labsessions.doctor.census import EXAMPLES, Census, take_census
from labsessions.doctor.database import open_for_reading

DEADLINE = NOW + HOUR


def census(database: Path, now_ms: int = NOW) -> Census:
    """Take it as the doctor does."""
    with closing(open_for_reading(database)) as connection:
        return take_census(connection, now_ms, POLICY)


def told(database: Path) -> list[str]:
    """What disagrees, in words."""
    return [finding.found for finding in census(database).examples]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with one running session."""
    return data_with(tmp_path, [User().create(user_id="alice")])


def test_sessions_in_every_state_agree(tmp_path: Path) -> None:
    """Active, in flight, waiting for a retry and stuck: what the engine stores has no disagreement, and is counted."""
    database = data_with(
        tmp_path,
        [
            User().create(user_id="active", worker_nodes=[{"worker_lab_request_id": "w", "ümlaut": [1.5, None]}]),
            User().create(user_id="in flight", duration=0.7).expire(),
            User().create(user_id="waiting\n", duration=60.0).expire().fail(),
            User().create(user_id="stuck").expire().fail().expire().fail().expire().fail(),
        ],
    )
    taken = census(database, DEADLINE + 20 * MINUTE)
    assert (taken.sessions, taken.disagreements, taken.undeliverable) == (4, 0, 0)
    assert [finding.level for finding in taken.findings()] == ["ok"]


def owing(user_id: str) -> User:
    """A session with a worker, deleted by hand a minute ago; both VMs are owed."""
    user = User(structs.replace(POLICY, owed_after_ms=60_000))
    user.create(str(uuid5(NAMESPACE_OID, user_id)), user_id=user_id, worker_nodes=worker_nodes("w"))
    user.say(Delete(), NOW)
    return user


def test_obligations_agree_and_are_counted(tmp_path: Path) -> None:
    """Waiting for the end of the grace period, in flight, and beside a newer session, which they don't count as."""
    beside = owing("beside")
    beside.say(Create(OTHER_GENERATION, lab(user_id="beside")), NOW)
    database = data_with(tmp_path, [owing("waiting"), owing("in flight").expire(), beside])
    taken = census(database, NOW + MINUTE)
    assert (taken.sessions, taken.owed, taken.disagreements) == (1, 5, 0)
    (finding,) = taken.findings()
    assert finding.found.endswith("1 sessions, 5 VMs of deleted ones owed")


def test_owed_vms_that_differ_from_the_state_are_named(tmp_path: Path) -> None:
    """A row too few, one that is wrong, and one that nobody owes."""
    database = data_with(tmp_path, [owing("alice")])
    sql(database, "UPDATE owed_vms SET attempts = 97 WHERE lab_request_id = 'vm-master'")
    sql(database, "UPDATE owed_vms SET lab_request_id = 'x' WHERE lab_request_id = 'w'")
    assert sorted(told(database)) == [
        "alice: owed_vms shows x, and the state doesn't owe it",
        "alice: vm-master in owed_vms differs from the state in attempts",
        "alice: w is owed and has no row in owed_vms",
    ]


def test_a_file_of_an_older_release_owes_nothing(database: Path) -> None:
    """Before its upgrade it has no table `owed_vms`, which is no disagreement."""
    sql(database, "DROP TABLE owed_vms")
    assert (census(database).sessions, told(database)) == (1, [])


def test_a_column_of_another_release_is_no_disagreement(tmp_path: Path) -> None:
    """Before its upgrade `owed_vms` has no `status`; what both know is compared."""
    database = data_with(tmp_path, [owing("alice")])
    sql(database, "DROP INDEX owed_vms_stuck")
    sql(database, "ALTER TABLE owed_vms DROP COLUMN status")
    assert told(database) == []
    sql(database, "UPDATE owed_vms SET attempts = 97 WHERE lab_request_id = 'vm-master'")
    assert told(database) == ["alice: vm-master in owed_vms differs from the state in attempts"]


def test_no_session_is_agreement_too(tmp_path: Path) -> None:
    """An empty table has nothing to disagree with, and no latest instant."""
    taken = census(data_with(tmp_path, []))
    assert (taken.sessions, taken.disagreements, taken.newest_ms) == (0, 0, None)


@pytest.mark.parametrize("column", [column for column in ROW_COLUMNS if column != "user_id"])
def test_every_column_of_the_row_is_compared(database: Path, column: str) -> None:
    """Changed behind the service's back, it is named."""
    sql(database, f"UPDATE labs_sessions SET {column} = '97'")  # noqa: S608 - our own column names
    assert told(database) == [f"alice: its row in labs_sessions differs from its state in {column}"]


def test_a_state_without_a_row_is_named(database: Path) -> None:
    """The session runs, and operators don't see it."""
    sql(database, "DELETE FROM labs_sessions")
    assert told(database) == ["alice: the session has no row in labs_sessions"]


def test_a_row_without_a_state_is_named(database: Path) -> None:
    """Operators see a session that nobody will clean up; the finding names its VM."""
    sql(database, "DELETE FROM actor_cells")
    assert told(database) == ["alice: labs_sessions shows a session with the VM vm-master, and there is no state"]


def test_a_row_whose_state_is_empty_is_named(database: Path) -> None:
    """Likewise where the cell is there and says that there is nothing, with its wake-up."""
    sql(database, """UPDATE actor_cells SET cell = CAST('{"v":1,"state":{}}' AS BLOB)""")
    assert told(database) == [
        "alice: labs_sessions shows a session, and the state has none",
        f"alice: a wake-up is armed at {iso(DEADLINE)}, and the state wants none",
    ]


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_wake_up_that_was_moved_by_a_millisecond_is_named(database: Path, shift: int) -> None:
    """Both instants are shown; exactly at the deadline is agreement, as other tests show."""
    sql(database, "UPDATE actor_cells SET due_ms = due_ms + ?", shift)
    assert told(database) == [
        f"alice: its wake-up is armed at {iso(DEADLINE + shift)}, the state wants {iso(DEADLINE)}"
    ]


def test_a_wake_up_that_is_missing_is_named(database: Path) -> None:
    """The worst of all: the session would never end."""
    sql(database, "UPDATE actor_cells SET due_ms = NULL")
    assert told(database) == [f"alice: no wake-up is armed, the state wants {iso(DEADLINE)}"]


def test_a_wake_up_in_the_wrong_lane_is_named(database: Path) -> None:
    """A first attempt among the retries would wait for them."""
    sql(database, "UPDATE actor_cells SET lane = 1")
    assert told(database) == ["alice: its wake-up is in lane 1, the state wants 0"]


@pytest.mark.parametrize(("shift", "disagreements"), [(-1, 1), (0, 0), (1, 0), (300_000, 0)])
def test_a_wake_up_that_was_put_off_is_late_but_never_early(database: Path, shift: int, disagreements: int) -> None:
    """A delivery that failed backs off in its own row: counted, with its reason, and no disagreement."""
    sql(database, "UPDATE actor_cells SET due_ms = due_ms + ?, deferrals = 2, delivery_error = 'no'", shift)
    taken = census(database, now_ms=DEADLINE + HOUR)
    assert taken.disagreements == disagreements
    assert (taken.undeliverable, taken.undeliverable_example, taken.due) == (1, "alice: no", 0)


@pytest.mark.parametrize("cell", [b"", b"\x00\xff", b"{", b'{"v":99,"state":{}}', b'{"v":1,"state":{"session":{}}}'])
def test_a_cell_that_cannot_be_read_is_named_and_the_others_are_still_examined(tmp_path: Path, cell: bytes) -> None:
    """One damaged session hides nobody else's trouble."""
    database = data_with(tmp_path, [User().create(user_id=user) for user in ("alice", "bob")])
    sql(database, "UPDATE actor_cells SET cell = ? WHERE name = 'alice'", cell)
    sql(database, "DELETE FROM labs_sessions WHERE user_id = 'bob'")
    unreadable, other = told(database)
    assert unreadable.startswith("alice: the ")
    assert other == "bob: the session has no row in labs_sessions"


@pytest.mark.parametrize(("lost", "lines"), [(EXAMPLES, EXAMPLES), (EXAMPLES + 1, EXAMPLES + 1), (200, EXAMPLES + 1)])
def test_only_some_disagreements_are_shown_and_all_are_counted(tmp_path: Path, lost: int, lines: int) -> None:
    """Ten examples, and a line with the number of the others."""
    database = data_with(tmp_path, [User().create(user_id=f"user-{number}") for number in range(lost)])
    sql(database, "DELETE FROM labs_sessions")
    taken = census(database)
    assert taken.disagreements == lost
    findings = list(taken.findings())
    assert len(findings) == lines
    if lost > EXAMPLES:
        assert findings[-1].found == f"{lost - EXAMPLES} more disagreements like these"


@pytest.mark.parametrize(("now_ms", "due"), [(DEADLINE - 1, 0), (DEADLINE, 1), (DEADLINE + 1, 1)])
def test_due_is_at_the_deadline_and_not_before(database: Path, now_ms: int, due: int) -> None:
    """The oldest of them is remembered."""
    taken = census(database, now_ms)
    assert (taken.due, taken.oldest_due_ms) == (due, DEADLINE if due else None)


def test_the_newest_instant_is_that_of_states_and_history(database: Path) -> None:
    """The last change of a session, or the last end of one."""
    assert census(database).newest_ms == NOW
    columns = "generation, user_id, id, labId, lab_request_id, created_at, expires_at, ended_at, end_reason, attempts"
    for number, ended_at in enumerate((iso(NOW - 10_000), "nonsense", iso(NOW + 10_000))):
        values = [f"g{number}", "u", "i", "l", "v", "c", "e", ended_at, "expired", 1]
        sql(database, f"INSERT INTO session_history ({columns}) VALUES ({','.join('?' * 10)})", *values)  # noqa: S608
        assert census(database).newest_ms == (NOW if number < 2 else (NOW + 10_000) // 1000 * 1000)


@pytest.mark.parametrize(
    ("ahead_ms", "found"),
    [
        (0, None),
        (1, None),
        (AHEAD_MS, None),
        (AHEAD_MS + 1, "alice: its session was created 1 s later than now, and runs so much longer: until"),
        (2 * HOUR, "alice: its session was created 7200 s later than now, and runs so much longer: until"),
    ],
)
def test_a_session_from_the_future_is_named(database: Path, ahead_ms: int, found: str | None) -> None:
    """Who, how far ahead, what it means, and what to do; a small step of the clock is no finding."""
    taken = census(database, NOW - ahead_ms)
    assert taken.ahead == (0 if found is None else 1)
    findings = list(taken.findings())[1:]
    assert [finding.level for finding in findings] == ["warning"] * taken.ahead
    if found is not None:
        assert findings[0].found == f"{found} {iso(DEADLINE)}"
        assert "python run.py reanchor" in findings[0].todo


def test_an_attempt_that_is_put_off_too_far_is_named(tmp_path: Path) -> None:
    """Of a session and of an obligation, measured by the settings of the day; a wait that a setting allows is none."""
    database = data_with(tmp_path, [User().create(user_id="alice", duration=1).expire(), owing("bob")])
    alice_ms = NOW + MINUTE + POLICY.backstop_ms
    assert census(database, NOW + MINUTE).ahead == 0
    assert census(database, alice_ms - POLICY.backstop_ms - AHEAD_MS).ahead == 0
    taken = census(database, NOW - HOUR)
    assert sorted(finding.found for finding in list(taken.findings())[1:]) == [
        f"alice: its next attempt is at {iso(alice_ms)}, further away than any is put off",
        f"bob: its next attempt is at {iso(NOW + MINUTE)}, further away than any is put off",
    ]
    with closing(open_for_reading(database)) as connection:
        patient = structs.replace(POLICY, retry_interval_ms=2 * HOUR)
        assert take_census(connection, NOW - HOUR, patient).ahead == 0


def test_only_some_from_the_future_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    """Ten examples, and a line with the number of the others."""
    database = data_with(tmp_path, [User().create(user_id=f"user-{number}") for number in range(EXAMPLES + 5)])
    findings = list(census(database, NOW - HOUR).findings())
    assert len(findings) == 1 + EXAMPLES + 1
    assert findings[-1].found == "5 more are further ahead than they should be"


def test_a_writer_is_neither_disturbed_nor_seen_half(database: Path) -> None:
    """While another program has written and not committed, the last commit is what counts."""
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM labs_sessions")
        assert told(database) == []
        writer.execute("COMMIT")
    assert told(database) == ["alice: the session has no row in labs_sessions"]


def test_an_answer_that_is_remembered_is_no_session(tmp_path: Path) -> None:
    """It has a state and a wake-up, and no row; that is agreement."""
    user = User()
    user.say(Keyed("k", "d", Create(OTHER_GENERATION, lab())), NOW)
    user.say(Delete(), NOW)
    taken = census(data_with(tmp_path, [user]))
    assert (taken.sessions, taken.disagreements, taken.due) == (0, 0, 0)


@pytest.mark.parametrize(("now_ms", "on"), [(NOW + MINUTE - 1, True), (NOW + MINUTE, False)])
def test_a_pause_is_seen_as_long_as_it_is_on(database: Path, now_ms: int, *, on: bool) -> None:
    """Its cell is nobody's session."""
    paused = Paused(NOW, NOW + MINUTE, "x", "ada")
    cell = json.dumps(paused._asdict()).encode()
    sql(database, "INSERT INTO actor_cells (namespace, name, cell) VALUES (?, ?, ?)", *CELL, cell)
    taken = census(database, now_ms)
    assert taken.paused == (paused if on else None)
    assert (taken.sessions, taken.disagreements) == (1, 0)
