"""What an endpoint is told of an event: the types, the body and the id. Pure; a stored event gives one message.

Receivers go by the types and ids, so none is ever renamed: the same event has the same id and body at each attempt.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from labsessions.core.record import EventType

# What has become of the session says more than that it has ended. All other reasons end in the backend's word that the
# VMs are gone.
DELETED: Final = "session.deleted"
FORGOTTEN: Final = "session.forgotten"
CLEANED: Final = "session.cleaned"
_OF_END: Final = {"deleted": DELETED, "forgotten": FORGOTTEN}

USUAL: Final = (
    EventType.CREATED.value,
    EventType.EXPIRING.value,
    CLEANED,
    EventType.CLEANUP_FAILED.value,
    EventType.STUCK.value,
    DELETED,
    FORGOTTEN,
)
"""What an endpoint is told of unless it says otherwise: each beginning and each end, and what somebody should know."""

TYPES: Final = tuple(dict.fromkeys((*USUAL, *(kind.value for kind in EventType if kind is not EventType.ENDED))))
"""All that an endpoint may ask for."""

# Of our own, so that ids are the same in each process.
_IDS: Final = uuid.UUID("3f0c4f8e-6f0e-4a55-9a39-5f6ad4a3c1d2")


class Message(NamedTuple):
    """An event as it is sent: `id` is the `webhook-id`, `body` the JSON text that is signed."""

    seq: int
    id: str
    type: str
    at: str
    body: str


def message(endpoint: str, row: Mapping[str, Any]) -> Message:
    """What the endpoint of this name is told of a row of `session_events`."""
    data: dict[str, Any] = msgspec.json.decode(row["data"])
    kind = row["type"]
    if kind == EventType.ENDED.value:
        kind = _OF_END.get(data.get("reason", ""), CLEANED)
    about = {"seq": row["seq"], "user_id": row["user_id"], "session_id": row["session_id"]}
    body = msgspec.json.encode({"type": kind, "timestamp": row["at"], "data": about | data}).decode()
    return Message(row["seq"], _id(endpoint, row), kind, row["at"], body)


def _id(endpoint: str, row: Mapping[str, Any]) -> str:
    """By more than the number: after a restore the same numbers are given to other events."""
    told = f"{endpoint} {row['generation']} {row['seq']} {row['at']} {row['type']}"
    return f"msg_{uuid.uuid5(_IDS, told).hex}"
