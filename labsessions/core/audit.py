"""What is kept of each action of an operator: who did what to whom, why, and how it went. A row of `operator_audit`.

An action on a session is written in the transaction of what it did; one that was refused is written, too.
"""

from typing import Any, Final, assert_never

import msgspec
from msgspec import Struct

from labsessions.core.messages import (
    Affected,
    Current,
    EndNow,
    ExtendBy,
    Extended,
    ExtendUntil,
    Forget,
    Operated,
    Refusal,
    Reply,
    RetryNow,
)
from labsessions.core.model import Session
from labsessions.core.projection import iso

# All but the number, `seq`, which the table gives.
AUDIT_COLUMNS = ("at", "who", "action", "user_id", "reason", "detail", "outcome")
DONE: Final = "done"


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """One action. `outcome` is `done`, or why not in a word; `detail` is a JSON object, by action."""

    who: str
    action: str
    outcome: str
    user_id: str | None = None
    reason: str | None = None
    detail: dict[str, Any] = {}


def line(entry: Entry, now_ms: int) -> dict[str, Any]:
    """The row of `operator_audit` for an action of this instant."""
    return {
        "at": iso(now_ms),
        "who": entry.who,
        "action": entry.action,
        "user_id": entry.user_id,
        "reason": entry.reason,
        "detail": msgspec.json.encode(entry.detail).decode(),
        "outcome": entry.outcome,
    }


def entry_of(user_id: str, operated: Operated, reply: Reply) -> Entry:
    """The entry for what was done to a user's session, or refused."""
    action, asked = _asked(operated)
    return Entry(
        who=operated.who,
        action=action,
        user_id=user_id,
        reason=operated.reason,
        detail={**asked, **_came_of_it(reply)},
        outcome=reply.value if isinstance(reply, Refusal) else DONE,
    )


def _asked(operated: Operated) -> tuple[str, dict[str, Any]]:
    match operated.message:
        case EndNow():
            return "end", {}
        case RetryNow():
            return "retry", {}
        case Forget(session_id):
            return "forget", {} if session_id is None else {"session_id": session_id}
        case ExtendBy(minutes):
            return "extend", {"minutes": minutes}
        case ExtendUntil(instant_ms):
            return "extend", {"until_ms": instant_ms}  # any instant that a client can write; not all have a date
        case _:  # pragma: no cover
            assert_never(operated.message)


def _came_of_it(reply: Reply) -> dict[str, Any]:
    match reply:
        case Extended(session, granted_ms):
            return {**_about(session), "granted_seconds": granted_ms / 1000, "expires_at": iso(session.expires_ms)}
        case Current(session):
            return _about(session)
        case Affected(parts):
            return _about(*parts)
        case _:
            return {}


def _about(*parts: Session) -> dict[str, Any]:
    """The sessions, and their VMs that the backend has not confirmed."""
    return {"session_ids": [part.lab.id for part in parts], "vms": [vm for part in parts for vm in part.pending]}
