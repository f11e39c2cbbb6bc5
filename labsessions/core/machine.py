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

ExtendBy and ExtendUntil are Updates of the duration, as far as the policy allows (`core.deadline`); at the limit they
are refused.
With `Policy.owed_after_ms` a Delete also makes the session an *obligation*: it goes on as one that is being cleaned,
unseen by clients and beside a newer session, which takes over the VMs that it names. The parts share the one
attempt that runs per user: the session's goes first and abandons an obligation's; obligations wait for each other.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, assert_never

from msgspec import UNSET, structs

from labsessions.core.deadline import move
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
    ExtendBy,
    Extended,
    ExtendUntil,
    Message,
    Owed,
    Refusal,
    Reply,
    Settled,
    Show,
    Stuck,
    Update,
    Updated,
    Wake,
)
from labsessions.core.model import Cleanup, Lab, LabChanges, Session, State, duration_ms, named_vms, stretched
from labsessions.core.parts import abandon, parts, rearmed, replaced, startable, take_over, with_cleanup
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
            return _update(state, session, message, now_ms)
        case ExtendBy() | ExtendUntil() if session is not None:
            return _extend(state, session, message, now_ms, policy)
        case Delete() if session is not None:
            return _delete(state, session, message, now_ms, policy)
        case Show() if session is not None:
            return Decision(state, (), (), Current(session))
        case Update() | ExtendBy() | ExtendUntil() | Delete() | Show():
            return _refuse(state, Refusal.NOT_FOUND)
        case Wake():
            return _wake(state, now_ms, policy)
        case AttemptEnded():
            return _attempt_ended(state, message, now_ms, policy)
        case _:  # pragma: no cover
            assert_never(message)


def wake_at(state: State) -> int | None:
    """The instant in ms at which this user next needs attention: derived from the state, never commanded."""
    return min((part.due_ms for part in startable(state)), default=None)


def is_retry(state: State) -> bool:
    """Whether what happens at `wake_at` is a retry: first attempts of others go before it (CONTRACT §3.6).

    Never while the session is active: there is one wake-up per user, and if that waited among the retries for the
    sake of an obligation, the session's first attempt would wait with it once its deadline has come.
    """
    if state.session is not None and state.session.cleanup is None:
        return False
    first = min(startable(state), key=lambda part: part.due_ms, default=None)
    return first is not None and first.cleanup is not None and first.cleanup.attempts > 0


def _refuse(state: State, refusal: Refusal) -> Decision:
    return Decision(state, (), (), refusal)


def _unchanged(state: State) -> Decision:
    return Decision(state, (), (), Done())


# --- requests ---------------------------------------------------------------------------------------------


def _create(state: State, message: Create, now_ms: int) -> Decision:
    if state.session is not None:
        return _refuse(state, Refusal.EXISTS)
    lab = stretched(message.lab)
    session = Session(
        generation=message.generation,
        version=1,
        lab=lab,
        vms=named_vms(lab.lab_request_id, lab.worker_nodes),
        created_ms=now_ms,
        updated_ms=now_ms,
        expires_ms=now_ms + duration_ms(lab.duration),
    )
    owed, events, effects = take_over(state.owed, session.vms, now_ms)
    return Decision(State(session=session, owed=owed), (Created(session), *events), effects, Current(session))


def _is_another(session: Session, message: Update | ExtendBy | ExtendUntil | Delete) -> bool:
    """Whether the client has named the states that it means, and this is none of them."""
    return message.tags is not None and session.tag not in message.tags


def _update(
    state: State, session: Session, message: Update, now_ms: int, reply: Callable[[Session], Reply] = Current
) -> Decision:
    if session.cleanup is not None:
        return _refuse(state, Refusal.BEING_CLEANED)
    if _is_another(session, message):
        return _refuse(state, Refusal.CHANGED)
    lab = _changed(session.lab, message.changes)
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
    owed, events, effects = take_over(state.owed, updated.vms, now_ms)
    return Decision(State(session=updated, owed=owed), (event, *events), effects, reply(updated))


def _changed(lab: Lab, changes: LabChanges) -> Lab:
    given = {name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    return structs.replace(lab, **given)


def _extend(state: State, session: Session, message: ExtendBy | ExtendUntil, now_ms: int, policy: Policy) -> Decision:
    if session.cleanup is None and _is_another(session, message):
        return _refuse(state, Refusal.CHANGED)
    to = move(session, message, now_ms, policy)
    if isinstance(to, Refusal):
        return _refuse(state, to)
    reply = partial(Extended, granted_ms=to.granted_ms, partial=to.partial)
    if to.granted_ms == 0:
        return Decision(state, (), (), reply(session))
    return _update(state, session, Update(LabChanges(duration=to.duration)), now_ms, reply)


def _delete(state: State, session: Session, message: Delete, now_ms: int, policy: Policy) -> Decision:
    if _is_another(session, message):
        return _refuse(state, Refusal.CHANGED)
    ended = Ended(session, "deleted", now_ms)
    effects = () if session.cleanup is None else abandon(state, session)
    if policy.owed_after_ms is None:
        return Decision(State(owed=state.owed), (ended,), effects, Current(session))
    retry_ms = now_ms + policy.owed_after_ms
    if session.cleanup is None:
        cleanup = Cleanup(attempts=0, in_flight=False, retry_ms=retry_ms, started_ms=now_ms)
    else:
        # The attempts are counted on: a late answer of an earlier one must not be taken for that of a later one.
        cleanup = structs.replace(session.cleanup, in_flight=False, retry_ms=retry_ms)
    part = structs.replace(with_cleanup(session, cleanup), deleted_ms=now_ms)
    return Decision(State(owed=(*state.owed, part)), (ended, Owed(part)), effects, Current(session, owed=True))


# --- attempts ---------------------------------------------------------------------------------------------


def _wake(state: State, now_ms: int, policy: Policy) -> Decision:
    due = [part for part in startable(state) if part.due_ms <= now_ms]
    if not due:
        return _unchanged(state)
    part = due[0] if due[0] is state.session else min(due, key=lambda part: part.due_ms)
    before = part.cleanup
    if before is not None and before.in_flight:
        lost, events = _failed(part, before, NO_ANSWER, now_ms, now_ms, policy)
        before = lost.cleanup
    else:
        events = ()
    # Arm the retry, then try: until an outcome is stored, the backstop is the wake-up.
    retry_ms = now_ms + policy.backstop_ms
    if before is None:
        cleanup = Cleanup(attempts=1, in_flight=True, retry_ms=retry_ms, started_ms=now_ms)
    else:
        cleanup = structs.replace(before, attempts=before.attempts + 1, in_flight=True, retry_ms=retry_ms)
    cleaning = with_cleanup(part, cleanup)
    effect = Clean(
        generation=part.generation,
        attempt=cleanup.attempts,
        user_id=part.lab.user_id,
        master=part.lab.lab_request_id,
        vms=cleaning.pending,
        limit_ms=policy.attempt_limit_ms,
        services=part.lab.lab_request_id in part.vms,
    )
    # Only the session finds an attempt of another part in flight: it goes first.
    abandoned = tuple(Abandon(other.generation) for other in state.owed if other is not part and other.in_flight)
    owed = tuple(other if other is part else rearmed(other, now_ms) for other in state.owed)
    after = replaced(State(session=state.session, owed=owed), part, cleaning)
    return Decision(after, (*events, AttemptStarted(cleaning)), (*abandoned, effect), Done())


def _attempt_ended(state: State, ended: AttemptEnded, now_ms: int, policy: Policy) -> Decision:
    part = next((part for part in parts(state) if part.generation == ended.generation), None)
    if part is None or part.cleanup is None:
        return _unchanged(state)  # an answer about yesterday's lab cannot touch today's
    cleanup = part.cleanup
    # A confirmation of an earlier attempt counts: the VM is gone, whichever call was told so.
    confirmed = tuple(vm for vm in part.vms if vm in cleanup.confirmed or vm in ended.confirmed)
    noted = structs.replace(cleanup, confirmed=confirmed)
    if confirmed == part.vms:
        final = with_cleanup(part, noted)
        effects = abandon(state, part) if ended.attempt != cleanup.attempts else ()
        event = Ended(final, "expired", now_ms) if part.deleted_ms is None else Settled(final, now_ms)
        return Decision(replaced(state, part, None), (event,), effects, Done())
    if ended.attempt != cleanup.attempts or not cleanup.in_flight:
        if noted == cleanup:
            return _unchanged(state)
        return Decision(replaced(state, part, with_cleanup(part, noted)), (), (), Done())
    retry_ms = now_ms + policy.retry_after_ms(part.generation)
    failed, events = _failed(part, noted, ended.error or "not every VM was confirmed", retry_ms, now_ms, policy)
    return Decision(replaced(state, part, failed), events, (), Done())


def _failed(
    part: Session, cleanup: Cleanup, error: str, retry_ms: int, now_ms: int, policy: Policy
) -> tuple[Session, tuple[Event, ...]]:
    """The attempt in flight has failed for `error`; label the session stuck once the limit is reached."""
    newly_stuck = cleanup.stuck_since_ms is None and cleanup.attempts >= policy.stuck_after
    failed = with_cleanup(
        part,
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
