"""How requests of operators are refused, beside what every route has."""

from typing import Final

from labsessions.http.errors import Problem

INVALID_PARAMETER: Final = Problem(400, "invalid_parameter", "Query parameter is not as expected")
BUSY: Final = Problem(503, "busy", "The question would keep others waiting", {"Retry-After": "5"})
TOO_MANY_ADMIN_STREAMS: Final = Problem(
    429, "too_many_admin_streams", "As many streams for operators are open as are allowed", {"Retry-After": "15"}
)
