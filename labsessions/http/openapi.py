"""The description of the API as OpenAPI 3.1, made of what answers and checks: the endpoints and the field table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from labsessions.http.checks import USER_ID
from labsessions.http.conditions import IF_MATCH
from labsessions.http.endpoints import Answer, Endpoint
from labsessions.http.errors import (
    EMPTY_BODY,
    HEAD_TOO_LARGE,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    MISSING_FIELDS,
    ROUTE_NOT_FOUND,
    Problem,
)
from labsessions.http.fields import SessionFields
from labsessions.http.groups import RouteGroup
from labsessions.http.idempotency import KEY, PATTERN, REPLAYED
from labsessions.http.schemas import schemas
from labsessions.http.schemes import SCHEMES, security
from labsessions.http.shapes import reference
from labsessions.http.wire import failure_body

_JSON: Final = "application/json"
_OTHER_MEDIA: Final = {
    "Page": "text/html",
    "Events": "text/event-stream",
    "LogLines": "text/event-stream",
    "Metrics": "text/plain",
}
_NAME: Final = {"type": "string", "minLength": 1}

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
            "schemas": schemas(fields) | {name: each for group in groups for name, each in group.schemas.items()},
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
        content = {_JSON: {"schema": reference(endpoint.body), "example": examples[endpoint.body]}}
        # Where nothing can be missing, there may be no body either.
        required = MISSING_FIELDS in endpoint.problems or EMPTY_BODY in endpoint.problems
        operation["requestBody"] = {"required": required, "content": content}
    return operation


def _success(answer: Answer, *, repeatable: bool) -> dict[str, Any]:
    schema = reference(answer.schema)
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
    schema = {"allOf": [reference("Failure"), {"properties": {"code": {"enum": codes}}}]}
    described = "; ".join(f"`{problem.code}`: {problem.text}" for problem in problems)
    examples = {problem.code: {"value": failure_body(problem, _REQUEST_ID)} for problem in problems}
    return {"description": described, "content": {_JSON: {"schema": schema, "examples": examples}}}


def codes(endpoints: Iterable[Endpoint]) -> dict[str, Problem]:
    """Every failure that the API knows, by its code."""
    problems = [problem for endpoint in endpoints for problem in endpoint.all_problems()]
    return {problem.code: problem for problem in (*problems, *_ANYWHERE)}


_NO_PUNCTUATION: Final = str.maketrans("/{}.-", "_____")
