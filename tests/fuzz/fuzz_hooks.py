"""What the description cannot say, or the generator doesn't read in it: requests that are left out."""

import re
from typing import Any

import schemathesis

from labsessions.http.checks import is_user_id
from labsessions.http.conditions import IF_MATCH


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:  # noqa: ARG001 - the hook's signature
    """No 1.0, which is an integer to JSON Schema but not to the API; no ids that cannot be printed, no broken tags."""
    body, path, headers = case.body, case.path_parameters or {}, case.headers or {}
    users = [path.get("user_id"), body.get("user_id") if isinstance(body, dict) else None]
    tags = headers.get("If-Match")
    return (
        not _has_integral_float(body)
        and all(is_user_id(user) for user in users if isinstance(user, str))
        and (not isinstance(tags, str) or re.search(IF_MATCH["pattern"], tags) is not None)
    )


def _has_integral_float(value: Any) -> bool:
    match value:
        case float():
            return value.is_integer()
        case dict():
            return any(map(_has_integral_float, value.values()))
        case list():
            return any(map(_has_integral_float, value))
        case _:
            return False
