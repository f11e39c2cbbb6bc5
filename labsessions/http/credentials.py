"""Who sends a request: the caller, known by the bearer token. What a caller may do is none of this module's business.

One of a few tokens that the operator has set, which is what nearly every request brings, or a user's JWT.
"""

import hmac
from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, Protocol

from labsessions.http.errors import UNAUTHORIZED, RefusedError
from labsessions.http.options import ApiOptions


class Role(Enum):
    """The kinds of callers."""

    ANYONE = "no credential is configured, so nobody is asked for one"
    USER = "a user, by a JWT"
    PLATFORM = "the platform's back end, by API_TOKEN"
    OPERATOR = "an operator, by ADMIN_TOKEN"


class Caller(NamedTuple):
    """A credential's owner: two requests with the same one are the same caller. `user` is set for users only."""

    role: Role
    user: str | None = None


class UserTokens(Protocol):
    """Checks what users bring; see `user_tokens`."""

    async def user(self, token: str) -> str:
        """The user whose token this is. RefusedError 401 if it doesn't hold, 503 if that cannot be told."""
        ...


ANYONE: Final = Caller(Role.ANYONE)
_PLATFORM: Final = Caller(Role.PLATFORM)
_OPERATOR: Final = Caller(Role.OPERATOR)

_Known = tuple[tuple[bytes, Caller], ...]


class Credentials:
    """The tokens that are accepted, prepared for comparison."""

    def __init__(self, options: ApiOptions, user_tokens: UserTokens | None = None) -> None:
        self.reconfigure(options, user_tokens)

    def reconfigure(self, options: ApiOptions, user_tokens: UserTokens | None) -> None:
        """Accept these tokens, and no others, from the next request on."""
        self._known: _Known = (
            *((token.encode(), _PLATFORM) for token in options.tokens),
            *((token.encode(), _OPERATOR) for token in options.admin_tokens),
        )
        self._usual: _Known = tuple((b"Bearer " + token, caller) for token, caller in self._known)
        self._user_tokens = user_tokens
        self._open = not self._known and user_tokens is None

    def known(self, authorization: str) -> Caller | None:
        """Whose `Authorization` this is, if it is written as usual and one of the operator's; else `caller` knows."""
        return ANYONE if self._open else _owner(_bytes(authorization), self._usual)

    async def caller(self, authorization: str) -> Caller:
        """Whose it is where `known` doesn't know. RefusedError 401 for nobody's, 503 if a user's cannot be checked."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() == "bearer":
            if (caller := _owner(_bytes(token), self._known)) is not None:
                return caller
            if self._user_tokens is not None and token:
                return Caller(Role.USER, await self._user_tokens.user(token))
        raise RefusedError(UNAUTHORIZED)


def _bytes(header: str) -> bytes:
    return header.encode(errors="surrogateescape")  # as aiohttp decoded it


def _owner(given: bytes, known: Iterable[tuple[bytes, Caller]]) -> Caller | None:
    """Every one is compared, each in constant time: the time taken tells nothing about any of them."""
    owner = None
    for token, caller in known:
        if hmac.compare_digest(given, token):
            owner = caller
    return owner
