"""Warnings before the end: which are still to come for a deadline, and what one is.

Each lead time of the policy warns once per deadline. A deadline that is set nearer than a lead time is not warned of:
whoever sets it knows. A warning that comes late says what time is left; if several have become due it is one, and if
none is left there is none. The wake-up of a warning never begins an attempt, so it needs no slot.
"""

from msgspec import structs

from labsessions.core.decision import Decision
from labsessions.core.messages import Done, Expiring
from labsessions.core.model import Session, State
from labsessions.core.parts import replaced
from labsessions.core.policy import Policy


def leads_ms(expires_ms: int, now_ms: int, policy: Policy) -> tuple[int, ...]:
    """The lead times that a deadline which is set at `now_ms` will be warned of, the longest first."""
    return tuple(lead for lead in policy.warn_before_ms if expires_ms - lead > now_ms)


def warn(state: State, session: Session, now_ms: int) -> Decision:
    """Warn of the end of the user's session, of which a warning is due."""
    left = tuple(lead for lead in session.leads_ms if session.expires_ms - lead > now_ms)
    # The same version: nothing has changed for those who have seen it.
    warned = structs.replace(session, leads_ms=left)
    events = (Expiring(warned, now_ms),) if now_ms < session.expires_ms else ()
    return Decision(replaced(state, session, warned), events, (), Done())
