"""How far a session's deadline may be moved, and whither a request moves it. The machine then does it, as an update.

Longer up to the limit in force, shorter down to now. A limit that was lowered takes nothing away: it moves no deadline.
"""

from typing import NamedTuple

from labsessions.core.messages import ExtendBy, ExtendUntil, Refusal
from labsessions.core.model import Session, duration_ms, minutes_of
from labsessions.core.policy import Policy


class Move(NamedTuple):
    """The new duration in minutes, `granted_ms` longer than the old one; `partial`: more was asked for."""

    duration: float
    granted_ms: int
    partial: bool


def latest_ms(session: Session, policy: Policy) -> int:
    """The latest deadline that the session may be given: its limit counts from its creation, times its time factor."""
    limit_ms = duration_ms(policy.max_total_minutes, session.lab.time_factor)
    return max(session.expires_ms, session.created_ms + limit_ms)


def why_not(session: Session, now_ms: int, policy: Policy) -> Refusal | None:
    """Why the session cannot get any more time at `now_ms`; None if it can."""
    if session.cleanup is not None:
        return Refusal.BEING_CLEANED
    return None if latest_ms(session, policy) > max(session.expires_ms, now_ms) else Refusal.LIMIT_REACHED


def move(session: Session, message: ExtendBy | ExtendUntil, now_ms: int, policy: Policy) -> Move | Refusal:
    """Where the deadline goes, or why it stays: no later than the limit, no earlier than now.

    Minutes more count from the deadline, or from now if that has passed and the cleanup hasn't begun: what is granted
    is there to be used. A session that is to end in the past ends now.
    """
    reason = why_not(session, now_ms, policy)
    if reason is Refusal.BEING_CLEANED:
        return reason
    end_ms = max(session.expires_ms, now_ms)
    wanted_ms = _wanted_ms(session, message, end_ms)
    if wanted_ms <= end_ms:
        # Creation + duration is the deadline, and a duration is more than 0, even if the clock was set back.
        to_ms = min(max(wanted_ms, now_ms, session.created_ms + 1), session.expires_ms)
    elif reason is not None:
        return reason
    else:
        to_ms = min(wanted_ms, latest_ms(session, policy))
    duration = minutes_of(to_ms - session.created_ms)
    return Move(duration, to_ms - session.expires_ms, partial=end_ms < to_ms < wanted_ms)


def _wanted_ms(session: Session, message: ExtendBy | ExtendUntil, end_ms: int) -> int:
    if isinstance(message, ExtendUntil):
        return message.instant_ms
    if message.minutes > 0:
        return end_ms + duration_ms(message.minutes, session.lab.time_factor)
    return session.expires_ms - duration_ms(-message.minutes, session.lab.time_factor)
