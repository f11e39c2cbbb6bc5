"""The route for Prometheus: `/metrics`, for operators unless it is open."""

from typing import Final

from aiohttp import hdrs, web

from labsessions.http.endpoints import Answer, Endpoint
from labsessions.http.groups import RouteGroup
from labsessions.http.scopes import Scope
from labsessions.ports import Exposition

METRICS: Final = Endpoint(
    "GET",
    "/metrics",
    "The figures of the service for Prometheus",
    Scope.ADMIN,
    answers=(Answer(200, "The figures, in Prometheus's text format", "Metrics", enveloped=False),),
)
# The version that every Prometheus understands.
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_routes(exposition: Exposition, *, is_open: bool) -> RouteGroup:
    """`/metrics`; `is_open`: whoever reaches the port may read it."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await exposition.text(), headers={hdrs.CONTENT_TYPE: _CONTENT_TYPE})

    endpoint = METRICS._replace(scope=Scope.OPEN) if is_open else METRICS
    return RouteGroup(((endpoint, metrics),), schemas={"Metrics": {"type": "string"}})
