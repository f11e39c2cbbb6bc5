"""The group of routes that change nothing."""

from collections.abc import Callable

from labsessions.http.admin import endpoints_read as endpoints
from labsessions.http.admin.read import ReadRoutes
from labsessions.http.admin.schemas_read import SCHEMAS
from labsessions.http.admin.stream import AdminStream
from labsessions.http.groups import RouteGroup
from labsessions.http.options import ApiOptions
from labsessions.ports import Overview, Survey, Tail


def read_group(
    survey: Survey, overview: Overview, tail: Tail, now_ms: Callable[[], int], options: ApiOptions
) -> RouteGroup:
    """Over these ports; `now_ms` is the service's clock."""
    read, stream = ReadRoutes(survey, overview, now_ms), AdminStream(tail, overview, options)
    return RouteGroup(
        (
            (endpoints.OVERVIEW, read.overview),
            (endpoints.EXPIRIES, read.expiries),
            (endpoints.SESSIONS, read.sessions),
            (endpoints.USER, read.user),
            (endpoints.EVENTS, read.events),
            (endpoints.HISTORY, read.history),
            (endpoints.ANALYTICS, read.analytics),
            (endpoints.FAILURES, read.failures),
            (endpoints.STREAM, stream.follow),
        ),
        schemas=SCHEMAS,
        end=stream.end,
    )
