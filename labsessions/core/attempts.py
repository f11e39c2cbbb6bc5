"""The cleanup: an attempt is begun when it is due, and its outcome noted.

Columns of the table in `core.machine`.
"""

from msgspec import structs

from labsessions.core.decision import Decision, unchanged
from labsessions.core.messages import (
    Abandon,
    AttemptEnded,
    AttemptFailed,
    AttemptStarted,
    Clean,
    Done,
    Ended,
    Event,
    Settled,
    Stuck,
)
from labsessions.core.model import Cleanup, Session, State
from labsessions.core.parts import abandon, parts, rearmed, replaced, startable, with_cleanup
from labsessions.core.policy import Policy
from labsessions.core.warnings import warn

NO_ANSWER = "no outcome of the attempt was stored: the service stopped or lost it"


def wake(state: State, now_ms: int, policy: Policy) -> Decision:
    """Warn, or begin the attempt that is due: the session's first. A stale wake-up changes nothing."""
    due = [part for part in startable(state) if part.due_ms <= now_ms]
    if not due:
        return unchanged(state)
    part = due[0] if due[0] is state.session else min(due, key=lambda part: part.due_ms)
    if part.leads_ms:
        return warn(state, part, now_ms)
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
    after = replaced(structs.replace(state, owed=owed), part, cleaning)
    return Decision(after, (*events, AttemptStarted(cleaning)), (*abandoned, effect), Done())


def attempt_ended(state: State, ended: AttemptEnded, now_ms: int, policy: Policy) -> Decision:
    """Note what the backend confirmed: all of it is the end, anything else a retry. Others change nothing."""
    part = next((part for part in parts(state) if part.generation == ended.generation), None)
    if part is None or part.cleanup is None:
        return unchanged(state)  # an answer about yesterday's lab cannot touch today's
    cleanup = part.cleanup
    # A confirmation of an earlier attempt counts: the VM is gone, whichever call was told so.
    confirmed = tuple(vm for vm in part.vms if vm in cleanup.confirmed or vm in ended.confirmed)
    noted = structs.replace(cleanup, confirmed=confirmed)
    if confirmed == part.vms:
        final = with_cleanup(part, noted)
        effects = abandon(state, part) if ended.attempt != cleanup.attempts else ()
        event = Ended(final, noted.reason, now_ms) if part.deleted_ms is None else Settled(final, now_ms)
        return Decision(replaced(state, part, None), (event,), effects, Done())
    if ended.attempt != cleanup.attempts or not cleanup.in_flight:
        if noted == cleanup:
            return unchanged(state)
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
