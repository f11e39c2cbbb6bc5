"""The API's description is true: what it names exists, what it allows is accepted, what comes back is as it says."""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from http_driven import BALANCER, NODE, SESSIONS, Api, DrivenSessions, lab_body
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from labsessions.http import ApiOptions, admin, endpoints, errors
from labsessions.http.dashboard import FILE
from labsessions.http.endpoints import Endpoint
from labsessions.http.fields import SessionFields
from labsessions.http.openapi import EXAMPLE, EXAMPLE_CHANGES, EXAMPLE_EXTENSION, codes
from labsessions.http.schemes import security
from labsessions.http.scopes import Scope

LIMIT = 1440
ENDPOINTS = [each for each in vars(endpoints).values() if isinstance(each, Endpoint)]
MODULES = [import_module(module) for _, module, _ in iter_modules(admin.__path__, f"{admin.__name__}.")]
OPERATORS = [each for module in MODULES for each in vars(module).values() if isinstance(each, Endpoint)]


@pytest.fixture
def options() -> ApiOptions:
    """Tokens are set: the description must be there without."""
    return ApiOptions(version="1.2.3", tokens=("token-1",), max_duration_minutes=LIMIT)


TOKEN = {"Authorization": "Bearer token-1"}


async def description(api: Api) -> dict[str, Any]:
    """As a program gets it."""
    async with api.get("/openapi.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        return dict(await answer.json())


def conforms(document: Mapping[str, Any], name: str, value: object) -> bool:
    """Whether the value is what the schema of that name says."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return Draft202012Validator(schema).is_valid(value)


async def test_it_is_valid_openapi(api: Api) -> None:
    """By the specification's own schema, with every reference resolved."""
    document = await description(api)
    validate(document)
    assert document["info"]["version"] == "1.2.3"


async def test_it_has_every_route_and_no_other(api: Api) -> None:
    """A route that isn't described doesn't exist, and the other way round. Who needs a token is part of it.

    The dashboard's files are no part of the API.
    """
    assert api.app is not None
    routes = {
        (route.method, route.resource.canonical)
        for route in api.app.router.routes()
        if route.resource is not None and route.method != "HEAD" and route.resource.canonical != FILE
    }
    paths = (await description(api))["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == routes == {(each.method, each.path) for each in ENDPOINTS}
    for method, path in routes:
        async with api.request(method, path.replace("{user_id}", "nobody")) as answer:
            assert (answer.status == 401) is bool(paths[path][method.lower()]["security"])


async def test_its_examples_are_accepted_and_answered_as_described(api: Api, engine: DrivenSessions) -> None:
    """Each route with the document's own examples; a session under cleanup has more members."""
    document = await description(api)
    ada = f"{SESSIONS}/{EXAMPLE['user_id']}"
    seen = []
    async with api.post(SESSIONS, json=EXAMPLE, headers=TOKEN) as answer:
        assert answer.status == 201
        seen.append(("post", SESSIONS, await answer.json()))
    async with api.put(ada, json=EXAMPLE_CHANGES, headers=TOKEN) as answer:
        assert answer.status == 200
        seen.append(("put", f"{SESSIONS}/{{user_id}}", await answer.json()))
    async with api.post(f"{ada}/extend", json=EXAMPLE_EXTENSION, headers=TOKEN) as answer:
        assert answer.status == 200
        seen.append(("post", f"{SESSIONS}/{{user_id}}/extend", await answer.json()))
    await engine.advance(120 * 60_000)
    async with api.post(f"{ada}/extend", json=EXAMPLE_EXTENSION, headers=TOKEN) as answer:
        assert answer.status == 409
        assert conforms(document, "Failure", await answer.json())
    async with api.get(f"{SESSIONS}/user/{EXAMPLE['user_id']}", headers=TOKEN) as answer:
        body = await answer.json()
        assert body["data"]["status"] == "cleaning"
        seen.append(("get", f"{SESSIONS}/user/{{user_id}}", body))
    async with api.delete(ada, headers=TOKEN) as answer:
        seen.append(("delete", f"{SESSIONS}/{{user_id}}", await answer.json()))
    for method, path, body in seen:
        (success,) = [
            answer for status, answer in document["paths"][path][method]["responses"].items() if status < "300"
        ]
        schema = success["content"]["application/json"]["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(body)


async def test_what_watchers_get_is_as_described(api: Api) -> None:
    """Health, readiness and the overview."""
    document = await description(api)
    for path in ("/health", "/health/live", "/health/ready", "/"):
        async with api.get(path) as answer:
            schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            Draft202012Validator(schema | {"components": document["components"]}).validate(await answer.json())


async def test_what_a_change_leaves_alone_may_be_null(api: Api) -> None:
    """Also a member that a session must have: the description allows what the route takes."""
    document = await description(api)
    async with api.post(SESSIONS, json=lab_body(user_id="nil"), headers=TOKEN) as answer:
        assert answer.status == 201
    for name in document["components"]["schemas"]["LabChanges"]["properties"]:
        change = {"puku_domain": "p", "vscode_domain": "v"} | {name: None}
        assert conforms(document, "LabChanges", change), name
        async with api.put(f"{SESSIONS}/nil", json=change, headers=TOKEN) as answer:
            assert answer.status == 200, name


async def test_a_failure_is_as_described(api: Api) -> None:
    """With a code that the route lists under its status."""
    document = await description(api)
    async with api.get(f"{SESSIONS}/user/nobody", headers=TOKEN) as answer:
        body = await answer.json()
        assert answer.status == 404
    schema = document["paths"][f"{SESSIONS}/user/{{user_id}}"]["get"]["responses"]["404"]["content"]["application/json"]
    described = Draft202012Validator(schema["schema"] | {"components": document["components"]})
    described.validate(body)
    assert not described.is_valid(body | {"code": "another"})


def test_every_failure_is_among_the_codes() -> None:
    """Those of `errors` and of the operators' routes: a new one must belong to a route, or to all."""
    modules = (errors, *MODULES)
    problems = [each for module in modules for each in vars(module).values() if isinstance(each, errors.Problem)]
    problems += errors.OF_REFUSAL.values()
    assert codes([*ENDPOINTS, *OPERATORS]) == {each.code: each for each in problems}


async def test_every_failure_has_an_example(api: Api) -> None:
    """A whole answer for each code under its status, which the schema of that status accepts."""
    document = await description(api)
    shown: dict[str, dict[str, Any]] = {}
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                media = answer["content"].get("application/json", {})
                for code, example in media.get("examples", {}).items():
                    schema = Draft202012Validator(media["schema"] | {"components": document["components"]})
                    schema.validate(example["value"])
                    shown[code] = {"status": int(status)} | example["value"]
    known = codes(ENDPOINTS)
    of_no_route = {"route_not_found", "method_not_allowed", "malformed_request", "head_too_large"}
    assert set(shown) == set(known) - of_no_route
    for code, example in shown.items():
        assert (example["status"], example["code"], example["error"]) == (known[code].status, code, known[code].text)


@pytest.mark.parametrize(
    ("scope", "schemes"),
    [
        (Scope.OPEN, []),
        (Scope.OWN, ["platformToken", "operatorToken", "userToken"]),
        (Scope.ALL, ["platformToken", "operatorToken"]),
        (Scope.ADMIN, ["operatorToken"]),
    ],
)
async def test_each_scope_has_its_credentials(api: Api, scope: Scope, schemes: list[str]) -> None:
    """Any one of them opens the route; all of them are described, and are bearer tokens."""
    assert security(scope) == [{scheme: []} for scheme in schemes]
    document = await description(api)
    for endpoint in ENDPOINTS:
        if endpoint.scope is scope:
            assert document["paths"][endpoint.path][endpoint.method.lower()]["security"] == security(scope)
    described = document["components"]["securitySchemes"]
    assert len(described) == 3
    assert all(described[scheme]["scheme"] == "bearer" for scheme in schemes)


PROBES: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.5, -0.5, LIMIT, LIMIT + 1, LIMIT + 0.001, 1e300),
    *(65_535, 65_536, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1),
    *("", "a", "x" * 512, "x" * 513, [], {}, [1], [{}], [NODE], [BALANCER], [NODE, {}]),
    *({"a": 1}, {"name": "n", "network_id": "", "netbird_ip": ""}, {"name": 1, "network_id": "", "netbird_ip": ""}),
    *([NODE | {"worker_lab_request_id": ""}], [BALANCER | {"port": 65_536}], [BALANCER | {"more": [1]}]),
]
# Words in which JSON Schema can't say what is checked: which strings are instants.
UNSAID = {"activatedAt"}
MEMBERS = [name for name in SessionFields(LIMIT, LIMIT).lab_schema()["properties"] if name not in UNSAID]


@pytest.mark.parametrize("member", MEMBERS)
async def test_what_is_described_is_what_is_accepted(api: Api, member: str) -> None:
    """Each member with values of every kind, and one beside each bound: accepted exactly if the schema allows it."""
    document = await description(api)
    for value in PROBES:
        body = lab_body(user_id="ada") | {member: value}
        async with api.post(SESSIONS, json=body, headers=TOKEN) as answer:
            status = answer.status
            user = (await answer.json())["data"]["user_id"] if status == 201 else None
        assert conforms(document, "Lab", body) == (status == 201), value
        if user is not None:
            async with api.delete(f"{SESSIONS}/{user}", headers=TOKEN) as answer:
                assert answer.status == 200


UNTIL: list[Any] = [None, 0, True, [], "2027-01-15T09:00:00Z", "2027-01-15T10:00:00+02:00"]
EXTENSIONS: list[Any] = [
    *({"minutes": value} for value in PROBES),
    *({"until": value} for value in UNTIL),
    *({"minutes": 5, "until": value} for value in (None, "2027-01-15T09:00:00Z")),
    *({"until": "2027-01-15T09:00:00Z", "minutes": value} for value in (None, 0, 5)),
    *([], {}, {"more": 1}, {"minutes": 5, "more": {}}),
]


async def test_what_is_described_extends(api: Api) -> None:
    """One of two members, with a value of its kind: accepted exactly if the schema allows it."""
    document = await description(api)
    async with api.post(SESSIONS, json=lab_body(), headers=TOKEN) as answer:
        assert answer.status == 201
    for body in EXTENSIONS:
        async with api.post(f"{SESSIONS}/ada/extend", json=body, headers=TOKEN) as answer:
            assert answer.status in {200, 400, 409}, body
            assert conforms(document, "Extension", body) == (answer.status != 400), body


async def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    """No script, no address but the document's, and a policy that allows its own style only."""
    async with api.get("/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        policy, html = answer.headers["Content-Security-Policy"], await answer.text()
    (style,) = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in policy
    assert "<script" not in html
    assert re.findall('(?:href|src)="([^"]*)"', html) == ["openapi.json"]


async def test_the_page_tells_all_that_the_document_does(api: Api) -> None:
    """Every route, every member of a session, every code."""
    async with api.get("/docs") as answer:
        html = await answer.text()
    for endpoint in ENDPOINTS:
        assert f'<span class="method">{endpoint.method}</span> <code>{endpoint.path}</code>' in html
    document = await description(api)
    for name in document["components"]["schemas"]["Session"]["properties"]:
        assert f"<td><code>{name}</code></td>" in html
    for code in codes(ENDPOINTS):
        assert f"<td><code>{code}</code></td>" in html
