"""Who may use which route: every route with every credential, for its own user and for another."""

from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from http_driven import (
    SESSIONS,
    Api,
    DrivenAudit,
    DrivenPauses,
    DrivenReadiness,
    DrivenRecord,
    DrivenSessions,
    DrivenWaiting,
    exact,
    lab_body,
)
from identity_provider import bearer, shared_key_tokens, token
from pytest_aiohttp import AiohttpClient

from labsessions.core.messages import Create
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.act import act_routes
from labsessions.http.admin.endpoints_act import ADMIN
from labsessions.http.fields import SessionFields
from labsessions.http.groups import RouteGroup
from labsessions.http.scopes import RULES, Rule, Scope

# Spelled out, so that whoever adds a route has to say here too who may use it.
SCOPES = {
    ("POST", SESSIONS): Scope.OWN,
    ("GET", f"{SESSIONS}/user/{{user_id}}"): Scope.OWN,
    ("GET", f"{SESSIONS}/user/{{user_id}}/events"): Scope.OWN,
    ("GET", f"{SESSIONS}/user/{{user_id}}/last"): Scope.OWN,
    ("PUT", f"{SESSIONS}/{{user_id}}"): Scope.OWN,
    ("POST", f"{SESSIONS}/{{user_id}}/extend"): Scope.OWN,
    ("DELETE", f"{SESSIONS}/{{user_id}}"): Scope.OWN,
    ("GET", "/health"): Scope.OPEN,
    ("GET", "/health/live"): Scope.OPEN,
    ("GET", "/health/ready"): Scope.OPEN,
    ("GET", "/"): Scope.OPEN,
    ("GET", "/docs"): Scope.OPEN,
    ("GET", "/dashboard"): Scope.OPEN,
    ("GET", "/dashboard/{file}"): Scope.OPEN,
    ("GET", "/openapi.json"): Scope.OPEN,
    ("POST", "/__clock/advance"): Scope.ALL,
    ("POST", f"{ADMIN}/sessions/{{user_id}}/extend"): Scope.ADMIN,
    ("POST", f"{ADMIN}/sessions/{{user_id}}/end"): Scope.ADMIN,
    ("POST", f"{ADMIN}/sessions/{{user_id}}/retry"): Scope.ADMIN,
    ("POST", f"{ADMIN}/sessions/{{user_id}}/forget"): Scope.ADMIN,
    ("POST", f"{ADMIN}/retry"): Scope.ADMIN,
    ("GET", f"{ADMIN}/pause"): Scope.ADMIN,
    ("POST", f"{ADMIN}/pause"): Scope.ADMIN,
    ("POST", f"{ADMIN}/resume"): Scope.ADMIN,
    ("GET", f"{ADMIN}/audit"): Scope.ADMIN,
}
# What the routes of operators take: they refuse what they don't know.
BODIES = {
    f"{ADMIN}/sessions/{{user_id}}/extend": {"minutes": 5},
    f"{ADMIN}/sessions/{{user_id}}/end": {},
    f"{ADMIN}/sessions/{{user_id}}/retry": {},
    f"{ADMIN}/sessions/{{user_id}}/forget": {"reason": "a test"},
    f"{ADMIN}/retry": {"dry_run": False},
    f"{ADMIN}/pause": {"minutes": 1, "reason": "a test"},
    f"{ADMIN}/resume": {},
}
# A route that exists for these tests only.
ADMIN_ROUTE = ("GET", "/admin/things")

# By scope, the answer to each kind of caller; None: the route's own answer.
NOBODY, STRANGER, OWNER, ANOTHER, PLATFORM, OPERATOR = "nobody", "stranger", "owner", "another", "platform", "operator"
MATRIX: dict[Scope, dict[str, int | None]] = {
    Scope.OPEN: dict.fromkeys((NOBODY, STRANGER, OWNER, ANOTHER, PLATFORM, OPERATOR)),
    Scope.OWN: {NOBODY: 401, STRANGER: 401, OWNER: None, ANOTHER: 403, PLATFORM: None, OPERATOR: None},
    Scope.ALL: {NOBODY: 401, STRANGER: 401, OWNER: 403, ANOTHER: 403, PLATFORM: None, OPERATOR: None},
    Scope.ADMIN: {NOBODY: 401, STRANGER: 401, OWNER: 403, ANOTHER: 403, PLATFORM: 403, OPERATOR: None},
}
CREDENTIALS: dict[str, dict[str, str]] = {
    NOBODY: {},
    STRANGER: bearer("guessed"),
    OWNER: bearer(token("ada")),
    ANOTHER: bearer(token("eve")),
    PLATFORM: bearer("platform-token"),
    OPERATOR: bearer("admin-token"),
}


class StoodTime:
    """`ports.Time` that stands still."""

    async def advance(self, ms: int) -> None:
        """Nothing falls due."""

    def now_ms(self) -> int:
        """The beginning."""
        return 0


async def _things(_: web.Request) -> web.Response:
    return web.Response()


def operators_groups(engine: DrivenSessions, options: ApiOptions) -> tuple[RouteGroup, ...]:
    """The routes of operators."""
    return (act_routes(engine, DrivenAudit(), DrivenPauses(), DrivenWaiting(), options),)


def application(engine: DrivenSessions, readiness: DrivenReadiness, options: ApiOptions | None = None) -> Any:
    """All routes that there can be, and the one for operators."""
    options = options or ApiOptions(version="1", tokens=("platform-token",), admin_tokens=("admin-token",))
    groups = operators_groups(engine, options)
    app = make_app(engine, readiness, options, StoodTime(), shared_key_tokens(), record=DrivenRecord(), groups=groups)
    app[RULES][app.router.add_get(*ADMIN_ROUTE[1:], _things, allow_head=False)] = Rule.of(Scope.ADMIN, ADMIN_ROUTE[1])
    return app


ROUTES = [
    (route.method, route.resource.canonical, rule)
    for route, rule in application(DrivenSessions(), DrivenReadiness())[RULES].items()
    if route.resource is not None
]


@pytest.fixture
async def api(aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness) -> Api:
    """A door with every kind of credential."""
    client: Api = await aiohttp_client(application(engine, readiness))
    return client


async def call(
    api: Api, method: str, path: str, headers: dict[str, str], user: str = "ada"
) -> tuple[int, dict[str, Any]]:
    """The answer to a request about this user, with a body that the route may like or not; without the request id."""
    wants_body = method in {"POST", "PUT"}
    body = BODIES.get(path, lab_body(user_id=user) | {"minutes": 5}) if wants_body else None
    url = exact(api, path.replace("{user_id}", quote(user, safe="")).replace("{file}", "app.js"))
    async with api.session.request(method, url, json=body, headers=headers) as answer:
        is_json = answer.content_type == "application/json" and method != "HEAD"
        said = await answer.json() if is_json else {}
        said.pop("request_id", None)
        return answer.status, said


# --- every route has a scope -----------------------------------------------------------------------------


def test_every_route_declares_its_scope(api: Api) -> None:
    """Every one that the router has, HEAD as GET has it; the table above is the whole truth."""
    assert api.app is not None
    rules = api.app[RULES]
    assert set(api.app.router.routes()) == set(rules)
    declared = {(method, path): rule.scope for method, path, rule in ROUTES if method != "HEAD"}
    assert declared == SCOPES | {ADMIN_ROUTE: Scope.ADMIN}
    assert {(path, rule) for method, path, rule in ROUTES if method == "HEAD"} == {
        (path, rule) for method, path, rule in ROUTES if method == "GET" and (method, path) != ADMIN_ROUTE
    }


@pytest.mark.parametrize("caller", CREDENTIALS)
async def test_a_route_without_a_scope_answers_nobody(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness, caller: str
) -> None:
    """If the test above were gone: 500, and its handler isn't run."""
    app = application(engine, readiness)
    ran: list[web.Request] = []

    async def forgotten(request: web.Request) -> web.Response:
        ran.append(request)
        return web.Response()

    app.router.add_get("/forgotten", forgotten)
    status, _ = await call(await aiohttp_client(app), "GET", "/forgotten", CREDENTIALS[caller])
    assert (status, ran) == (500, [])


# --- the matrix ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", CREDENTIALS)
@pytest.mark.parametrize(("method", "path", "rule"), ROUTES)
async def test_the_matrix(api: Api, engine: DrivenSessions, method: str, path: str, rule: Rule, caller: str) -> None:
    """Each route about the user ada, asked by each kind of caller; who isn't let in reaches no session."""
    await engine_has(engine, "ada")
    expected = MATRIX[rule.scope][caller]
    status, body = await call(api, method, path, CREDENTIALS[caller])
    if expected is None:
        assert status in {200, 409}, body  # 409: ada has a session already
    else:
        assert status == expected
        assert engine.asked == []
        assert engine.states["ada"].session is not None
        assert method == "HEAD" or body["code"] == {401: "unauthorized", 403: "forbidden"}[expected]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://elsewhere.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
async def test_without_tokens_a_page_of_another_site_is_no_operator(
    aiohttp_client: AiohttpClient,
    engine: DrivenSessions,
    readiness: DrivenReadiness,
    headers: dict[str, str],
    status: int,
) -> None:
    """A page that an operator has open can make the browser send requests to its own machine."""
    options = ApiOptions(version="1")
    app = make_app(engine, readiness, options, groups=operators_groups(engine, options))
    api: Api = await aiohttp_client(app)
    own = {"Origin": str(api.make_url("/")).rstrip("/")} if not headers else {}
    assert (await call(api, "GET", f"{ADMIN}/pause", own | headers))[0] == status
    assert (await call(api, "POST", f"{ADMIN}/pause", own | headers))[0] == status
    assert (await call(api, "GET", f"{SESSIONS}/user/ada", headers))[0] == 404


async def engine_has(engine: DrivenSessions, *users: str) -> None:
    """Give each of them a session, and forget that somebody asked."""
    for user in users:
        lab = SessionFields(1440, 1440).lab(lab_body(user_id=user), "lab")
        await engine.ask(user, Create(generation=f"generation of {user}", lab=lab))
    engine.asked.clear()


@pytest.mark.parametrize(("method", "path"), [route for route, scope in SCOPES.items() if scope is Scope.OWN])
async def test_a_refusal_tells_nothing(api: Api, engine: DrivenSessions, method: str, path: str) -> None:
    """Whether the other one has a session, and whether there can be such a user: the same answer."""
    await engine_has(engine, "bob")
    answers = [await call(api, method, path, CREDENTIALS[OWNER], user) for user in ("bob", "nobody", "x" * 512)]
    assert answers == [answers[0]] * 3
    assert answers[0][0] == 403
    assert engine.asked == []


async def test_a_browser_cannot_touch_anothers_lab(api: Api, engine: DrivenSessions) -> None:
    """A story: eve tries all that there is; ada still has her lab, and it is as it was."""
    await engine_has(engine, "ada")
    before = engine.states["ada"]
    for method, path, _ in ROUTES:
        await call(api, method, path, CREDENTIALS[ANOTHER])
    assert engine.states["ada"] == before
    assert "eve" not in engine.states


@pytest.mark.parametrize("header", [{}, bearer("guessed"), bearer(token("ada")), bearer("admin-token")])
@pytest.mark.parametrize(("path", "method", "status"), [("/nowhere", "GET", 404), (SESSIONS, "PATCH", 405)])
async def test_where_nothing_is(api: Api, header: dict[str, str], path: str, method: str, status: int) -> None:
    """Only who brings a credential learns which routes there are."""
    known = header not in ({}, bearer("guessed"))
    assert (await call(api, method, path, header))[0] == (status if known else 401)


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/health", "/health/ready", "/health/nothing"])
async def test_watchers_are_told_without_a_token(api: Api, path: str) -> None:
    """A wrong method, or a path that isn't there, where no token is needed."""
    assert (await call(api, "DELETE", path, {}))[0] == (404 if path == "/health/nothing" else 405)


# --- without some of the credentials ---------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "rule"), ROUTES)
async def test_without_any_credential_the_door_is_open(
    aiohttp_client: AiohttpClient,
    engine: DrivenSessions,
    readiness: DrivenReadiness,
    method: str,
    path: str,
    rule: Rule,
) -> None:
    """Loopback or `--insecure`: everybody may do everything, whatever they bring."""
    options = ApiOptions(version="1")
    groups = operators_groups(engine, options)
    app = make_app(engine, readiness, options, StoodTime(), record=DrivenRecord(), groups=groups)
    app[RULES][app.router.add_get(ADMIN_ROUTE[1], _things, allow_head=False)] = Rule.of(Scope.ADMIN, ADMIN_ROUTE[1])
    await engine_has(engine, "ada")
    status, _ = await call(await aiohttp_client(app), method, path, CREDENTIALS[STRANGER])
    assert status in {200, 409}, rule


@pytest.mark.parametrize(
    ("only", "admitted"),
    [
        ({"tokens": ("platform-token",)}, {PLATFORM}),
        ({"admin_tokens": ("admin-token",)}, {OPERATOR}),
        ({}, {OWNER}),  # a key for users' tokens
    ],
)
async def test_any_credential_closes_the_door(
    aiohttp_client: AiohttpClient,
    engine: DrivenSessions,
    readiness: DrivenReadiness,
    only: dict[str, Any],
    admitted: set[str],
) -> None:
    """And a credential of a kind that isn't configured opens nothing."""
    user_tokens = None if only else shared_key_tokens()
    api = await aiohttp_client(make_app(engine, readiness, ApiOptions(version="1", **only), user_tokens=user_tokens))
    seen = {caller: (await call(api, "GET", f"{SESSIONS}/user/ada", CREDENTIALS[caller]))[0] for caller in CREDENTIALS}
    assert {caller for caller, status in seen.items() if status == 404} == admitted
    assert {status for caller, status in seen.items() if caller not in admitted} <= {401, 403}


# --- users -----------------------------------------------------------------------------------------------

ODD = [
    "a b",
    "a/b",
    "%41",
    "..",
    ".",
    "ü✅",
    "e\u0301",
    "ada@example.test",
    "{user_id}",
    "user",
    "x" * 512,
    "a?b#c",
    "a+b",
]


@pytest.mark.parametrize("user", ODD)
async def test_a_user_with_an_odd_id(api: Api, engine: DrivenSessions, user: str) -> None:
    """Whatever a user id may be, its token opens its own session, all the way."""
    own = bearer(token(user))
    assert (await call(api, "POST", SESSIONS, own, user))[0] == 201
    status, body = await call(api, "GET", f"{SESSIONS}/user/{{user_id}}", own, user)
    assert (status, body["data"]["user_id"]) == (200, user)
    assert (await call(api, "DELETE", f"{SESSIONS}/{{user_id}}", own, user))[0] == 200
    assert {asked for asked, _ in engine.asked} == {user}


@pytest.mark.parametrize(
    ("user", "segment", "status"),
    [
        ("ada", "ada", 404),
        ("ada", "%61da", 404),  # the same id, written otherwise
        ("ada", "%61%64%61", 404),
        ("ada", "Ada", 403),
        ("ada", "ad", 403),
        ("ada", "adaa", 403),
        ("ada", "ada%20", 403),
        ("ada", "ada%00", 403),
        ("ada", "%2561da", 403),  # decoded once, not twice
        ("%61da", "%2561da", 404),
        ("ada", "%FF", 403),  # nobody's
        ("%FF", "%FF", 403),
        ("\u00e9", "%C3%A9", 404),
        ("\u00e9", "e%CC%81", 403),  # looks the same, and is another
        ("a/b", "a%2Fb", 404),
        ("a/b", "a%252Fb", 403),
    ],
)
async def test_the_user_in_the_path(api: Api, engine: DrivenSessions, user: str, segment: str, status: int) -> None:
    """The id that is compared is the id that is used; 404 means admitted."""
    async with api.session.get(exact(api, f"{SESSIONS}/user/{segment}"), headers=bearer(token(user))) as answer:
        assert answer.status == status
    assert [asked for asked, _ in engine.asked] == ([user] if status == 404 else [])


@pytest.mark.parametrize(
    ("user_id", "status"),
    [("ada", 201), ("Ada", 403), ("ada ", 403), ("eve", 403), (None, 400), ("", 400), (["ada"], 400), (1, 400)],
)
async def test_the_user_in_the_body(api: Api, engine: DrivenSessions, user_id: object, status: int) -> None:
    """A user starts its own session only; what is no user id is said first."""
    async with api.post(SESSIONS, json=lab_body(user_id=user_id), headers=CREDENTIALS[OWNER]) as answer:
        assert answer.status == status
    assert len(engine.asked) == (status == 201)


async def test_two_ids_in_a_body_are_refused(api: Api, engine: DrivenSessions) -> None:
    """A doubled member: whichever a reader would take, nobody has to find out."""
    body = '{"user_id": "eve", ' + str(lab_body()).replace("'", '"')[1:]
    async with api.post(SESSIONS, data=body, headers=CREDENTIALS[OWNER]) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "invalid_field")
    assert engine.states == {}
