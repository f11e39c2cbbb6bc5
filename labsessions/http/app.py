"""The route table: which handler answers what. The composition root calls `make_app` and serves the result."""

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from labsessions.http import endpoints
from labsessions.http.credentials import Credentials, UserTokens
from labsessions.http.dashboard import FILE, DashboardRoutes
from labsessions.http.description import DescriptionRoutes
from labsessions.http.door import Answered, Door
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

RECONFIGURE: Final[web.AppKey[Callable[[ApiOptions, UserTokens | None], None]]] = web.AppKey("reconfigure")
"""Call it with other options for them to hold from the next request on.

That is tokens, origins, rate, streams and what is not configured; the others count at the start only.
"""


def make_app(
    sessions: Sessions,
    readiness: Readiness,
    options: ApiOptions,
    time: Time | None = None,
    user_tokens: UserTokens | None = None,
    *,
    record: Record | None = None,
    groups: Sequence[RouteGroup] = (),
    answered: Answered | None = None,
) -> web.Application:
    """The application of CONTRACT §1 over this engine; with `time`, clients may drive it.

    With `user_tokens`, a user that brings one may touch its own session. Without a `record`, the routes that read it
    answer with a fault. `groups` are the further parts of the API. `answered` is told of each answer.
    """
    stream = StreamRoutes(record, options)
    rules: dict[web.AbstractRoute, Rule] = {}
    credentials = Credentials(options, user_tokens)
    door = Door(options, rules, credentials, answered)
    app = web.Application(middlewares=[door.handle], client_max_size=options.max_body_bytes)
    app.on_response_prepare.append(door.complete)
    app[RULES] = rules
    dashboard = DashboardRoutes()
    routes, overview = _routes(sessions, readiness, options, stream, groups, dashboard)
    for endpoint, handler in routes:
        _add(app, endpoint.method, endpoint.path, endpoint.scope, handler)
    _add(app, "GET", FILE, Scope.OPEN, dashboard.file)
    if time is not None:
        _add(app, "POST", ADVANCE, Scope.ALL, ClockRoutes(time, options.body_seconds).advance)
    app.on_shutdown.extend((stream.end, *(group.end for group in groups if group.end is not None)))

    def reconfigure(options: ApiOptions, user_tokens: UserTokens | None) -> None:
        credentials.reconfigure(options, user_tokens)
        for part in (door, stream, overview):
            part.reconfigure(options)

    app[RECONFIGURE] = reconfigure
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
) -> tuple[list[tuple[Endpoint, Handler]], Overview]:
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
    overview = Overview(options, described)
    routes += [
        (endpoints.DESCRIPTION, description.document),
        (endpoints.REFERENCE, description.page),
        (endpoints.OVERVIEW, dashboard.for_browsers(overview.show)),
    ]
    return routes, overview
