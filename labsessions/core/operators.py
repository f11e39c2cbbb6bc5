"""What operators do with a session: it ends now, is tried again now, or is given up.

Columns of the table in `core.machine`.
"""

from typing import Final

from msgspec import structs

from labsessions.core.decision import Decision, refuse
from labsessions.core.messages import (
    Abandon,
    Affected,
    Current,
    Ended,
    Event,
    Forget,
    Forgotten,
    Refusal,
    Updated,
)
from labsessions.core.model import Cleanup, Session, State, minutes_of
from labsessions.core.parts import parts, replaced, with_cleanup

BY_OPERATOR: Final = "ended_by_operator"
FORGOTTEN: Final = "forgotten"


def end_now(state: State, session: Session, now_ms: int) -> Decision:
    """The deadline is now. The cleanup has begun, with no attempt yet: a client that moved the deadline would undo it.

    The first attempt is due at once and goes by the way of any other.
    """
    if session.cleanup is not None:
        return refuse(state, Refusal.BEING_CLEANED)
    lab = session.lab
    # Creation + duration is the deadline, and a duration is more than 0, even if the clock was set back.
    expires_ms = min(max(now_ms, session.created_ms + 1), session.expires_ms)
    if expires_ms < session.expires_ms:
        lab = structs.replace(lab, duration=minutes_of(expires_ms - session.created_ms))
    cleanup = Cleanup(attempts=0, in_flight=False, retry_ms=now_ms, started_ms=now_ms, reason=BY_OPERATOR)
    ended = structs.replace(with_cleanup(session, cleanup), lab=lab, updated_ms=now_ms, expires_ms=expires_ms)
    event = Updated(ended, old_expires_ms=session.expires_ms)
    return Decision(structs.replace(state, session=ended), (event,), (), Current(ended))


def retry_now(state: State, now_ms: int) -> Decision:
    """The next attempt is due now: the session's, or that of each obligation if no session is being cleaned."""
    session = state.session
    waiting = state.owed if session is None or session.cleanup is None else (session,)
    if not waiting:
        return refuse(state, Refusal.NOT_FOUND if session is None else Refusal.NOTHING_WAITS)
    if any(part.in_flight for part in waiting):
        return refuse(state, Refusal.ATTEMPT_RUNNING)
    after = state
    retried: list[Session] = []
    for part, cleanup in [(part, cleanup) for part in waiting if (cleanup := part.cleanup) is not None]:
        retried.append(with_cleanup(part, structs.replace(cleanup, retry_ms=min(cleanup.retry_ms, now_ms))))
        after = replaced(after, part, retried[-1])
    return Decision(after, (), (), Affected(tuple(retried)))


def forget(state: State, message: Forget, now_ms: int) -> Decision:
    """The parts that are meant are gone, and an attempt of theirs is abandoned. Their VMs may run on."""
    meant = tuple(part for part in parts(state) if message.session_id in (None, part.lab.id))
    if not meant:
        return refuse(state, Refusal.CHANGED if parts(state) else Refusal.NOT_FOUND)
    after = state
    events: list[Event] = []
    for part in meant:
        events.append(Ended(part, FORGOTTEN, now_ms) if part is state.session else Forgotten(part))
        after = replaced(after, part, None)
    effects = tuple(Abandon(part.generation) for part in meant if part.in_flight)
    return Decision(after, tuple(events), effects, Affected(meant))
