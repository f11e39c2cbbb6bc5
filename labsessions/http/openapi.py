"""The description of the API as OpenAPI 3.1, made of what answers and checks: the endpoints and the field table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from labsessions.core.record import END_REASONS, EventType
from labsessions.http.checks import USER_ID, Schema
from labsessions.http.conditions import IF_MATCH
from labsessions.http.endpoints import Answer, Endpoint
from labsessions.http.errors import (
    EMPTY_BODY,
    HEAD_TOO_LARGE,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    MISSING_FIELDS,
    OF_REFUSAL,
    ROUTE_NOT_FOUND,
    Problem,
)
from labsessions.http.extension import SCHEMA as EXTENSION
from labsessions.http.fields import SessionFields
from labsessions.http.groups import RouteGroup
from labsessions.http.idempotency import KEY, PATTERN, REPLAYED
from labsessions.http.schemes import SCHEMES, security
from labsessions.http.stream import GAP
from labsessions.http.wire import failure_body

EVENT_TYPES: Final = (*(kind.value for kind in EventType), GAP)
_JSON: Final = "application/json"
_OTHER_MEDIA: Final = {
    "Page": "text/html",
    "Events": "text/event-stream",
    "LogLines": "text/event-stream",
    "Metrics": "text/plain",
}
_NAME: Final = {"type": "string", "minLength": 1}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_MESSAGES: Final = {"type": "array", "items": {"type": "string"}}
_REASONS: Final = [problem.why_not for problem in OF_REFUSAL.values() if problem.why_not is not None]

EXAMPLE: Final[Mapping[str, Any]] = {
    "labId": "k8s-101",
    "labTitle": "Pods – first steps",
    "labGroupID": "group-7",
    "moduleID": "module-3",
    "duration": 60,
    "activatedAt": "2026-11-24T08:00:00.000Z",
    "counterID": "counter-1",
    "configId": "config-1",
    "workerConfigId": "config-2",
    "lab_request_id": "vm-4711",
    "user_id": "ada",
    "terminal_url": "https://terminal.example/ada",
    "validation": 0,
    "vm": {"name": "master", "network_id": "net-1", "netbird_ip": "100.64.0.1"},
    "worker_nodes": [
        {"name": "w1", "worker_lab_request_id": "vm-4712", "network_id": "net-1", "netbird_ip": "100.64.0.2"}
    ],
}
EXAMPLE_CHANGES: Final[Mapping[str, Any]] = {"duration": 90}
EXAMPLE_EXTENSION: Final[Mapping[str, Any]] = {"minutes": 30}
_EXAMPLES: Final = {"Lab": EXAMPLE, "LabChanges": EXAMPLE_CHANGES, "Extension": EXAMPLE_EXTENSION}

# Of no route: the first two aren't even requests.
_ANYWHERE: Final = (MALFORMED, HEAD_TOO_LARGE, ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED)

_REQUEST_ID: Final = "4ba57204c5e8485d9f7ed337000000000001"
_ETAG: Final = "Names this very state of the session; for `If-Match`"
_ENDS: Final = (
    "`expired`: cleaned up; `deleted`: by hand; `ended_by_operator`: cleaned up before its time; "
    "`forgotten`: given up by an operator, its VMs may run on"
)
_KEY: Final = "Makes it safe to send the request again: the same key and body get the same answer, for a day"
_REPLAYED: Final = "`true` if the answer was given before, and nothing was done this time"
_IF_MATCH: Final = "`ETag` of the state that is meant; if the session is in another one by now, the answer is 412"

_NUMBER: Final = {"type": "string", "pattern": "^[0-9]{0,18}$"}
_LAST_EVENT_ID: Final = "`id` of the last event that was seen: what is stored after it comes first; empty is none"

_INTRODUCTION: Final = """\
One running lab session per user; the service deletes the session's VMs when its time is over.

Successes are `{"success": true, "data": …, "message": …}`, failures `{"success": false, "error": …, "code": …,
"request_id": …}`. Programs go by `code`, which never changes; `request_id` finds the service's log lines. New members
may be added to any answer.

Where credentials are set up, a request has the header `Authorization: Bearer …`. The tokens of the platform and of
operators are for all users. A user's own token, a JWT, is for the session of its `sub`: with anybody else's id the
answer is 403, whether there is such a session or not. After a 429 or 503, `Retry-After` has the seconds to wait.
"""


def document(
    version: str, endpoints: Iterable[Endpoint], fields: SessionFields, groups: Sequence[RouteGroup] = ()
) -> dict[str, Any]:
    """The whole description; `version` is the service's, `groups` are those that the endpoints are of."""
    examples = _EXAMPLES | {name: example for group in groups for name, example in group.examples.items()}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, examples)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lab sessions", "version": version, "description": _INTRODUCTION},
        "paths": paths,
        "components": {
            "schemas": _schemas(fields) | {name: each for group in groups for name, each in group.schemas.items()},
            "securitySchemes": SCHEMES,
        },
    }


def _operation(endpoint: Endpoint, examples: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.description,
        "operationId": f"{endpoint.method.lower()}{endpoint.path.translate(_NO_PUNCTUATION)}",
        "security": security(endpoint.scope),
        "responses": {
            **{str(answer.status): _success(answer, repeatable=endpoint.repeatable) for answer in endpoint.answers},
            **_failures(endpoint.all_problems()),
        },
    }
    parameters: list[dict[str, Any]] = []
    for name in re.findall(r"\{(\w+)\}", endpoint.path):
        schema = USER_ID.schema if name == "user_id" else _NAME
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    parameters += [{"in": "query", **parameter._asdict()} for parameter in endpoint.query]
    if endpoint.conditional:
        parameters.append({"name": "If-Match", "in": "header", "schema": IF_MATCH, "description": _IF_MATCH})
    if endpoint.repeatable:
        key = {"type": "string", "pattern": PATTERN}
        parameters.append({"name": KEY, "in": "header", "schema": key, "description": _KEY})
    if endpoint.resumable:
        for place, name in (("header", "Last-Event-ID"), ("query", "last_event_id")):
            parameters.append({"name": name, "in": place, "schema": _NUMBER, "description": _LAST_EVENT_ID})
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        content = {_JSON: {"schema": _reference(endpoint.body), "example": examples[endpoint.body]}}
        # Where nothing can be missing, there may be no body either.
        required = MISSING_FIELDS in endpoint.problems or EMPTY_BODY in endpoint.problems
        operation["requestBody"] = {"required": required, "content": content}
    return operation


def _success(answer: Answer, *, repeatable: bool) -> dict[str, Any]:
    schema = _reference(answer.schema)
    if answer.enveloped:
        members = {"success": {"const": True}, "data": schema, "message": {"const": answer.description}}
        schema = {"type": "object", "required": [*members], "properties": members}
    media = _OTHER_MEDIA.get(answer.schema, _JSON)
    described: dict[str, Any] = {"description": answer.description, "content": {media: {"schema": schema}}}
    if answer.schema.endswith("Session"):
        described["headers"] = {"ETag": {"schema": {"type": "string"}, "description": _ETAG}}
    if repeatable:
        described["headers"][REPLAYED] = {"schema": {"const": "true"}, "description": _REPLAYED}
    return described


def _failures(problems: Iterable[Problem]) -> dict[str, Any]:
    """By status; one status may have several codes."""

    def status(problem: Problem) -> int:
        return problem.status

    return {str(code): _failure(tuple(same)) for code, same in groupby(sorted(problems, key=status), key=status)}


def _failure(problems: tuple[Problem, ...]) -> dict[str, Any]:
    codes = [problem.code for problem in problems]
    schema = {"allOf": [_reference("Failure"), {"properties": {"code": {"enum": codes}}}]}
    described = "; ".join(f"`{problem.code}`: {problem.text}" for problem in problems)
    examples = {problem.code: {"value": failure_body(problem, _REQUEST_ID)} for problem in problems}
    return {"description": described, "content": {_JSON: {"schema": schema, "examples": examples}}}


def codes(endpoints: Iterable[Endpoint]) -> dict[str, Problem]:
    """Every failure that the API knows, by its code."""
    problems = [problem for endpoint in endpoints for problem in endpoint.all_problems()]
    return {problem.code: problem for problem in (*problems, *_ANYWHERE)}


def _schemas(fields: SessionFields) -> dict[str, Schema]:
    lab = fields.lab_schema()
    return {
        "Lab": lab,
        "LabChanges": fields.changes_schema(),
        "Extension": EXTENSION,
        "Session": _session(lab),
        "ExtendedSession": {
            "allOf": [_reference("Session"), {"required": ["extension"], "properties": {"extension": _granted()}}]
        },
        "Events": sse_events(f"Each event is one of: {', '.join(EVENT_TYPES)}"),
        "Outcome": _object(
            id={"type": "string"},
            labId={"type": "string"},
            created_at=_INSTANT,
            expires_at=_INSTANT,
            ended_at=_INSTANT,
            reason={"enum": [*END_REASONS], "description": _ENDS},
            attempts={"type": "integer", "minimum": 0, "description": "Cleanup attempts begun"},
            lateness_seconds={"type": ["number", "null"], "description": "From `expires_at` to `ended_at`, if expired"},
        ),
        "Deleted": _object(user_id={"type": "string"}, deleted={"const": True}),
        "Failure": _object(
            ("why_not",),
            success={"const": False},
            error={"type": "string", "description": "For people"},
            code={"type": "string", "description": "For programs"},
            request_id={"type": "string"},
            why_not={"type": "string", "description": "As in the session, where that is the reason"},
        ),
        "Health": _object(
            ("problems",),
            status={"const": "healthy"},
            service={"type": "string"},
            timestamp=_INSTANT,
            problems=_MESSAGES,
        ),
        "Alive": _object(status={"const": "alive"}),
        "Readiness": _object(
            (
                "not_configured",
                "stuck",
                "owed_stuck",
                "from_future",
                "undeliverable",
                "overdue_seconds",
                "heartbeat_age_seconds",
                "breaker",
                "free_mib",
                "paused",
            ),
            ready={"type": "boolean"},
            problems=_MESSAGES,
            not_configured=_MESSAGES,
            stuck={"type": "integer", "description": "Sessions stuck in cleanup"},
            owed_stuck={"type": "integer", "description": "VMs of deleted sessions that are stuck in cleanup"},
            from_future={
                "type": "integer",
                "description": "Sessions created later than now, by a clock that was ahead",
            },
            undeliverable={"type": "integer", "description": "Wake-ups that cannot be delivered"},
            overdue_seconds={"type": "number", "description": "Age of the oldest wake-up that is due"},
            heartbeat_age_seconds={
                "type": ["number", "null"],
                "description": "How long ago the dispatcher of wake-ups was in order; null: it has ended",
            },
            breaker={"type": "string", "description": "The circuit breaker towards the lab backend"},
            free_mib={"type": "integer", "description": "Room for the data"},
            paused={
                "type": ["object", "null"],
                "description": "Who holds cleanups back, since when, until when and why",
            },
        ),
        "Overview": _object(
            service={"type": "string"},
            version={"type": "string"},
            endpoints={
                "type": "array",
                "items": _object(method={"type": "string"}, path={"type": "string"}, description={"type": "string"}),
            },
            not_configured=_MESSAGES,
        ),
        "Description": {"type": "object"},
        "Page": {"type": "string"},
    }


def _session(lab: Schema) -> Schema:
    """What was sent, with the id that was made if none was, and what the service knows of it."""
    made = {
        "created_at": _INSTANT,
        "updated_at": _INSTANT,
        "status": {"enum": ["active", "cleaning", "stuck"]},
        "expires_at": _INSTANT,
        "remaining_seconds": {"type": "number", "minimum": 0},
        "server_time": _INSTANT,
        "max_expires_at": {**_INSTANT, "description": "The latest end that it can be given"},
        "extendable": {"type": "boolean", "description": "Whether it could get more time now"},
        "why_not": {"enum": [None, *_REASONS], "description": "Why it could not"},
        "duration": {"type": "number", "exclusiveMinimum": 0, "description": "Minutes from creation to end"},
        "time_factor": {"type": "number", "minimum": 1},
    }
    under_cleanup = {
        "attempts": {"type": "integer", "minimum": 0, "description": "Cleanup attempts begun"},
        "last_error": {"type": ["string", "null"]},
        "next_attempt_at": _INSTANT,
    }
    return {
        "type": "object",
        "required": [*(lab["properties"] | made)],
        "properties": {**lab["properties"], "id": {"type": "string"}, **made, **under_cleanup},
    }


def _granted() -> Schema:
    return _object(
        granted_seconds={"type": "number", "description": "How much later it ends now; less than 0: earlier"},
        partial={"type": "boolean", "description": "Whether more was asked for"},
        left_seconds={"type": "number", "minimum": 0, "description": "How much more it could get"},
    )


def sse_events(description: str) -> Schema:
    """What one event of a stream is; the description says which there are."""
    text = {"type": "string"}
    return {"type": "object", "description": description, "properties": {"id": text, "event": text, "data": text}}


def _object(optional: tuple[str, ...] = (), **members: Schema) -> Schema:
    required = [name for name in members if name not in optional]
    return {"type": "object", "required": required, "properties": members}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_NO_PUNCTUATION: Final = str.maketrans("/{}.-", "_____")
