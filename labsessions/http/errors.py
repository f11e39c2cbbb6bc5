"""How a request is refused: status, stable code and words of every failure. Nothing here decides that it is.

The texts are the contract's (CONTRACT §1); the codes are for programs and never change.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from labsessions.core.messages import Refusal

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Problem(NamedTuple):
    """One way to fail, as the client sees it; `headers` belong to the answer.

    `why_not` is shown where a session cannot be changed or extended: the word that is in its body too.
    """

    status: int
    code: str
    text: str
    headers: Mapping[str, str] = _NO_HEADERS
    why_not: str | None = None

    def saying(self, text: str) -> "Problem":
        """The same with a text for this request."""
        return self._replace(text=text)


class RefusedError(Exception):
    """A request is answered with `problem`; `user` and `detail` are for the log line, where they are known."""

    def __init__(self, problem: Problem, *, user: str | None = None, detail: str | None = None) -> None:
        super().__init__(problem.text)
        self.problem = problem
        self.user = user
        self.detail = detail


UNAUTHORIZED: Final = Problem(
    401, "unauthorized", "Invalid or missing authentication token", {"WWW-Authenticate": "Bearer"}
)
# The same words, as the contract has them; the code tells a front end to fetch a fresh token.
TOKEN_EXPIRED: Final = Problem(
    401,
    "token_expired",
    "Invalid or missing authentication token",
    {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token has expired"'},
)
KEYS_UNAVAILABLE: Final = Problem(
    503, "keys_unavailable", "Tokens of users cannot be checked at the moment", {"Retry-After": "60"}
)
FORBIDDEN: Final = Problem(
    403, "forbidden", "This token does not allow that", {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
)
TOO_MANY_REQUESTS: Final = Problem(429, "too_many_requests", "Too many requests")
ROUTE_NOT_FOUND: Final = Problem(404, "route_not_found", "Route not found")
BODY_TOO_LARGE: Final = Problem(413, "body_too_large", "Request body too large")
BODY_UNREADABLE: Final = Problem(400, "body_unreadable", "Request body could not be read")
BODY_TOO_SLOW: Final = Problem(408, "body_too_slow", "Request body took too long", {"Connection": "close"})
MALFORMED: Final = Problem(400, "malformed_request", "Not a valid HTTP request")
HEAD_TOO_LARGE: Final = Problem(431, "head_too_large", "Request line or headers too large")
INVALID_JSON: Final = Problem(400, "invalid_json", "Invalid JSON in request body")
EMPTY_BODY: Final = Problem(400, "empty_body", "Request body cannot be empty")
NOTHING_TO_UPDATE: Final = Problem(400, "no_valid_fields", "No valid fields to update")
INVALID_KEY: Final = Problem(
    400, "invalid_key", "Header 'Idempotency-Key' must be there once, 1 to 255 visible ASCII characters"
)
INVALID_CONDITION: Final = Problem(
    400, "invalid_condition", "Header 'If-Match' must be * or entity tags in double quotes, separated by commas"
)
MISSING_FIELDS: Final = Problem(400, "missing_fields", "Missing required fields")
INVALID_FIELD: Final = Problem(400, "invalid_field", "Field is not as expected")
INVALID_LAST_EVENT_ID: Final = Problem(
    400, "invalid_last_event_id", "Header 'Last-Event-ID' must be the id of an event: a whole number"
)
INVALID_OPERATOR: Final = Problem(
    400, "invalid_operator", "Header 'X-Operator' must be there at most once, 1 to 64 printable characters"
)
INVALID_PARAMETER: Final = Problem(400, "invalid_parameter", "Parameter is not as expected")
COUNT_CHANGED: Final = Problem(409, "count_changed", "Another number of users matches by now")
NOT_PAUSED: Final = Problem(409, "not_paused", "Cleanups are not paused")
NONE_ENDED: Final = Problem(404, "no_ended_session", "No lab session of this user has ended")
TOO_MANY_STREAMS: Final = Problem(
    429, "too_many_streams", "User already has as many streams of events open as are allowed", {"Retry-After": "15"}
)
TOO_MANY_ADMIN_STREAMS: Final = Problem(
    429, "too_many_admin_streams", "As many streams for operators are open as are allowed", {"Retry-After": "15"}
)
BUSY: Final = Problem(503, "busy", "The question would keep others waiting", {"Retry-After": "5"})
NOT_AN_OBJECT: Final = Problem(400, "not_an_object", "Request body must be a JSON object")
INTERNAL: Final = Problem(500, "internal_error", "Internal server error")

OF_REFUSAL: Final[Mapping[Refusal, Problem]] = {
    Refusal.NOT_FOUND: Problem(404, "session_not_found", "No active lab session found for this user"),
    Refusal.EXISTS: Problem(
        409,
        "session_exists",
        "User already has an active lab session. Only one active lab per user is allowed.",
    ),
    Refusal.BEING_CLEANED: Problem(
        409, "session_being_cleaned", "Lab session is being cleaned up", why_not=Refusal.BEING_CLEANED.value
    ),
    Refusal.KEY_REUSED: Problem(422, "key_reused", "Idempotency key belongs to another request"),
    Refusal.CHANGED: Problem(412, "session_changed", "Lab session has changed since it was read"),
    Refusal.LIMIT_REACHED: Problem(
        409,
        "extension_limit_reached",
        "Lab session cannot be extended any further",
        why_not=Refusal.LIMIT_REACHED.value,
    ),
    Refusal.NOTHING_WAITS: Problem(409, "nothing_to_retry", "No cleanup of this user waits for another attempt"),
    Refusal.ATTEMPT_RUNNING: Problem(409, "attempt_running", "A cleanup attempt is running"),
}


METHOD_NOT_ALLOWED: Final = Problem(405, "method_not_allowed", "Method not allowed")


def method_not_allowed(allowed: set[str]) -> Problem:
    """405 for a known path; `Allow` names the route's methods and OPTIONS, which every route answers."""
    return METHOD_NOT_ALLOWED._replace(headers={"Allow": ", ".join(sorted(allowed | {"OPTIONS"}))})


def too_many_requests(seconds: int) -> Problem:
    """429; `seconds` from now one will be allowed."""
    return TOO_MANY_REQUESTS._replace(headers={"Retry-After": str(seconds)})
