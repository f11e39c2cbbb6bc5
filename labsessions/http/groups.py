"""Routes that come as one piece: what they are, who answers them, and what their descriptions speak of."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from labsessions.http.checks import Schema
from labsessions.http.endpoints import Endpoint

_NONE: Mapping[str, Any] = MappingProxyType({})


class RouteGroup(NamedTuple):
    """A part of the API that `make_app` adds to that of the sessions.

    `schemas` are by the names that the endpoints' answers and bodies give; `examples` of bodies, by the same names.
    `end` is called when the service stops, for handlers whose answers have no end.
    """

    routes: tuple[tuple[Endpoint, Handler], ...]
    schemas: Mapping[str, Schema] = _NONE
    examples: Mapping[str, Any] = _NONE
    end: Callable[[web.Application], Awaitable[None]] | None = None
