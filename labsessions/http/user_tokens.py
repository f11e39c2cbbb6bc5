"""Users' tokens: JWTs (RFC 7519) of the platform's identity provider. A token that holds says which user has it.

Which key checks a token is the business of `keys` and `jwks`. Only a service whose users have tokens loads these three
modules: what they need of cryptography takes 40 ms and memory.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import jwt
from jwt.exceptions import InvalidSubjectError
from jwt.types import Options

from labsessions.http.checks import is_user_id
from labsessions.http.errors import KEYS_UNAVAILABLE, TOKEN_EXPIRED, UNAUTHORIZED, RefusedError
from labsessions.http.jwks import open_key_set
from labsessions.http.keys import Keys, KeysUnavailableError, SharedKey
from labsessions.http.options import JwtOptions

LEEWAY_S: Final = 10  # what the provider's clock and ours may differ
_NUMBER: Final = (int, float)

# Times are checked here, by the service's clock; PyJWT's own would be the machine's, and cannot be driven.
_OPTIONS: Final[Options] = {
    "require": ["exp", "sub", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "enforce_minimum_key_length": True,
}


class JsonWebTokens:
    """`credentials.UserTokens` of one issuer for one audience, checked at the instant of `now_ms`."""

    def __init__(self, issuer: str, audience: str, keys: Keys, now_ms: Callable[[], int]) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._now_ms = now_ms

    async def user(self, token: str) -> str:
        """The user (`sub`) whose token this is.

        RefusedError 401 if it doesn't hold, with a code of its own if it did until a while ago; 503 if that cannot be
        told. The log, not the answer, says what is wrong with it.
        """
        try:
            if not token.isascii():  # a header may have any bytes
                raise jwt.DecodeError
            key = await self._keys.key_of(token)
            if key is None:
                raise jwt.InvalidKeyError
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                options=_OPTIONS,
            )
            self._check_times(claims)
            return _subject(claims)
        except KeysUnavailableError as error:
            raise RefusedError(KEYS_UNAVAILABLE) from error
        except jwt.ExpiredSignatureError as error:
            raise RefusedError(TOKEN_EXPIRED, detail=type(error).__name__) from error
        except jwt.PyJWTError as error:  # its class only: its text may quote the token
            raise RefusedError(UNAUTHORIZED, detail=type(error).__name__) from error

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """`exp` and `nbf`, with the leeway. Written so that NaN, which Python's JSON knows, never passes."""
        now = self._now_ms() / 1000
        expires, begins = claims["exp"], claims.get("nbf", now)
        if not all(isinstance(each, _NUMBER) and not isinstance(each, bool) for each in (expires, begins)):
            raise jwt.DecodeError
        if not expires > now - LEEWAY_S:
            raise jwt.ExpiredSignatureError
        if not begins <= now + LEEWAY_S:
            raise jwt.ImmatureSignatureError


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not is_user_id(subject):
        raise InvalidSubjectError
    return subject


@asynccontextmanager
async def open_user_tokens(options: JwtOptions, now_ms: Callable[[], int]) -> AsyncIterator[JsonWebTokens]:
    """The check by public keys, as long as the block lasts."""
    async with open_key_set(options.jwks_url) as keys:
        yield JsonWebTokens(options.issuer, options.audience, keys, now_ms)


def shared_user_tokens(options: JwtOptions, now_ms: Callable[[], int]) -> JsonWebTokens:
    """The check by a shared secret."""
    return JsonWebTokens(options.issuer, options.audience, SharedKey(options.hs256_key), now_ms)
