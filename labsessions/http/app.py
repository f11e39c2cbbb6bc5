"""The route table: which handler answers what. The composition root calls `make_app` and serves the result."""

from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from labsessions.http import endpoints
from labsessions.http.credentials import Credentials, UserTokens
from labsessions.http.dashboard import FILE, DashboardRoutes
from labsessions.http.description import DescriptionRoutes
from labsessions.http.door import Door
from labsessions.http.driven import ADVANCE, ClockRoutes
from labsessions.http.endpoints import Endpoint
from labsessions.http.fields import SessionFields
from labsessions.http.groups import RouteGroup
from labsessions.http.health import HealthRoutes, Overview
from labsessions.http.options import ApiOptions
from labsessions.http.scopes import RULES, USER_ID, Rule, Scope
from labsessions.http.sessions import SessionRoutes
from labsessions.http.stream import StreamRoutes
from labsessions.ports import Readiness, Record, Sessions, Time

# Any id that isn't empty; aiohttp's own pattern for a variable would refuse braces in it.
_VARIABLE = (USER_ID, "{user_id:[^/]+}")


def make_app(
    sessions: Sessions,
    readiness: Readiness,
    options: ApiOptions,
    time: Time | None = None,
    user_tokens: UserTokens | None = None,
    *,
    record: Record | None = None,
    groups: Sequence[RouteGroup] = (),
) -> web.Application:
    """The application of CONTRACT §1 over this engine; with `time`, clients may drive it.

    With `user_tokens`, a user that brings one may touch its own session. Without a `record`, the routes that read it
    answer with a fault. `groups` are the further parts of the API.
    """
    stream = StreamRoutes(record, options)
    rules: dict[web.AbstractRoute, Rule] = {}
    door = Door(options, rules, Credentials(options, user_tokens))
    app = web.Application(middlewares=[door.handle], client_max_size=options.max_body_bytes)
    app.on_response_prepare.append(door.complete)
    app[RULES] = rules
    dashboard = DashboardRoutes()
    for endpoint, handler in _routes(sessions, readiness, options, stream, groups, dashboard):
        _add(app, endpoint.method, endpoint.path, endpoint.scope, handler)
    _add(app, "GET", FILE, Scope.OPEN, dashboard.file)
    if time is not None:
        _add(app, "POST", ADVANCE, Scope.ALL, ClockRoutes(time, options.body_seconds).advance)
    app.on_shutdown.append(stream.end)
    return app


def _add(app: web.Application, method: str, path: str, scope: Scope, handler: Handler) -> None:
    for each in ("HEAD", "GET") if method == "GET" else (method,):
        route = app.router.add_route(each, path.replace(*_VARIABLE), handler)
        app[RULES][route] = Rule.of(scope, path)


def _routes(
    sessions: Sessions,
    readiness: Readiness,
    options: ApiOptions,
    stream: StreamRoutes,
    groups: Sequence[RouteGroup],
    dashboard: DashboardRoutes,
) -> list[tuple[Endpoint, Handler]]:
    fields = SessionFields(options.max_duration_minutes, sessions.policy.max_total_minutes)
    labs = SessionRoutes(sessions, fields, options.body_seconds)
    health = HealthRoutes(sessions, readiness)
    routes: list[tuple[Endpoint, Handler]] = [
        (endpoints.CREATE, labs.create),
        (endpoints.SHOW, labs.show),
        (endpoints.EVENTS, stream.events),
        (endpoints.LAST, stream.last),
        (endpoints.UPDATE, labs.update),
        (endpoints.EXTEND, labs.extend),
        (endpoints.DELETE, labs.delete),
        (endpoints.HEALTH, health.health),
        (endpoints.LIVE, health.live),
        (endpoints.READY, health.ready),
        (endpoints.DASHBOARD, dashboard.page),
        *(route for group in groups for route in group.routes),
    ]
    described = (*(endpoint for endpoint, _ in routes), endpoints.DESCRIPTION, endpoints.REFERENCE, endpoints.OVERVIEW)
    description = DescriptionRoutes(options.version, described, fields, groups)
    return [
        *routes,
        (endpoints.DESCRIPTION, description.document),
        (endpoints.REFERENCE, description.page),
        (endpoints.OVERVIEW, dashboard.for_browsers(Overview(options, described).show)),
    ]
