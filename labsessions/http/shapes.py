"""Pieces that the schemas of answers are made of."""

from collections.abc import Mapping
from typing import Any, Final

from labsessions.http.checks import Schema

TEXT: Final = {"type": "string"}
TEXT_OR_NULL: Final = {"type": ["string", "null"]}
TEXTS: Final = {"type": "array", "items": TEXT}
COUNT: Final = {"type": "integer", "minimum": 0}
INSTANT: Final = {"type": "string", "format": "date-time"}
INSTANT_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}


def object_of(optional: tuple[str, ...] = (), /, **members: Schema) -> dict[str, Any]:
    """An object with these members, all but the `optional` ones there."""
    required = [name for name in members if name not in optional]
    return {"type": "object", "required": required, "properties": members}


def reference(name: str) -> dict[str, Any]:
    """The schema of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def sse_events(description: str) -> Mapping[str, Any]:
    """What one event of a stream is; the description says which there are."""
    return {"type": "object", "description": description, "properties": {"id": TEXT, "event": TEXT, "data": TEXT}}
