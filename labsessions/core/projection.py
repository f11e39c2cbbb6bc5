"""What operators see of a state: its row in `labs_sessions`, and the line in the history once it has ended.

Values are given by column name; the statements that store them are the engine's. JSON columns hold the
member as the client sent it. Rows carry (generation, version), so applying one twice or late is harmless.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from labsessions.core.deadline import latest_ms, why_not
from labsessions.core.messages import Ended
from labsessions.core.model import Session, State
from labsessions.core.policy import Policy

ROW_COLUMNS = (
    "user_id",
    "id",
    "labId",
    "labTitle",
    "labGroupID",
    "moduleID",
    "duration",
    "activatedAt",
    "counterID",
    "configId",
    "workerConfigId",
    "lab_request_id",
    "terminal_url",
    "validation",
    "vm",
    "vscode_domain",
    "puku_domain",
    "worker_nodes",
    "loadBalancers",
    "created_at",
    "updated_at",
    "expires_at",
    "status",
    "attempts",
    "last_error",
    "next_attempt_at",
    "generation",
    "version",
)
HISTORY_COLUMNS = (
    "generation",
    "user_id",
    "id",
    "labId",
    "lab_request_id",
    "created_at",
    "expires_at",
    "ended_at",
    "end_reason",
    "attempts",
    "lateness_ms",
    "last_error",
)
OWED_COLUMNS = (
    "user_id",
    "lab_request_id",
    "generation",
    "since",
    "attempts",
    "last_error",
    "next_attempt_at",
    "status",
)


def row(state: State) -> dict[str, Any] | None:
    """The row of `labs_sessions` that shows this state, or None if there is no session to show."""
    session = state.session
    if session is None:
        return None
    lab, cleanup = session.lab, session.cleanup
    return {
        "user_id": lab.user_id,
        "id": lab.id,
        "labId": lab.lab_id,
        "labTitle": lab.lab_title,
        "labGroupID": lab.lab_group_id,
        "moduleID": lab.module_id,
        "duration": lab.duration,
        "activatedAt": lab.activated_at,
        "counterID": lab.counter_id,
        "configId": lab.config_id,
        "workerConfigId": lab.worker_config_id,
        "lab_request_id": lab.lab_request_id,
        "terminal_url": lab.terminal_url,
        "validation": lab.validation,
        "vm": _json(lab.vm),
        "vscode_domain": lab.vscode_domain,
        "puku_domain": lab.puku_domain,
        "worker_nodes": _json(lab.worker_nodes),
        "loadBalancers": _json(lab.load_balancers),
        "created_at": iso(session.created_ms),
        "updated_at": iso(session.updated_ms),
        "expires_at": iso(session.expires_ms),
        "status": session.status,
        "attempts": 0 if cleanup is None else cleanup.attempts,
        "last_error": None if cleanup is None else cleanup.last_error,
        "next_attempt_at": None if cleanup is None else iso(cleanup.retry_ms),
        "generation": session.generation,
        "version": session.version,
    }


def history(ended: Ended) -> dict[str, Any]:
    """The line of `session_history` for a session that has ended; `lateness_ms` as in `Ended`."""
    session = ended.session
    lab, cleanup = session.lab, session.cleanup
    return {
        "generation": session.generation,
        "user_id": lab.user_id,
        "id": lab.id,
        "labId": lab.lab_id,
        "lab_request_id": lab.lab_request_id,
        "created_at": iso(session.created_ms),
        "expires_at": iso(session.expires_ms),
        "ended_at": iso(ended.at_ms),
        "end_reason": ended.reason,
        "attempts": 0 if cleanup is None else cleanup.attempts,
        "lateness_ms": ended.lateness_ms,
        "last_error": None if cleanup is None else cleanup.last_error,
    }


def owed(state: State) -> list[dict[str, Any]]:
    """The rows of `owed_vms`: each VM of an ended session that the backend has still to confirm."""
    return [
        {
            "user_id": part.lab.user_id,
            "lab_request_id": vm,
            "generation": part.generation,
            "since": None if part.deleted_ms is None else iso(part.deleted_ms),
            "attempts": 0 if part.cleanup is None else part.cleanup.attempts,
            "last_error": None if part.cleanup is None else part.cleanup.last_error,
            "next_attempt_at": iso(part.due_ms),
            "status": part.status,
        }
        for part in state.owed
        for vm in part.pending
    ]


def public(session: Session, now_ms: int, policy: Policy) -> dict[str, Any]:
    """The session as clients see it (CONTRACT §1), seen at `now_ms`; `policy` says whether it can get more time."""
    reason = why_not(session, now_ms, policy)
    body: dict[str, Any] = msgspec.to_builtins(session.lab)
    body["created_at"] = iso(session.created_ms)
    body["updated_at"] = iso(session.updated_ms)
    body["status"] = session.status
    body["expires_at"] = iso(session.expires_ms)
    body["remaining_seconds"] = max(0, session.expires_ms - now_ms) / 1000
    body["server_time"] = iso(now_ms)
    body["max_expires_at"] = iso(latest_ms(session, policy))
    body["extendable"] = reason is None
    body["why_not"] = None if reason is None else reason.value
    if session.cleanup is not None:
        body["attempts"] = session.cleanup.attempts
        body["last_error"] = session.cleanup.last_error
        body["next_attempt_at"] = iso(session.cleanup.retry_ms)
    return body


def iso(instant_ms: int) -> str:
    """An instant as ISO 8601 in UTC with milliseconds: `2026-11-23T23:20:00.123Z`; SQLite's `datetime` reads it."""
    seconds, ms = divmod(instant_ms, 1000)
    return f"{_to_the_second(seconds)}.{ms:03d}Z"


# Ten texts are needed for each request, most of them about the same few seconds: formatting took 5 % of the time.
@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
