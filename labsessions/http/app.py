"""The route table: which handler answers what. The composition root calls `make_app` and serves the result."""

from aiohttp import web
from aiohttp.typedefs import Handler

from labsessions.http.door import Door
from labsessions.http.fields import SessionFields
from labsessions.http.health import Endpoint, HealthRoutes, Overview
from labsessions.http.options import ApiOptions
from labsessions.http.sessions import SessionRoutes
from labsessions.ports import Readiness, Sessions

SESSIONS = "/api/v1/labs/sessions"

# Any id that isn't empty; aiohttp's own pattern for a variable would refuse braces in it.
_VARIABLE = ("{user_id}", "{user_id:[^/]+}")


def make_app(sessions: Sessions, readiness: Readiness, options: ApiOptions) -> web.Application:
    """The application of CONTRACT §1 over this engine."""
    labs = SessionRoutes(sessions, SessionFields(options.max_duration_minutes))
    health = HealthRoutes(sessions, readiness)
    overview = Endpoint("GET", "/", "This overview")
    routes: dict[Endpoint, Handler] = {
        Endpoint("POST", SESSIONS, "Start a lab session"): labs.create,
        Endpoint("GET", f"{SESSIONS}/user/{{user_id}}", "Show the user's lab session"): labs.show,
        Endpoint("PUT", f"{SESSIONS}/{{user_id}}", "Change the user's lab session"): labs.update,
        Endpoint("DELETE", f"{SESSIONS}/{{user_id}}", "End the user's lab session"): labs.delete,
        Endpoint("GET", "/health", "Whether the service answers"): health.health,
        Endpoint("GET", "/health/live", "Whether the process is alive"): health.live,
        Endpoint("GET", "/health/ready", "Whether the service can do its work, and what is wrong"): health.ready,
    }
    routes[overview] = Overview(options, (*routes, overview)).show

    app = web.Application(middlewares=[Door(options).handle], client_max_size=options.max_body_bytes)
    for endpoint, handler in routes.items():
        path = endpoint.path.replace(*_VARIABLE)
        if endpoint.method == "GET":
            app.router.add_get(path, handler)  # answers HEAD as well
        else:
            app.router.add_route(endpoint.method, path, handler)
    return app
