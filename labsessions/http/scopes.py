"""What a caller may do: every route declares its scope, and the door lets nobody in beyond it.

A user's token opens its own session only. Anybody else's is refused with 403 from the ids alone, before the engine is
asked: the answer is the same whether there is a session or not, so it tells nothing – and a front end that mixed up two
ids learns so, which a 404 would hide.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from aiohttp import hdrs, web

from labsessions.http.checks import is_user_id
from labsessions.http.credentials import Caller, Role
from labsessions.http.errors import FORBIDDEN, Problem, RefusedError

USER_ID: Final = "{user_id}"


class Scope(Enum):
    """What a route is about, and so who may use it."""

    OPEN = "nothing of anybody's: needs no credential"
    OWN = "one user, named in the path or in the body: that user, the platform, operators"
    ALL = "all users: the platform, operators"
    ADMIN = "the service itself: operators"


# Tuples, not sets: the members of an enum are hashed in Python, and each request would have to wait for it.
ROLES: Final[Mapping[Scope, tuple[Role, ...]]] = {
    Scope.OPEN: tuple(Role),
    Scope.OWN: tuple(Role),
    Scope.ALL: (Role.PLATFORM, Role.OPERATOR, Role.ANYONE),
    Scope.ADMIN: (Role.OPERATOR, Role.ANYONE),
}
"""Which callers may use a route of this scope."""

_FOREIGN: Final = Problem(FORBIDDEN.status, FORBIDDEN.code, "Pages of other sites may not do that without a token")
_CALLER: Final = web.RequestKey("caller", Caller)
_IN_PATH: Final[web.RequestKey[str | None]] = web.RequestKey("user_id")


class Rule(NamedTuple):
    """A route's scope, which segment of its path is the user's id, if any, and the path with its variable in braces."""

    scope: Scope
    roles: tuple[Role, ...]
    segment: int | None
    path: str

    @classmethod
    def of(cls, scope: Scope, path: str) -> "Rule":
        """The rule of the route with this path, its variable part in braces."""
        segments = path.split("/")
        return cls(scope, ROLES[scope], segments.index(USER_ID) if USER_ID in segments else None, path)

    def admit(self, request: web.Request, caller: Caller) -> None:
        """RefusedError 403 unless the caller may do this.

        From then on the request knows the user whom its path names; if none, its caller: then the body may name one,
        and the handler asks `require_own`.
        """
        if caller.role not in self.roles:
            raise RefusedError(FORBIDDEN, user=caller.user)
        if self.scope is Scope.ADMIN and caller.role is Role.ANYONE and _of_another_site(request):
            raise RefusedError(_FOREIGN)
        if self.segment is None:
            request[_CALLER] = caller
        else:
            request[_IN_PATH] = user_id = _user_id(request, self.segment)
            _require_own(caller, user_id)


RULES: Final = web.AppKey("rules", dict[web.AbstractRoute, Rule])
"""The rule of every route. A route without one answers 500 to everybody."""


def user_in_path(request: web.Request) -> str | None:
    """The user's id in the path, the very one that was checked; None if it is no valid id, so that nobody has it."""
    return request[_IN_PATH]


def require_own(request: web.Request, user_id: str) -> None:
    """RefusedError 403 if the caller is another user; for routes whose path names none."""
    _require_own(request[_CALLER], user_id)


def _of_another_site(request: web.Request) -> bool:
    """Whether a browser sends this for a page that isn't the service's own.

    A service without tokens answers this machine only, but any page that is open in its browser can send to it.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.partition("://")[2] != request.host:
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}


def _require_own(caller: Caller, user_id: str | None) -> None:
    if caller.user is not None and caller.user != user_id:
        raise RefusedError(FORBIDDEN, user=caller.user)


def _user_id(request: web.Request, segment: int) -> str | None:
    """Decoded here, because the router leaves invalid UTF-8 as it was: `%FF` would be the user named "%FF"."""
    user_id = request.rel_url.raw_path.split("/")[segment]
    if "%" in user_id:
        try:
            user_id = unquote_to_bytes(user_id).decode()
        except UnicodeError:
            return None
    return user_id if is_user_id(user_id) else None
