"""`GET /api/v1/admin/deployments`: which releases have run on the data, with which settings, and how each ended."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from labsessions.http.endpoints import Answer, Endpoint
from labsessions.http.groups import RouteGroup
from labsessions.http.scopes import Scope
from labsessions.http.shapes import INSTANT, INSTANT_OR_NULL
from labsessions.http.wire import success

DEPLOYMENTS: Final = Endpoint(
    "GET",
    "/api/v1/admin/deployments",
    "List the starts of the service, the newest first",
    Scope.ADMIN,
    answers=(Answer(200, "Deployments retrieved successfully", "Deployments"),),
)

_DEPLOYMENT: Final = {
    "started_at": INSTANT,
    "stopped_at": {**INSTANT_OR_NULL, "description": "null: it is running, or has died"},
    "clean": {
        "type": ["boolean", "null"],
        "description": "true: it has stopped in order; false: it has died; null: it is running",
    },
    "version": {"type": "string"},
    "schema": {"type": "integer", "description": "Of the database; a release refuses a newer one"},
    "settings_fingerprint": {
        "type": "string",
        "description": "The same for the same settings at the start, whatever the secrets are",
    },
    "pid": {"type": "integer"},
    "host": {"type": "string"},
}
SCHEMAS: Final = {
    "Deployments": {
        "type": "object",
        "required": ["deployments"],
        "properties": {
            "deployments": {
                "type": "array",
                "items": {"type": "object", "required": list(_DEPLOYMENT), "properties": _DEPLOYMENT},
            }
        },
    }
}


def deployments_group(newest: Callable[[], Awaitable[list[dict[str, Any]]]]) -> RouteGroup:
    """The route over `newest`, which has all starts that are kept, the newest first."""

    async def show(_: web.Request) -> web.Response:
        return success({"deployments": await newest()}, DEPLOYMENTS.answers[0].description)

    return RouteGroup(((DEPLOYMENTS, show),), schemas=SCHEMAS)
