"""What every request passes, in this order: request id, CORS, token, route; and how every failure leaves.

One middleware, because it is on the way of each request. It knows no route but those that need no token.
"""

import hmac
import re
import secrets
from collections.abc import Iterable
from itertools import count
from typing import Any, Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from labsessions import log_lines
from labsessions.http.errors import INTERNAL, ROUTE_NOT_FOUND, UNAUTHORIZED, RefusedError, method_not_allowed
from labsessions.http.idempotency import KEY, REPLAYED
from labsessions.http.options import ApiOptions
from labsessions.http.wire import failure

REQUEST_ID: Final = "X-Request-ID"

_request_id_pattern: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")  # safe in a header, a log line and a file name
_EXPOSED: Final = f"{REQUEST_ID}, ETag, Date, {REPLAYED}"  # `Date` lets a browser correct its clock for the countdown
_ALLOWED: Final = "Content-Type, Authorization"
_ALLOWED_IF_ASKED: Final = (hdrs.IF_MATCH, KEY)  # not for everybody: the contract has the list above
_PREFLIGHT: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PUT, DELETE, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ALLOWED,
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
}

# Of a path in the log: a user's id with its escapes is shown as a rule, and one of 8,000 characters fills no disk.
_LONGEST_PATH: Final = 256

# Nothing of anybody's is there, and a browser that opens a page brings no token.
_OPEN: Final = frozenset({"/", "/docs", "/openapi.json"})

# A request id is this process's own number and a counter: unique, and cheaper than a UUID.
_PROCESS: Final = secrets.token_hex(10)
_count: Final = count(1)

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Door:
    """The middleware `handle`, with the tokens and origins of the options."""

    def __init__(self, options: ApiOptions) -> None:
        self._tokens = tuple(token.encode() for token in options.tokens)
        self._usual = tuple(b"Bearer " + token for token in self._tokens)
        self._origins = frozenset(options.cors_origins)
        self._any_origin = "*" in self._origins

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer the request; raises nothing but on cancellation."""
        request_id = request_id_of(request)
        # Each request runs in a task of its own (aiohttp), so the binding ends with it.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer: web.StreamResponse
        try:
            if request.method == hdrs.METH_OPTIONS:
                answer = _preflight(request)
            else:
                self._check_token(request)
                _check_route(request)
                answer = await handler(request)
        except RefusedError as refused:
            _log.warning(log_lines.REFUSED, **_refusal_fields(request, refused))
            answer = failure(refused.problem, request_id)
        except Exception:  # noqa: BLE001 - the last resort: whatever it is, the client gets JSON and no internals
            _log.error(
                log_lines.UNHANDLED, method=request.method, path=request.rel_url.raw_path[:_LONGEST_PATH], exc_info=True
            )
            answer = failure(INTERNAL, request_id)
        answer.headers[REQUEST_ID] = request_id
        self._allow_origin(request, answer)
        return answer

    def _check_token(self, request: web.Request) -> None:
        """RefusedError 401 unless the request needs no token or brings one of ours."""
        if not self._tokens or request.path in _OPEN or request.path.startswith("/health"):
            return
        header = request.headers.get(hdrs.AUTHORIZATION, "")
        if _is_one_of(header.encode(errors="surrogateescape"), self._usual):
            return
        scheme, _, given = header.partition(" ")
        if scheme.lower() != "bearer" or not _is_one_of(given.strip().encode(errors="surrogateescape"), self._tokens):
            raise RefusedError(UNAUTHORIZED)

    def _allow_origin(self, request: web.Request, answer: web.StreamResponse) -> None:
        headers = answer.headers
        headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
        if self._any_origin:
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
            return
        headers[hdrs.VARY] = "Origin"  # also without one: a cache must not hand this answer to another origin
        origin = request.headers.get(hdrs.ORIGIN)
        if origin in self._origins:
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin


def request_id_of(request: web.BaseRequest) -> str:
    """The client's own, if it is harmless, or a new one."""
    given = request.headers.get(REQUEST_ID)
    if given is not None and _request_id_pattern.fullmatch(given):
        return given
    return f"{_PROCESS}{next(_count):012x}"


def _preflight(request: web.Request) -> web.Response:
    answer = web.Response(status=204, headers=_PREFLIGHT)
    wanted = {name.strip() for name in request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "").lower().split(",")}
    more = [name for name in _ALLOWED_IF_ASKED if name.lower() in wanted]
    answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ", ".join((_ALLOWED, *more))
    return answer


def _is_one_of(given: bytes, known: Iterable[bytes]) -> bool:
    """Every one is compared, each in constant time: the time taken tells nothing about any of them."""
    return any([hmac.compare_digest(given, one) for one in known])  # noqa: C419 - a generator would stop at the first


def _check_route(request: web.Request) -> None:
    """RefusedError 404 or 405 in the envelope, before aiohttp answers it in plain text."""
    match request.match_info.http_exception:
        case None:
            return
        case web.HTTPMethodNotAllowed(allowed_methods=allowed):
            raise RefusedError(method_not_allowed(allowed))
        case _:
            raise RefusedError(ROUTE_NOT_FOUND)


def _refusal_fields(request: web.Request, refused: RefusedError) -> dict[str, Any]:
    fields = {
        "status": refused.problem.status,
        "reason": refused.problem.text,
        "method": request.method,
        "path": request.rel_url.raw_path[:_LONGEST_PATH],
    }
    return fields if refused.user is None else {**fields, "user": refused.user}
