"""What every answer has in its head: the request id, who may read it (CORS), and what a browser must not do with it."""

from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web

from labsessions.http.idempotency import KEY, REPLAYED
from labsessions.http.wire import JsonAnswer, SharedFields

REQUEST_ID: Final = "X-Request-ID"

# `Date` lets a browser correct its clock for the countdown.
_EXPOSED: Final = f"{REQUEST_ID}, ETag, Date, {hdrs.RETRY_AFTER}, {REPLAYED}"
_ALLOWED: Final = "Content-Type, Authorization"
_ALLOWED_IF_ASKED: Final = (hdrs.IF_MATCH, KEY)  # not for everybody: the contract has the list above
_PREFLIGHT: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PUT, DELETE, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ALLOWED,
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
}
SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",  # JSON with what users sent in it is never taken for a page
    hdrs.CACHE_CONTROL: "no-store",  # a session is somebody's, and true for an instant only
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # opened as a page, it does nothing
    "Referrer-Policy": "no-referrer",  # the address has a user's id in it
}


class CommonHeaders:
    """The fields that every answer has; all but two of them are prepared once."""

    def __init__(self, cors_origins: Iterable[str]) -> None:
        self._origins = frozenset(cors_origins)
        self._any_origin = "*" in self._origins
        cors = {hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: _EXPOSED}
        if self._any_origin:
            cors[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        else:  # also without an origin: a cache must not hand the answer to another one
            cors[hdrs.VARY] = hdrs.ORIGIN
        self._shared = SharedFields(cors | SECURITY)

    def add(self, request: web.Request, answer: web.StreamResponse, request_id: str) -> None:
        """Complete an answer that has not begun; what its handler chose itself stays."""
        answer.headers[REQUEST_ID] = request_id
        if not self._any_origin and (origin := request.headers.get(hdrs.ORIGIN)) in self._origins:
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        if isinstance(answer, JsonAnswer):
            answer.shared = self._shared
        else:
            self._shared.add_to(answer.headers)


def preflight(request: web.Request) -> web.Response:
    """The answer to a browser that asks whether it may."""
    answer = web.Response(status=204, headers=_PREFLIGHT)
    wanted = {name.strip() for name in request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "").lower().split(",")}
    more = [name for name in _ALLOWED_IF_ASKED if name.lower() in wanted]
    answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ", ".join((_ALLOWED, *more))
    return answer
