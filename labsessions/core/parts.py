"""The parts of a user's state and how they stand to each other: the session, and the obligations beside it.

An obligation is a session that was deleted by hand, and that goes on as one that is being cleaned until the backend
has confirmed its VMs. The parts share the one attempt that may run per user: the session's goes first. Nothing here
knows messages or the policy.
"""

from msgspec import structs

from labsessions.core.messages import Abandon, Effect, Event, TakenOver
from labsessions.core.model import Cleanup, Session, State


def startable(state: State) -> tuple[Session, ...]:
    """The parts of which an attempt may start when they are due, the session first.

    The session always may. While an attempt is in flight, no obligation may but its own, at the backstop: the others
    would only be woken to wait.
    """
    session = () if state.session is None else (state.session,)
    if state.session is not None and state.session.in_flight:
        return session
    running = tuple(part for part in state.owed if part.in_flight)
    return session + (running or state.owed)


def parts(state: State) -> tuple[Session, ...]:
    """All of them, the session first."""
    return state.owed if state.session is None else (state.session, *state.owed)


def user_of(state: State) -> str:
    """Whose state it is, which must not be empty."""
    return next(iter((*parts(state), *(told.session for told in state.answered)))).lab.user_id


def replaced(state: State, part: Session, by: Session | None) -> State:
    """The state with one part changed, or gone."""
    if part is state.session:
        return structs.replace(state, session=by)
    owed = tuple(by if other is part else other for other in state.owed)
    return structs.replace(state, owed=tuple(other for other in owed if other is not None))


def abandon(state: State, part: Session) -> tuple[Effect, ...]:
    """Stop the attempt of a part, unless the one that runs is another part's."""
    others = any(other.in_flight for other in parts(state) if other is not part)
    return () if others else (Abandon(part.generation),)


def rearmed(part: Session, now_ms: int) -> Session:
    """An obligation whose attempt, if there is one, is abandoned: no failure, due as soon as nothing else runs."""
    if part.cleanup is None or not part.cleanup.in_flight:
        return part
    return with_cleanup(part, structs.replace(part.cleanup, in_flight=False, retry_ms=now_ms))


def with_cleanup(part: Session, cleanup: Cleanup) -> Session:
    """The next version of a part, with this cleanup. There is nothing to be warned of any more."""
    return structs.replace(part, version=part.version + 1, cleanup=cleanup, leads_ms=())


def take_over(
    owed: tuple[Session, ...], named: tuple[str, ...], now_ms: int
) -> tuple[tuple[Session, ...], tuple[Event, ...], tuple[Effect, ...]]:
    """The obligations without the VMs `named` by the session; an attempt of one that loses any is abandoned."""
    kept: list[Session] = []
    events: list[Event] = []
    effects: list[Effect] = []
    for part in owed:
        taken = tuple(vm for vm in part.vms if vm in named)
        if not taken:
            kept.append(part)
            continue
        effects += [Abandon(part.generation)] if part.in_flight else []
        less = structs.replace(part, version=part.version + 1, vms=tuple(vm for vm in part.vms if vm not in named))
        less = rearmed(less, now_ms)
        if less.pending:
            kept.append(less)
        events.append(TakenOver(less, taken))
    return tuple(kept), tuple(events), tuple(effects)
