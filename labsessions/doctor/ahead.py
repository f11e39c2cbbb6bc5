"""What a clock that was ahead has left behind: who, how far, and what it means. The core judges."""

from collections.abc import Iterator
from typing import Final

from labsessions.core.model import Session, State
from labsessions.core.parts import parts
from labsessions.core.policy import Policy
from labsessions.core.projection import iso
from labsessions.core.reanchor import reanchored

SET_RIGHT: Final = (
    "if the clock is right now: stop the service, `python run.py reanchor`, start it again; else set the clock"
)


def ahead(state: State, now_ms: int, policy: Policy) -> Iterator[str]:
    """What lies too far ahead of `now_ms`, in words."""
    near = reanchored(state, now_ms, policy)
    for part, moved in zip(parts(state), parts(near), strict=True):
        if moved is not part:
            yield f"{part.lab.user_id}: {_said(part, now_ms)}"


def _said(part: Session, now_ms: int) -> str:
    if part.cleanup is None:
        seconds = (part.created_ms - now_ms) // 1000
        until = iso(part.expires_ms)
        return f"its session was created {seconds} s later than now, and runs so much longer: until {until}"
    return f"its next attempt is at {iso(part.cleanup.retry_ms)}, further away than any is put off"
