"""Requests that carry a key: whoever asks again with the same key and words is answered as before, and nothing is done.

The answer is remembered in the state, so it is durable with what was done; it outlives the session, or a late retry
would make a second lab that nobody knows of. Refusals aren't remembered: nothing was done, the next try may succeed.
"""

from typing import Final

from msgspec import structs

from labsessions.core.decision import Decision, refuse
from labsessions.core.messages import Current, Extended, Keyed, Refusal
from labsessions.core.model import Answered, State
from labsessions.core.policy import Policy

# A client has one request under way, and perhaps some that it has given up; each holds a copy of the session.
KEPT: Final = 4


def known(state: State, message: Keyed, now_ms: int) -> Decision | None:
    """The answer to a request whose key is remembered; None if it isn't, or no longer."""
    told = next((told for told in state.answered if told.key == message.key and now_ms < told.until_ms), None)
    if told is None:
        return None
    if told.digest != message.digest:
        return refuse(state, Refusal.KEY_REUSED)
    if told.granted_ms is None:
        return Decision(state, (), (), Current(told.session, at_ms=told.at_ms, replayed=True))
    reply = Extended(told.session, told.granted_ms, told.partial, at_ms=told.at_ms, replayed=True)
    return Decision(state, (), (), reply)


def noted(decision: Decision, message: Keyed, now_ms: int, policy: Policy) -> Decision:
    """The decision on a request with its answer remembered, if it is one to remember."""
    reply = decision.reply
    if not isinstance(reply, Current | Extended):
        return decision
    told = Answered(
        key=message.key,
        digest=message.digest,
        at_ms=now_ms,
        until_ms=now_ms + policy.keys_kept_ms,
        session=reply.session,
        granted_ms=reply.granted_ms if isinstance(reply, Extended) else None,
        partial=isinstance(reply, Extended) and reply.partial,
    )
    others = [other for other in decision.state.answered if other.key != told.key and now_ms < other.until_ms]
    state = structs.replace(decision.state, answered=(*others[1 - KEPT :], told))
    return decision._replace(state=state, reply=structs.replace(reply, at_ms=now_ms))


def forgotten(state: State, now_ms: int) -> State:
    """The state without what has lapsed; itself, if nothing has."""
    if all(now_ms < told.until_ms for told in state.answered):
        return state
    return structs.replace(state, answered=tuple(told for told in state.answered if now_ms < told.until_ms))


def lapse_ms(state: State) -> int | None:
    """When the last answer lapses."""
    return max((told.until_ms for told in state.answered), default=None)
