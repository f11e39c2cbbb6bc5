"""The table: every way in which a user's session moves, and nothing else.

Two rules. Everything that decides is in this package: `core.requests` has the columns of the clients, `core.attempts`
those of the alarm and the backend, `core.operators` those of the operators. And it knows neither who asks (HTTP, the
runtime, a simulator) nor what is done about it. The functions are total: a message that doesn't fit is answered with a
refusal or changes nothing. They raise only on a bug.

            Create          Update            Delete             Wake                     AttemptEnded
 none       active          not found         not found          –                        –
 active     exists          active, maybe a   none               early: –                 – (stale)
                            new deadline                         warning due: warned
                                                                 due: cleaning + Clean
 cleaning   exists          being cleaned     none + Abandon     early: –                 all confirmed: none
                                                                 due: attempt + 1, Clean  else: retry noted

            EndNow          RetryNow          Forget
 none       not found       not found         not found
 active     cleaning, due   nothing waits     none
 cleaning   being cleaned   due now, unless   none + Abandon
                            one is running

Warnings of a deadline are counted off one by one before it may be due (`core.warnings`).
ExtendBy and ExtendUntil are Updates of the duration, as far as the policy allows (`core.deadline`); at the limit they
are refused. A Keyed is what it holds, unless its key is known: then it is answered as before (`core.idempotency`).
An Operated is what it holds; RetryNow is about the obligations if no session is being cleaned, Forget about all parts.
With `Policy.owed_after_ms` a Delete also makes the session an *obligation*: it goes on as one that is being cleaned,
unseen by clients and beside a newer session, which takes over the VMs that it names. The parts share the one
attempt that runs per user: the session's goes first and abandons an obligation's; obligations wait for each other.
"""

from typing import assert_never

from labsessions.core.attempts import attempt_ended, wake
from labsessions.core.decision import Decision, refuse
from labsessions.core.idempotency import forgotten, known, lapse_ms, noted
from labsessions.core.messages import (
    AttemptEnded,
    Create,
    Current,
    Delete,
    EndNow,
    ExtendBy,
    ExtendUntil,
    Forget,
    Keyed,
    Message,
    Operated,
    Plain,
    Refusal,
    RetryNow,
    Show,
    Update,
    Wake,
)
from labsessions.core.model import Session, State
from labsessions.core.operators import end_now, forget, retry_now
from labsessions.core.parts import startable
from labsessions.core.policy import Policy
from labsessions.core.requests import create, delete, extend, update


def decide(state: State, message: Message, now_ms: int, policy: Policy) -> Decision:
    """The state after `message` at `now_ms`, the facts to store with it, what to do then, and the reply."""
    match message:
        case Keyed():
            again = known(state, message, now_ms)
            return again or noted(decide(state, message.message, now_ms, policy), message, now_ms, policy)
        case Operated():
            return decide(state, message.message, now_ms, policy)
        case _:
            return _decide(state, message, now_ms, policy)


def _decide(  # noqa: C901, PLR0911 - one for each message
    state: State, message: Plain, now_ms: int, policy: Policy
) -> Decision:
    session = state.session
    match message:
        case Create():
            return create(state, message, now_ms, policy)
        case Update() if session is not None:
            return update(state, session, message, now_ms, policy)
        case ExtendBy() | ExtendUntil() if session is not None:
            return extend(state, session, message, now_ms, policy)
        case Delete() if session is not None:
            return delete(state, session, message, now_ms, policy)
        case Show() if session is not None:
            return Decision(state, (), (), Current(session))
        case EndNow() if session is not None:
            return end_now(state, session, now_ms)
        case RetryNow():
            return retry_now(state, now_ms)
        case Forget():
            return forget(state, message, now_ms)
        case Update() | ExtendBy() | ExtendUntil() | Delete() | Show() | EndNow():
            return refuse(state, Refusal.NOT_FOUND)
        case Wake():
            return wake(forgotten(state, now_ms), now_ms, policy)
        case AttemptEnded():
            return attempt_ended(state, message, now_ms, policy)
        case _:  # pragma: no cover
            assert_never(message)


def wake_at(state: State) -> int | None:
    """The instant in ms at which this user next needs attention: derived from the state, never commanded.

    Where nothing is left but answers to requests with keys, that is when the last one lapses.
    """
    return min((part.due_ms for part in startable(state)), default=lapse_ms(state))


def is_retry(state: State) -> bool:
    """Whether what happens at `wake_at` is a retry: first attempts of others go before it (CONTRACT §3.6).

    Never before the session's first attempt: there is one wake-up per user, and if that waited among the retries for
    the sake of an obligation, the session's first attempt would wait with it once its deadline has come.
    """
    session = state.session
    if session is not None and (session.cleanup is None or session.cleanup.attempts == 0):
        return False
    first = _first(state)
    return first is not None and first.cleanup is not None and first.cleanup.attempts > 0


def is_notice(state: State) -> bool:
    """Whether nothing outside has to do with what happens at `wake_at`: a warning, or answers that lapse."""
    first = _first(state)
    return first is None or first.leads_ms != ()


def _first(state: State) -> Session | None:
    return min(startable(state), key=lambda part: part.due_ms, default=None)
