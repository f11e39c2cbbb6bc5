"""What clients ask for: a session is made, changed, extended and deleted.

Columns of the table in `core.machine`.
"""

from collections.abc import Callable
from functools import partial

from msgspec import UNSET, structs

from labsessions.core.deadline import move
from labsessions.core.decision import Decision, refuse
from labsessions.core.messages import (
    Create,
    Created,
    Current,
    Delete,
    Ended,
    ExtendBy,
    Extended,
    ExtendUntil,
    Owed,
    Refusal,
    Reply,
    Update,
    Updated,
)
from labsessions.core.model import Cleanup, Lab, LabChanges, Session, State, duration_ms, named_vms, stretched
from labsessions.core.parts import abandon, take_over, with_cleanup
from labsessions.core.policy import Policy
from labsessions.core.warnings import leads_ms


def create(state: State, message: Create, now_ms: int, policy: Policy) -> Decision:
    """A new session, unless one is there. It takes over the VMs it names from older obligations."""
    if state.session is not None:
        return refuse(state, Refusal.EXISTS)
    lab = stretched(message.lab)
    expires_ms = now_ms + duration_ms(lab.duration)
    session = Session(
        generation=message.generation,
        version=1,
        lab=lab,
        vms=named_vms(lab.lab_request_id, lab.worker_nodes),
        created_ms=now_ms,
        updated_ms=now_ms,
        expires_ms=expires_ms,
        leads_ms=leads_ms(expires_ms, now_ms, policy),
    )
    owed, events, effects = take_over(state.owed, session.vms, now_ms)
    after = structs.replace(state, session=session, owed=owed)
    return Decision(after, (Created(session), *events), effects, Current(session))


def _is_another(session: Session, message: Update | ExtendBy | ExtendUntil | Delete) -> bool:
    """Whether the client has named the states that it means, and this is none of them."""
    return message.tags is not None and session.tag not in message.tags


def update(
    state: State,
    session: Session,
    message: Update,
    now_ms: int,
    policy: Policy,
    reply: Callable[[Session], Reply] = Current,
) -> Decision:
    """The changes, while no cleanup has begun; `duration` moves the deadline, counted from the creation."""
    if session.cleanup is not None:
        return refuse(state, Refusal.BEING_CLEANED)
    if _is_another(session, message):
        return refuse(state, Refusal.CHANGED)
    lab = _changed(session.lab, message.changes)
    # A deadline in the past is a wake-up that is due: the cleanup starts by the same way as any other.
    expires_ms = session.created_ms + duration_ms(lab.duration)
    moved = expires_ms != session.expires_ms
    updated = structs.replace(
        session,
        version=session.version + 1,
        lab=lab,
        vms=tuple(dict.fromkeys(session.vms + named_vms(lab.lab_request_id, lab.worker_nodes))),
        updated_ms=now_ms,
        expires_ms=expires_ms,
        leads_ms=leads_ms(expires_ms, now_ms, policy) if moved else session.leads_ms,
    )
    event = Updated(updated, old_expires_ms=session.expires_ms)
    owed, events, effects = take_over(state.owed, updated.vms, now_ms)
    after = structs.replace(state, session=updated, owed=owed)
    return Decision(after, (event, *events), effects, reply(updated))


def _changed(lab: Lab, changes: LabChanges) -> Lab:
    given = {name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    return structs.replace(lab, **given)


def extend(state: State, session: Session, message: ExtendBy | ExtendUntil, now_ms: int, policy: Policy) -> Decision:
    """The deadline moved as far as the policy allows."""
    if session.cleanup is None and _is_another(session, message):
        return refuse(state, Refusal.CHANGED)
    to = move(session, message, now_ms, policy)
    if isinstance(to, Refusal):
        return refuse(state, to)
    reply = partial(Extended, granted_ms=to.granted_ms, partial=to.partial)
    if to.granted_ms == 0:
        return Decision(state, (), (), reply(session))
    return update(state, session, Update(LabChanges(duration=to.duration)), now_ms, policy, reply)


def delete(state: State, session: Session, message: Delete, now_ms: int, policy: Policy) -> Decision:
    """The end by hand, at once; what still runs is abandoned, or owed from now on if the policy says so."""
    if _is_another(session, message):
        return refuse(state, Refusal.CHANGED)
    ended = Ended(session, "deleted", now_ms)
    effects = () if session.cleanup is None else abandon(state, session)
    if policy.owed_after_ms is None:
        return Decision(structs.replace(state, session=None), (ended,), effects, Current(session))
    retry_ms = now_ms + policy.owed_after_ms
    if session.cleanup is None:
        cleanup = Cleanup(attempts=0, in_flight=False, retry_ms=retry_ms, started_ms=now_ms)
    else:
        # The attempts are counted on: a late answer of an earlier one must not be taken for that of a later one.
        cleanup = structs.replace(session.cleanup, in_flight=False, retry_ms=retry_ms)
    part = structs.replace(with_cleanup(session, cleanup), deleted_ms=now_ms)
    after = structs.replace(state, session=None, owed=(*state.owed, part))
    return Decision(after, (ended, Owed(part)), effects, Current(session, owed=True))
