"""What comes of a message, and the two decisions that change nothing."""

from typing import NamedTuple

from labsessions.core.messages import Done, Effect, Event, Refusal, Reply
from labsessions.core.model import State


class Decision(NamedTuple):
    """What a message led to. `state` is the input itself if nothing changed, so `is` tells."""

    state: State
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    reply: Reply


def refuse(state: State, refusal: Refusal) -> Decision:
    """Nothing is done, and the client hears why."""
    return Decision(state, (), (), refusal)


def unchanged(state: State) -> Decision:
    """There was nothing to do."""
    return Decision(state, (), (), Done())
