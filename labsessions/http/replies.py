"""What the engine may reply, as an answer or as a refusal."""

from typing import TypeVar

from labsessions.core.messages import Affected, Current, Extended, Message, Refusal, Reply
from labsessions.http.errors import OF_REFUSAL, RefusedError
from labsessions.ports import EngineError

Kind = TypeVar("Kind", Current, Extended, Affected)


def expected(reply: Reply, kind: type[Kind], message: Message, user_id: str | None) -> Kind:
    """The reply to `message`, which is of this kind; RefusedError if it is a refusal."""
    if isinstance(reply, kind):
        return reply
    if isinstance(reply, Refusal):
        raise RefusedError(OF_REFUSAL[reply], user=user_id)
    raise EngineError(f"the engine answered {type(reply).__name__} to {type(message).__name__}")
