"""What every request passes, in this order: request id, credential, rate, scope, route; and how every failure leaves.

One middleware, because it is on the way of each request. It knows no route but by its rule.
"""

import math
import re
import secrets
from collections.abc import Callable, Mapping
from itertools import count
from time import perf_counter
from typing import Any, Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from labsessions import log_lines
from labsessions.http.credentials import Caller, Credentials
from labsessions.http.errors import INTERNAL, ROUTE_NOT_FOUND, RefusedError, method_not_allowed, too_many_requests
from labsessions.http.headers import REQUEST_ID, CommonHeaders, preflight
from labsessions.http.options import ApiOptions
from labsessions.http.rate import RateLimit
from labsessions.http.scopes import Rule, Scope
from labsessions.http.wire import JsonAnswer, failure

_request_id_pattern: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")  # safe in a header, a log line and a file name
# Of a path in the log: a user's id with its escapes is shown as a rule, and one of 8,000 characters fills no disk.
_LONGEST_PATH: Final = 256


# A request id is this process's own number and a counter: unique, and cheaper than a UUID.
_PROCESS: Final = secrets.token_hex(10)
_count: Final = count(1)

# No route, so nothing to be had. Whoever watches the service is told so without a token, as CONTRACT §1 says.
_NOWHERE: Final = Rule.of(Scope.OWN, "")
_NOWHERE_FOR_WATCHERS: Final = Rule.of(Scope.OPEN, "")

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

Answered = Callable[[str, str, int, float], None]
"""Told of each answer: the method, the route's path with its variable in braces, the status, the seconds that it took.

Of what has no route, method and path are `UNMATCHED`, as a client could make up others without end.
"""
UNMATCHED: Final = "unmatched"


class Door:
    """The middleware `handle`, and the signal `complete` for answers that are streams; `rules` has every route's.

    `answered` is told of all but streams, whose time tells nothing.
    """

    def __init__(
        self,
        options: ApiOptions,
        rules: Mapping[web.AbstractRoute, Rule],
        credentials: Credentials,
        answered: Answered | None = None,
    ) -> None:
        self._answered = answered
        self._rules = rules
        self._credentials = credentials
        self._limit = (0.0, 0)
        self._rate: RateLimit | None = None
        self.reconfigure(options)

    def reconfigure(self, options: ApiOptions) -> None:
        """Heed other origins and another rate from the next request on; with a new rate all buckets are full."""
        self._headers = CommonHeaders(options.cors_origins)
        if (limit := (options.rate_per_second, options.rate_burst)) != self._limit:
            self._limit = limit
            self._rate = RateLimit(*limit) if options.rate_per_second else None

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer the request; raises nothing but on cancellation."""
        began = perf_counter()
        request_id = request_id_of(request)
        # Each request runs in a task of its own (aiohttp), so the binding ends with it.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer: web.StreamResponse
        try:
            if request.method == hdrs.METH_OPTIONS:
                answer = preflight(request)
            else:
                await self._admit(request)
                answer = await handler(request)
        except RefusedError as refused:
            _log.warning(log_lines.REFUSED, **_refusal_fields(request, refused))
            answer = failure(refused.problem, request_id)
        except Exception:  # noqa: BLE001 - the last resort: whatever it is, the client gets JSON and no internals
            _log.error(
                log_lines.UNHANDLED, method=request.method, path=request.rel_url.raw_path[:_LONGEST_PATH], exc_info=True
            )
            answer = failure(INTERNAL, request_id)
        if isinstance(answer, JsonAnswer):
            self._headers.add(request, answer, request_id)
        if self._answered is not None and not answer.prepared:
            rule = self._rules.get(request.match_info.route)
            method, path = (UNMATCHED, UNMATCHED) if rule is None else (request.method, rule.path)
            self._answered(method, path, answer.status, perf_counter() - began)
        return answer

    async def complete(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Signal before the head of an answer is sent; that of a stream is, long before its handler returns."""
        if not isinstance(answer, JsonAnswer):
            bound = structlog.contextvars.get_contextvars()  # nothing for what aiohttp refuses before the door
            self._headers.add(request, answer, bound.get("request_id") or request_id_of(request))

    async def _admit(self, request: web.Request) -> None:
        """RefusedError unless there is such a route, and this caller may use it now."""
        nowhere = request.match_info.http_exception
        if nowhere is None:
            rule = self._rules[request.match_info.route]
        else:
            rule = _NOWHERE_FOR_WATCHERS if self._is_watched(request.path) else _NOWHERE
        if rule.scope is not Scope.OPEN:
            authorization = request.headers.get(hdrs.AUTHORIZATION, "")
            # Two steps, as nearly every request is known: then no coroutine is made for it.
            caller = self._credentials.known(authorization) or await self._credentials.caller(authorization)
            if self._rate is not None:
                _check_rate(self._rate, caller)
            rule.admit(request, caller)
        match nowhere:
            case None:
                return
            case web.HTTPMethodNotAllowed(allowed_methods=allowed):
                raise RefusedError(method_not_allowed(allowed))
            case _:
                raise RefusedError(ROUTE_NOT_FOUND)

    def _is_watched(self, path: str) -> bool:
        """Whether the path is one of those that need no token, whatever the method."""
        return path.startswith("/health") or any(
            rule.scope is Scope.OPEN and route.resource is not None and route.resource.canonical == path
            for route, rule in self._rules.items()
        )


def request_id_of(request: web.BaseRequest) -> str:
    """The client's own, if it is harmless, or a new one."""
    given = request.headers.get(REQUEST_ID)
    if given is not None and _request_id_pattern.fullmatch(given):
        return given
    return f"{_PROCESS}{next(_count):012x}"


def _check_rate(rate: RateLimit, caller: Caller) -> None:
    if wait_seconds := rate.take(caller):
        raise RefusedError(too_many_requests(math.ceil(wait_seconds)), user=caller.user)


def _refusal_fields(request: web.Request, refused: RefusedError) -> dict[str, Any]:
    fields = {
        "status": refused.problem.status,
        "reason": refused.problem.text,
        "method": request.method,
        "path": request.rel_url.raw_path[:_LONGEST_PATH],
        "user": refused.user,
        "detail": refused.detail,
    }
    return {name: value for name, value in fields.items() if value is not None}
