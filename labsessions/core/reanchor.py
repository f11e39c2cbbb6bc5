"""What is left in a state by a clock that was ahead and has been set back since, and how it is set right.

Only an operator knows which time was the right one, so nothing here happens by itself: what looks as if it came from
the future may be right, and the clock wrong.
"""

from msgspec import structs

from labsessions.core.model import Answered, Session, State, duration_ms
from labsessions.core.parts import with_cleanup
from labsessions.core.policy import Policy
from labsessions.core.warnings import leads_ms

# What a clock that is kept right may be set back by, now and then; nobody would notice it in a deadline.
AHEAD_MS = 1000


def reanchored(state: State, now_ms: int, policy: Policy) -> State:
    """The state with everything that lies too far ahead of `now_ms` brought near; itself, if nothing does.

    An active session that was created later than now begins anew: it has its whole duration from now on. An attempt
    that is further away than `policy` puts any off is due now.
    """
    session = None if state.session is None else _near(state.session, now_ms, policy)
    owed = tuple(_near(part, now_ms, policy) for part in state.owed)
    answered = tuple(_lapsing(told, now_ms, policy) for told in state.answered)
    unmoved = all(near is was for near, was in zip(owed + answered, state.owed + state.answered, strict=True))
    return state if unmoved and session is state.session else State(session=session, owed=owed, answered=answered)


def _lapsing(told: Answered, now_ms: int, policy: Policy) -> Answered:
    """An answer is remembered no longer than if it were given now."""
    until_ms = now_ms + policy.keys_kept_ms
    return told if told.until_ms <= until_ms + AHEAD_MS else structs.replace(told, until_ms=until_ms)


def _near(part: Session, now_ms: int, policy: Policy) -> Session:
    if part.cleanup is None:
        if part.created_ms <= now_ms + AHEAD_MS:
            return part
        expires_ms = now_ms + duration_ms(part.lab.duration)
        return structs.replace(
            part,
            version=part.version + 1,
            created_ms=now_ms,
            updated_ms=now_ms,
            expires_ms=expires_ms,
            leads_ms=leads_ms(expires_ms, now_ms, policy),
        )
    if part.cleanup.retry_ms <= now_ms + policy.longest_wait_ms + AHEAD_MS:
        return part
    return with_cleanup(part, structs.replace(part.cleanup, retry_ms=now_ms))
