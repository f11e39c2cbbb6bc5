"""Warnings before the end, watched from outside: each once per deadline and lead time, never early, never forgotten."""

from actors.storage import DueAlarm
from labsessions.core.model import Session
from labsessions.core.policy import Policy
from labsessions.simulation.trace import BrokenError


def to_come(session: Session, now_ms: int, policy: Policy) -> None:
    """Of a deadline that was set at `now_ms` there is a warning for each lead time that lies ahead, and no other."""
    wanted = [lead for lead in policy.warn_before_ms if now_ms + lead < session.expires_ms]
    if list(session.leads_ms) != sorted(wanted, reverse=True):
        raise BrokenError(2, f"{session.lab.user_id} would be warned {session.leads_ms} before the end, not {wanted}")


def after_update(was: Session, now: Session, policy: Policy) -> None:
    """A deadline that moves is warned of anew; one that stays, as before."""
    if now.expires_ms != was.expires_ms:
        to_come(now, now.updated_ms, policy)
    elif now.leads_ms != was.leads_ms:
        raise BrokenError(5, f"{now.lab.user_id}'s warnings change, and the deadline doesn't")


def given(was: Session, now: Session, latest_wall_ms: int) -> None:
    """Invariant 2: of the warnings to come those are gone that are due, and at least one is."""
    user, gone = was.lab.user_id, was.leads_ms[: len(was.leads_ms) - len(now.leads_ms)]
    if not gone or was.leads_ms != gone + now.leads_ms:
        raise BrokenError(5, f"{user}'s warnings go from {was.leads_ms} to {now.leads_ms}")
    if (early_ms := was.expires_ms - gone[-1] - latest_wall_ms) > 0:
        raise BrokenError(2, f"{user} is warned {early_ms} ms too early")


def gone(user: str, due: DueAlarm, now: DueAlarm | None, bound_ms: int) -> None:
    """Invariant 3: without faults the notice was to be given by now, a warning or answers that lapse."""
    if now is not None and now.due_ms == due.due_ms:
        raise BrokenError(3, f"{user} is still to be noticed {bound_ms} ms after it was due")
