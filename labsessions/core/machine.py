"""The table: every way in which a user's session moves, and nothing else.

Two rules. Everything that decides is in this file; and this file knows neither who asks (HTTP, the runtime, a
simulator) nor what is done about it. The functions are total: a message that doesn't fit is answered with a
refusal or changes nothing. They raise only on a bug.

            Create          Update            Delete             Wake                     AttemptEnded
 none       active          not found         not found          –                        –
 active     exists          active, maybe a   none               early: –                 – (stale)
                            new deadline                         due: cleaning + Clean
 cleaning   exists          being cleaned     none + Abandon     early: –                 all confirmed: none
                                                                 due: attempt + 1, Clean  else: retry noted
"""

from typing import NamedTuple, assert_never

from msgspec import UNSET, structs

from labsessions.core.messages import (
    Abandon,
    AttemptEnded,
    AttemptFailed,
    AttemptStarted,
    Clean,
    Create,
    Created,
    Current,
    Delete,
    Done,
    Effect,
    Ended,
    Event,
    Message,
    Refusal,
    Reply,
    Show,
    Stuck,
    Update,
    Updated,
    Wake,
)
from labsessions.core.model import Cleanup, Lab, LabChanges, Session, State, duration_ms, named_vms
from labsessions.core.policy import Policy

NO_ANSWER = "no outcome of the attempt was stored: the service stopped or lost it"


class Decision(NamedTuple):
    """What a message led to. `state` is the input itself if nothing changed, so `is` tells."""

    state: State
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    reply: Reply


def decide(state: State, message: Message, now_ms: int, policy: Policy) -> Decision:
    """The state after `message` at `now_ms`, the facts to store with it, what to do then, and the reply."""
    session = state.session
    match message:
        case Create():
            return _create(state, message, now_ms)
        case Update() if session is not None:
            return _update(state, session, message.changes, now_ms)
        case Delete() if session is not None:
            return _delete(session, now_ms)
        case Show() if session is not None:
            return Decision(state, (), (), Current(session))
        case Update() | Delete() | Show():
            return _refuse(state, Refusal.NOT_FOUND)
        case Wake():
            return _wake(state, now_ms, policy)
        case AttemptEnded():
            return _attempt_ended(state, message, now_ms, policy)
        case _:  # pragma: no cover
            assert_never(message)


def wake_at(state: State) -> int | None:
    """The instant in ms at which this user next needs attention: derived from the state, never commanded."""
    session = state.session
    if session is None:
        return None
    return session.expires_ms if session.cleanup is None else session.cleanup.retry_ms


def is_retry(state: State) -> bool:
    """Whether what happens at `wake_at` is a retry: first attempts of others go before it (CONTRACT §3.6)."""
    return state.session is not None and state.session.cleanup is not None


def _refuse(state: State, refusal: Refusal) -> Decision:
    return Decision(state, (), (), refusal)


def _unchanged(state: State) -> Decision:
    return Decision(state, (), (), Done())


def _create(state: State, message: Create, now_ms: int) -> Decision:
    if state.session is not None:
        return _refuse(state, Refusal.EXISTS)
    lab = message.lab
    session = Session(
        generation=message.generation,
        version=1,
        lab=lab,
        vms=named_vms(lab.lab_request_id, lab.worker_nodes),
        created_ms=now_ms,
        updated_ms=now_ms,
        expires_ms=now_ms + duration_ms(lab.duration),
    )
    return Decision(State(session=session), (Created(session),), (), Current(session))


def _update(state: State, session: Session, changes: LabChanges, now_ms: int) -> Decision:
    if session.cleanup is not None:
        return _refuse(state, Refusal.BEING_CLEANED)
    lab = _changed(session.lab, changes)
    updated = structs.replace(
        session,
        version=session.version + 1,
        lab=lab,
        vms=tuple(dict.fromkeys(session.vms + named_vms(lab.lab_request_id, lab.worker_nodes))),
        updated_ms=now_ms,
        # A deadline in the past is a wake-up that is due: the cleanup starts by the same way as any other.
        expires_ms=session.created_ms + duration_ms(lab.duration),
    )
    event = Updated(updated, deadline_moved=updated.expires_ms != session.expires_ms)
    return Decision(State(session=updated), (event,), (), Current(updated))


def _changed(lab: Lab, changes: LabChanges) -> Lab:
    given = {name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    return structs.replace(lab, **given)


def _delete(session: Session, now_ms: int) -> Decision:
    effects = () if session.cleanup is None else (Abandon(session.generation),)
    return Decision(State(), (Ended(session, "deleted", now_ms),), effects, Current(session))


def _wake(state: State, now_ms: int, policy: Policy) -> Decision:
    session, due_ms = state.session, wake_at(state)
    if session is None or due_ms is None or now_ms < due_ms:
        return _unchanged(state)
    before = session.cleanup
    if before is not None and before.in_flight:
        lost, events = _failed(session, before, NO_ANSWER, now_ms, now_ms, policy)
        before = lost.cleanup
    else:
        events = ()
    # Arm the retry, then try: until an outcome is stored, the backstop is the wake-up.
    retry_ms = now_ms + policy.backstop_ms
    if before is None:
        cleanup = Cleanup(attempts=1, in_flight=True, retry_ms=retry_ms, started_ms=now_ms)
    else:
        cleanup = structs.replace(before, attempts=before.attempts + 1, in_flight=True, retry_ms=retry_ms)
    cleaning = _with_cleanup(session, cleanup)
    effect = Clean(
        generation=session.generation,
        attempt=cleanup.attempts,
        user_id=session.lab.user_id,
        master=session.lab.lab_request_id,
        vms=cleaning.pending,
        limit_ms=policy.attempt_limit_ms,
    )
    return Decision(State(session=cleaning), (*events, AttemptStarted(cleaning)), (effect,), Done())


def _attempt_ended(state: State, ended: AttemptEnded, now_ms: int, policy: Policy) -> Decision:
    session = state.session
    if session is None or session.cleanup is None or session.generation != ended.generation:
        return _unchanged(state)  # an answer about yesterday's lab cannot touch today's
    cleanup = session.cleanup
    # A confirmation of an earlier attempt counts: the VM is gone, whichever call was told so.
    confirmed = tuple(vm for vm in session.vms if vm in cleanup.confirmed or vm in ended.confirmed)
    noted = structs.replace(cleanup, confirmed=confirmed)
    if confirmed == session.vms:
        final = _with_cleanup(session, noted)
        effects = (Abandon(session.generation),) if ended.attempt != cleanup.attempts else ()
        return Decision(State(), (Ended(final, "expired", now_ms),), effects, Done())
    if ended.attempt != cleanup.attempts or not cleanup.in_flight:
        if noted == cleanup:
            return _unchanged(state)
        return Decision(State(session=_with_cleanup(session, noted)), (), (), Done())
    retry_ms = now_ms + policy.retry_after_ms(session.generation)
    failed, events = _failed(session, noted, ended.error or "not every VM was confirmed", retry_ms, now_ms, policy)
    return Decision(State(session=failed), events, (), Done())


def _failed(
    session: Session, cleanup: Cleanup, error: str, retry_ms: int, now_ms: int, policy: Policy
) -> tuple[Session, tuple[Event, ...]]:
    """The attempt in flight has failed for `error`; label the session stuck once the limit is reached."""
    newly_stuck = cleanup.stuck_since_ms is None and cleanup.attempts >= policy.stuck_after
    failed = _with_cleanup(
        session,
        structs.replace(
            cleanup,
            in_flight=False,
            retry_ms=retry_ms,
            last_error=error,
            stuck_since_ms=now_ms if newly_stuck else cleanup.stuck_since_ms,
        ),
    )
    events: tuple[Event, ...] = (AttemptFailed(failed),)
    return failed, (*events, Stuck(failed)) if newly_stuck else events


def _with_cleanup(session: Session, cleanup: Cleanup) -> Session:
    return structs.replace(session, version=session.version + 1, cleanup=cleanup)
