"""Routes that describe the API: for programs, and for people."""

from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web

from labsessions.http.endpoints import Endpoint
from labsessions.http.fields import SessionFields
from labsessions.http.groups import RouteGroup
from labsessions.http.openapi import codes, document
from labsessions.http.reference import POLICY, page
from labsessions.http.wire import json_answer

_HEADERS: Final = {"Content-Security-Policy": POLICY}


class DescriptionRoutes:
    """Handlers of `/openapi.json` and `/docs`; both are made once."""

    def __init__(
        self, version: str, endpoints: Iterable[Endpoint], fields: SessionFields, groups: Sequence[RouteGroup] = ()
    ) -> None:
        endpoints = tuple(endpoints)
        self._document = document(version, endpoints, fields, groups)
        self._page = page(self._document, codes(endpoints).values())

    async def document(self, _: web.Request) -> web.Response:
        """200, OpenAPI 3.1 as JSON."""
        return json_answer(self._document)

    async def page(self, _: web.Request) -> web.Response:
        """200, HTML that needs nothing else."""
        return web.Response(text=self._page, content_type="text/html", headers=_HEADERS)
