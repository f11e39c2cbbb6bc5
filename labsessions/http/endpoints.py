"""What is said of a route: where it is, what it takes, how it answers. For the overview and the API's description."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from labsessions.core.messages import Refusal
from labsessions.http.errors import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    BODY_UNREADABLE,
    EMPTY_BODY,
    FORBIDDEN,
    HEAD_TOO_LARGE,
    INTERNAL,
    INVALID_CONDITION,
    INVALID_FIELD,
    INVALID_JSON,
    INVALID_KEY,
    INVALID_LAST_EVENT_ID,
    KEYS_UNAVAILABLE,
    MISSING_FIELDS,
    NONE_ENDED,
    NOT_AN_OBJECT,
    NOTHING_TO_UPDATE,
    OF_REFUSAL,
    TOKEN_EXPIRED,
    TOO_MANY_REQUESTS,
    TOO_MANY_STREAMS,
    UNAUTHORIZED,
    Problem,
)
from labsessions.http.scopes import Scope


class Answer(NamedTuple):
    """A success: its status, what it means, the name of its body's schema; `enveloped` as CONTRACT §1 has it."""

    status: int
    description: str
    schema: str
    enveloped: bool = True


class Parameter(NamedTuple):
    """An optional member of the query string; `schema` is of its text."""

    name: str
    schema: Mapping[str, Any]
    description: str


class Endpoint(NamedTuple):
    """A route; `path` has its variable part in braces. `body` is the name of the schema of what it takes, if any."""

    method: str
    path: str
    description: str
    scope: Scope
    answers: tuple[Answer, ...]
    body: str | None = None
    problems: tuple[Problem, ...] = ()
    conditional: bool = False
    """Whether it heeds `If-Match`."""
    repeatable: bool = False
    """Whether it heeds `Idempotency-Key`."""
    resumable: bool = False
    """Whether it heeds `Last-Event-ID`."""
    query: tuple[Parameter, ...] = ()
    """What it takes in the query string."""

    def listed(self) -> Mapping[str, Any]:
        """As the overview lists it."""
        return {"method": self.method, "path": self.path, "description": self.description}

    def all_problems(self) -> tuple[Problem, ...]:
        """Its own ways to fail, and those of every route."""
        of_address = (HEAD_TOO_LARGE,) if self.query else ()  # a question may be longer than a head may be
        of_caller = () if self.scope is Scope.OPEN else _OF_CREDENTIALS
        return (*self.problems, *of_address, *of_caller, INTERNAL)


_OF_CREDENTIALS: Final = (UNAUTHORIZED, TOKEN_EXPIRED, FORBIDDEN, TOO_MANY_REQUESTS, KEYS_UNAVAILABLE)
SESSIONS: Final = "/api/v1/labs/sessions"
_OF_BODY: Final = (BODY_UNREADABLE, INVALID_JSON, NOT_AN_OBJECT, INVALID_FIELD, BODY_TOO_SLOW, BODY_TOO_LARGE)
_OF_CONDITION: Final = (INVALID_CONDITION, OF_REFUSAL[Refusal.CHANGED])
_OF_KEY: Final = (INVALID_KEY, OF_REFUSAL[Refusal.KEY_REUSED])
_NOT_FOUND: Final = OF_REFUSAL[Refusal.NOT_FOUND]

CREATE: Final = Endpoint(
    "POST",
    SESSIONS,
    "Start a lab session",
    Scope.OWN,
    answers=(Answer(201, "Lab session created successfully", "Session"),),
    body="Lab",
    problems=(*_OF_BODY, MISSING_FIELDS, *_OF_KEY, OF_REFUSAL[Refusal.EXISTS]),
    repeatable=True,
)
SHOW: Final = Endpoint(
    "GET",
    f"{SESSIONS}/user/{{user_id}}",
    "Show the user's lab session",
    Scope.OWN,
    answers=(Answer(200, "Lab session retrieved successfully", "Session"),),
    problems=(_NOT_FOUND,),
)
EVENTS: Final = Endpoint(
    "GET",
    f"{SESSIONS}/user/{{user_id}}/events",
    "Follow what happens to the user's lab sessions (Server-Sent Events)",
    Scope.OWN,
    answers=(Answer(200, "The stream of events", "Events", enveloped=False),),
    problems=(INVALID_LAST_EVENT_ID, _NOT_FOUND, TOO_MANY_STREAMS),
    resumable=True,
)
LAST: Final = Endpoint(
    "GET",
    f"{SESSIONS}/user/{{user_id}}/last",
    "Show why and when the user's last lab session ended",
    Scope.OWN,
    answers=(Answer(200, "Last lab session retrieved successfully", "Outcome"),),
    problems=(NONE_ENDED,),
)
UPDATE: Final = Endpoint(
    "PUT",
    f"{SESSIONS}/{{user_id}}",
    "Change the user's lab session",
    Scope.OWN,
    answers=(Answer(200, "Lab session updated successfully", "Session"),),
    body="LabChanges",
    problems=(
        *(*_OF_BODY, EMPTY_BODY, NOTHING_TO_UPDATE, *_OF_CONDITION, _NOT_FOUND),
        OF_REFUSAL[Refusal.BEING_CLEANED],
    ),
    conditional=True,
)
EXTEND: Final = Endpoint(
    "POST",
    f"{SESSIONS}/{{user_id}}/extend",
    "Move the end of the user's lab session",
    Scope.OWN,
    answers=(Answer(200, "Lab session extended successfully", "ExtendedSession"),),
    body="Extension",
    problems=(
        *(*_OF_BODY, EMPTY_BODY, MISSING_FIELDS, *_OF_CONDITION, *_OF_KEY, _NOT_FOUND),
        *(OF_REFUSAL[Refusal.BEING_CLEANED], OF_REFUSAL[Refusal.LIMIT_REACHED]),
    ),
    conditional=True,
    repeatable=True,
)
DELETE: Final = Endpoint(
    "DELETE",
    f"{SESSIONS}/{{user_id}}",
    "End the user's lab session",
    Scope.OWN,
    answers=(Answer(200, "Lab session deleted successfully", "Deleted"),),
    problems=(*_OF_CONDITION, _NOT_FOUND),
    conditional=True,
)
HEALTH: Final = Endpoint(
    "GET",
    "/health",
    "Whether the service answers",
    Scope.OPEN,
    answers=(Answer(200, "It does", "Health", enveloped=False),),
)
LIVE: Final = Endpoint(
    "GET",
    "/health/live",
    "Whether the process is alive",
    Scope.OPEN,
    answers=(Answer(200, "The event loop turns", "Alive", enveloped=False),),
)
READY: Final = Endpoint(
    "GET",
    "/health/ready",
    "Whether the service can do its work, and what is wrong",
    Scope.OPEN,
    answers=(
        Answer(200, "It can", "Readiness", enveloped=False),
        Answer(503, "It cannot: the store or the dispatcher is in trouble", "Readiness", enveloped=False),
    ),
)
OVERVIEW: Final = Endpoint(
    "GET",
    "/",
    "This overview",
    Scope.OPEN,
    answers=(Answer(200, "The overview", "Overview", enveloped=False),),
)
DESCRIPTION: Final = Endpoint(
    "GET",
    "/openapi.json",
    "The description of this API for programs (OpenAPI 3.1)",
    Scope.OPEN,
    answers=(Answer(200, "The description", "Description", enveloped=False),),
)
REFERENCE: Final = Endpoint(
    "GET",
    "/docs",
    "The description of this API for people",
    Scope.OPEN,
    answers=(Answer(200, "A page", "Page", enveloped=False),),
)
DASHBOARD: Final = Endpoint(
    "GET",
    "/dashboard",
    "The operator's dashboard; browsers get it at `/` too",
    Scope.OPEN,
    answers=(Answer(200, "A page", "Page", enveloped=False),),
)
