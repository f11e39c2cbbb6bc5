"""What operators and clients see: the row, the history, the public session, and instants as text."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from builders import GENERATION, HOUR, MASTER, NOW, POLICY, User, lab, worker_nodes
from hypothesis import given
from msgspec import structs
from strategies import LAST_MS, instants, labs, seeded, sessions

from labsessions.core.messages import Delete, Ended
from labsessions.core.model import Lab, Session, State
from labsessions.core.projection import HISTORY_COLUMNS, ROW_COLUMNS, history, iso, public, row

# The client's fields of CONTRACT §1, in its order, and the attributes of `Lab` that hold them.
CLIENT_FIELDS = {
    "id": "id",
    "labId": "lab_id",
    "labTitle": "lab_title",
    "labGroupID": "lab_group_id",
    "moduleID": "module_id",
    "duration": "duration",
    "activatedAt": "activated_at",
    "counterID": "counter_id",
    "configId": "config_id",
    "workerConfigId": "worker_config_id",
    "lab_request_id": "lab_request_id",
    "user_id": "user_id",
    "terminal_url": "terminal_url",
    "validation": "validation",
    "vm": "vm",
    "vscode_domain": "vscode_domain",
    "puku_domain": "puku_domain",
    "worker_nodes": "worker_nodes",
    "loadBalancers": "load_balancers",
}
FIELDS = {*CLIENT_FIELDS, "created_at", "updated_at"}
ALWAYS_ADDED = {
    "status",
    "expires_at",
    "remaining_seconds",
    "server_time",
    "max_expires_at",
    "extendable",
    "why_not",
    "time_factor",
}
ADDED_UNDER_CLEANUP = {"attempts", "last_error", "next_attempt_at"}

# --- instants ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1_000, "1970-01-01T00:00:01.000Z"),
        (NOW, "2025-11-24T16:00:00.123Z"),
        (1_709_251_199_007, "2024-02-29T23:59:59.007Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_instants_are_iso_in_utc_with_milliseconds(instant_ms: int, text: str) -> None:
    """Always three digits and a Z, so that texts sort as the instants do."""
    assert iso(instant_ms) == text


@seeded
@given(instants, instants)
def test_instants_survive_as_text(one: int, other: int) -> None:
    """Not a millisecond is lost, and the order of texts is the order of time."""
    assert datetime.fromisoformat(iso(one)) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=one)
    assert (iso(one) < iso(other)) is (one < other)


# --- the row ----------------------------------------------------------------------------------------------


def test_the_row_of_an_active_session() -> None:
    """The contract's columns by its names; JSON members as text; no cleanup to tell of."""
    user = User().create(worker_nodes=worker_nodes("w"), load_balancers=[{"id": "lb", "domain": "d", "port": 80}])
    assert row(user.state) == {
        "user_id": "user-1",
        "id": "session-1",
        "labId": "lab-1",
        "labTitle": "Kubernetes from scratch",
        "labGroupID": "group-1",
        "moduleID": "module-1",
        "duration": 60,
        "activatedAt": "2026-11-23T10:00:00.000Z",
        "counterID": "counter-1",
        "configId": "config-1",
        "workerConfigId": "worker-config-1",
        "lab_request_id": MASTER,
        "terminal_url": "https://terminal.test/1",
        "validation": 0,
        "vm": '{"name":"master","network_id":"net-1","netbird_ip":"100.64.0.1"}',
        "vscode_domain": None,
        "puku_domain": None,
        "worker_nodes": '[{"name":"node-w","worker_lab_request_id":"w","network_id":"net-1","netbird_ip":""}]',
        "loadBalancers": '[{"id":"lb","domain":"d","port":80}]',
        "created_at": "2025-11-24T16:00:00.123Z",
        "updated_at": "2025-11-24T16:00:00.123Z",
        "expires_at": "2025-11-24T17:00:00.123Z",
        "status": "active",
        "attempts": 0,
        "last_error": None,
        "next_attempt_at": None,
        "generation": GENERATION,
        "version": 1,
    }


def test_the_row_under_cleanup_tells_how_it_goes() -> None:
    """Attempts begun, the last reason, when it goes on."""
    user = User().create().expire().fail(error="status 500", after_ms=877)
    shown = row(user.state)
    assert shown is not None
    assert {name: shown[name] for name in ("status", "attempts", "last_error", "next_attempt_at", "version")} == {
        "status": "cleaning",
        "attempts": 1,
        "last_error": "status 500",
        "next_attempt_at": "2025-11-24T17:05:01.000Z",
        "version": 3,
    }


def test_the_row_has_the_tables_columns_in_their_order() -> None:
    """The engine stores by `ROW_COLUMNS`: a column that only one of the two knows would be lost or missing."""
    assert tuple(row(User().create().state) or ()) == ROW_COLUMNS


@seeded
@given(sessions)
def test_the_row_agrees_with_the_session_and_fits_sqlite(session: Session) -> None:
    """Every column is a value that SQLite stores; JSON columns hold exactly what the client sent."""
    shown = row(State(session=session))
    assert shown is not None
    assert set(shown) >= FIELDS
    assert all(isinstance(value, str | int | float | None) for value in shown.values())
    assert json.loads(shown["vm"]) == session.lab.vm
    workers = session.lab.worker_nodes
    assert (shown["worker_nodes"] is None) is (workers is None)
    assert workers is None or json.loads(shown["worker_nodes"]) == workers
    assert shown["status"] == session.status
    assert shown["expires_at"] == iso(session.expires_ms)


# --- the history ------------------------------------------------------------------------------------------


def test_the_history_of_an_expired_session() -> None:
    """How it ended, after how many attempts, and how late: from the deadline to the confirmation."""
    user = User().create().expire().fail(error="status 500").expire()
    ended_ms = user.due_ms - 1
    (event,) = user.say(user.outcome(MASTER), ended_ms).events
    assert isinstance(event, Ended)
    assert history(event) == {
        "generation": GENERATION,
        "user_id": "user-1",
        "id": "session-1",
        "labId": "lab-1",
        "lab_request_id": MASTER,
        "created_at": iso(NOW),
        "expires_at": iso(NOW + HOUR),
        "ended_at": iso(ended_ms),
        "end_reason": "expired",
        "attempts": 2,
        "lateness_ms": ended_ms - (NOW + HOUR),
        "last_error": "status 500",
    }


def test_the_history_has_the_tables_columns_in_their_order() -> None:
    """As for the row."""
    assert tuple(history(Ended(User().create().session, "deleted", NOW))) == HISTORY_COLUMNS


@pytest.mark.parametrize("attempts", [0, 1])
def test_the_history_of_a_deleted_session(attempts: int) -> None:
    """One that was deleted by hand was never late, whether or not a cleanup had begun."""
    user = User().create()
    if attempts:
        user.expire()
    (event,) = user.say(Delete(), NOW + 5).events
    assert isinstance(event, Ended)
    line = history(event)
    assert (line["end_reason"], line["attempts"], line["lateness_ms"]) == ("deleted", attempts, None)
    assert line["ended_at"] == iso(NOW + 5)


# --- the public session -----------------------------------------------------------------------------------


def test_the_public_session_has_the_contracts_fields() -> None:
    """All of CONTRACT §1, absent options as null, plus what is added to every session body."""
    body = public(User().create().session, NOW + 1_500, POLICY)
    assert set(body) == FIELDS | ALWAYS_ADDED
    assert body["expires_at"] == "2025-11-24T17:00:00.123Z"
    assert body["server_time"] == "2025-11-24T16:00:01.623Z"
    assert body["remaining_seconds"] == 3_598.5
    assert (body["status"], body["validation"], body["vscode_domain"]) == ("active", 0, None)
    assert body["vm"] == lab().vm


def test_the_public_session_under_cleanup_tells_how_it_goes() -> None:
    """Attempts, the last error and the next attempt are there under cleanup, and only there."""
    user = User().create().expire()
    body = public(user.session, user.session.expires_ms, POLICY)
    assert set(body) == FIELDS | ALWAYS_ADDED | ADDED_UNDER_CLEANUP
    assert (body["attempts"], body["last_error"], body["next_attempt_at"]) == (1, None, iso(user.due_ms))


@pytest.mark.parametrize(("offset_ms", "seconds"), [(-1_001, 1.001), (-1, 0.001), (0, 0), (1, 0), (10**9, 0)])
def test_remaining_seconds_end_at_zero(offset_ms: int, seconds: float) -> None:
    """Never negative, exact to the millisecond."""
    session = User().create().session
    assert public(session, session.expires_ms + offset_ms, POLICY)["remaining_seconds"] == seconds


@seeded
@given(labs)
def test_the_public_session_gives_back_what_the_client_sent(sent: Lab) -> None:
    """Each of the client's members under its own name, unknown members of objects included, as plain values."""
    session = User().create(**structs.asdict(sent)).session
    body = public(session, NOW, POLICY)
    members = CLIENT_FIELDS | {"time_factor": "time_factor"}
    if sent.time_factor != 1:
        del members["duration"]  # multiplied by it
    assert {name: body[name] for name in members} == {
        name: getattr(sent, attribute) for name, attribute in members.items()
    }


@seeded
@given(sessions, instants)
def test_row_and_public_session_agree(session: Session, now_ms: int) -> None:
    """What clients see is what operators see, at any time and in any state."""
    shown, body = row(State(session=session)), public(session, now_ms, POLICY)
    assert shown is not None
    json_columns = {"vm", "worker_nodes", "loadBalancers"}
    same = (FIELDS | {"status", "expires_at"} | (ADDED_UNDER_CLEANUP & set(body))) - json_columns
    assert {name: body[name] for name in same} == {name: shown[name] for name in same}
    assert body["remaining_seconds"] >= 0
    assert (session.cleanup is None) is (ADDED_UNDER_CLEANUP.isdisjoint(body))
