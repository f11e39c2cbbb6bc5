"""The route table: which handler answers what. The composition root calls `make_app` and serves the result."""

from aiohttp import web
from aiohttp.typedefs import Handler

from labsessions.http import endpoints
from labsessions.http.description import DescriptionRoutes
from labsessions.http.door import Door
from labsessions.http.driven import ADVANCE, ClockRoutes
from labsessions.http.endpoints import Endpoint
from labsessions.http.fields import SessionFields
from labsessions.http.health import HealthRoutes, Overview
from labsessions.http.options import ApiOptions
from labsessions.http.sessions import SessionRoutes
from labsessions.ports import Readiness, Sessions, Time

# Any id that isn't empty; aiohttp's own pattern for a variable would refuse braces in it.
_VARIABLE = ("{user_id}", "{user_id:[^/]+}")


def make_app(
    sessions: Sessions, readiness: Readiness, options: ApiOptions, time: Time | None = None
) -> web.Application:
    """The application of CONTRACT §1 over this engine; with `time`, clients may drive it."""
    app = web.Application(middlewares=[Door(options).handle], client_max_size=options.max_body_bytes)
    for endpoint, handler in _routes(sessions, readiness, options):
        path = endpoint.path.replace(*_VARIABLE)
        if endpoint.method == "GET":
            app.router.add_get(path, handler)  # answers HEAD as well
        else:
            app.router.add_route(endpoint.method, path, handler)
    if time is not None:
        app.router.add_post(ADVANCE, ClockRoutes(time, options.body_seconds).advance)
    return app


def _routes(sessions: Sessions, readiness: Readiness, options: ApiOptions) -> list[tuple[Endpoint, Handler]]:
    fields = SessionFields(options.max_duration_minutes, sessions.policy.max_total_minutes)
    labs = SessionRoutes(sessions, fields, options.body_seconds)
    health = HealthRoutes(sessions, readiness)
    routes: list[tuple[Endpoint, Handler]] = [
        (endpoints.CREATE, labs.create),
        (endpoints.SHOW, labs.show),
        (endpoints.UPDATE, labs.update),
        (endpoints.EXTEND, labs.extend),
        (endpoints.DELETE, labs.delete),
        (endpoints.HEALTH, health.health),
        (endpoints.LIVE, health.live),
        (endpoints.READY, health.ready),
    ]
    described = (*(endpoint for endpoint, _ in routes), endpoints.DESCRIPTION, endpoints.REFERENCE, endpoints.OVERVIEW)
    description = DescriptionRoutes(options.version, described, fields)
    return [
        *routes,
        (endpoints.DESCRIPTION, description.document),
        (endpoints.REFERENCE, description.page),
        (endpoints.OVERVIEW, Overview(options, described).show),
    ]
