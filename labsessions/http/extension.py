"""A request for more or less time: what it must say, and what its answer says beside the session."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from labsessions.core.deadline import latest_ms
from labsessions.core.messages import ExtendBy, Extended, ExtendUntil
from labsessions.core.policy import Policy
from labsessions.http.checks import INSTANT, MORE_MINUTES, Schema
from labsessions.http.errors import EMPTY_BODY, INVALID_FIELD, MISSING_FIELDS, RefusedError
from labsessions.http.fields import checked, finders, or_null

CHECKS: Final = {"minutes": MORE_MINUTES, "until": INSTANT}
_FINDERS: Final = finders(CHECKS)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

SCHEMA: Final[Schema] = {
    "type": "object",
    "properties": {name: or_null(check.schema) for name, check in CHECKS.items()},
    "oneOf": [
        {"required": ["minutes"], "properties": {"minutes": {"type": "number"}}},
        {"required": ["until"], "properties": {"until": {"type": "string"}}},
    ],
}
"""What `extension` accepts: one of the two."""


def extension(body: Mapping[str, Any], tags: frozenset[str] | None = None) -> ExtendBy | ExtendUntil:
    """What the body asks for; `tags` as in the message. RefusedError 400."""
    if not body:
        raise RefusedError(EMPTY_BODY)
    match checked(body, _FINDERS):
        case {"minutes": _, "until": _}:
            raise RefusedError(INVALID_FIELD.saying("Field 'until' must be absent where 'minutes' is given, got both"))
        case {"minutes": minutes}:
            return ExtendBy(minutes, tags)
        case {"until": until}:
            return ExtendUntil(instant_ms(until), tags)
        case _:
            raise RefusedError(MISSING_FIELDS.saying("Missing required fields: minutes or until"))


def granted(reply: Extended, policy: Policy) -> dict[str, Any]:
    """How much later the session ends now (less than 0: earlier), and how much more it could get."""
    left_ms = latest_ms(reply.session, policy) - reply.session.expires_ms
    return {"granted_seconds": reply.granted_ms / 1000, "partial": reply.partial, "left_seconds": left_ms / 1000}


def instant_ms(text: str) -> int:
    """An ISO 8601 timestamp with an offset as milliseconds since 1970 UTC, rounded up."""
    return -((_EPOCH - datetime.fromisoformat(text)) // timedelta(milliseconds=1))
