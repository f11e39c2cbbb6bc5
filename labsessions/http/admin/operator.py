"""What operators say with each request: who they are, and a body of which every member must be known.

A member that is misspelt would widen a filter or lose a reason, so it is refused here, unlike in the API of sessions.
"""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from labsessions.http.checks import Check
from labsessions.http.errors import INVALID_FIELD, INVALID_OPERATOR, MISSING_FIELDS, RefusedError
from labsessions.http.fields import checked, finders, or_null
from labsessions.http.wire import kind, parse_object, read_body

HEADER: Final = "X-Operator"
UNNAMED: Final = "operator"
LONGEST_NAME: Final = 64
LONGEST_REASON: Final = 500
_SHOWN: Final = 64  # characters of a name that isn't ours, in a message


def operator(request: web.Request) -> str:
    """Who it is, by its own account: for the audit, no credential. RefusedError 400."""
    given = request.headers.getall(HEADER, [UNNAMED])
    if len(given) != 1 or not 0 < len(given[0]) <= LONGEST_NAME or not given[0].isprintable():
        raise RefusedError(INVALID_OPERATOR)
    return given[0]


def _reason(path: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) and 0 < len(value) <= LONGEST_REASON and value.isprintable():
        return ()
    got = f"{len(value)} characters, or one that is not printable" if isinstance(value, str) and value else kind(value)
    return (f"Field '{path}' must be a string of 1 to {LONGEST_REASON} printable characters, got {got}",)


REASON: Final = Check(
    _reason, {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON, "description": "For the audit"}
)


class Body:
    """What a route takes: members by name, of which some are required. No body at all is an empty one."""

    def __init__(self, checks: Mapping[str, Check], required: tuple[str, ...] = ()) -> None:
        self._checks = checks
        self._finders = finders(checks)
        self._required = required

    async def read(self, request: web.Request, seconds: float) -> dict[str, Any]:
        """The members that are not null, checked. RefusedError 400, 408 or 413."""
        raw = await read_body(request, seconds)
        body = parse_object(raw) if raw else {}
        if unknown := [name for name in body if name not in self._checks]:
            known = ", ".join(self._checks) or "none"
            text = f"Field '{unknown[0][:_SHOWN]}' is not known here; known are: {known}"
            raise RefusedError(INVALID_FIELD.saying(text))
        given = checked(body, self._finders)
        if missing := [name for name in self._required if name not in given]:
            raise RefusedError(MISSING_FIELDS.saying(f"Missing required fields: {', '.join(missing)}"))
        return given

    @property
    def schema(self) -> dict[str, Any]:
        """The same in JSON Schema."""
        properties = {
            name: check.schema if name in self._required else or_null(check.schema)
            for name, check in self._checks.items()
        }
        return {
            "type": "object",
            "required": [*self._required],
            "properties": properties,
            "additionalProperties": False,
        }
