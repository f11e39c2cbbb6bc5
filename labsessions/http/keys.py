"""What tokens of users are signed with. A key has one algorithm, so that a token cannot choose another."""

from base64 import urlsafe_b64encode
from typing import Protocol

import jwt


class KeysUnavailableError(Exception):
    """Nobody can say at the moment whether there is such a key."""


class Keys(Protocol):
    """The keys of one identity provider."""

    async def key_of(self, token: str) -> jwt.PyJWK | None:
        """The key of this token, which nobody has checked yet; None if it names none of ours.

        Raises jwt.PyJWTError for what is no JWT, KeysUnavailableError.
        """
        ...


class SharedKey:
    """`Keys` of a provider that signs with a secret which this service knows too (HS256)."""

    def __init__(self, secret: str) -> None:
        encoded = urlsafe_b64encode(secret.encode()).decode()
        self._key = jwt.PyJWK({"kty": "oct", "alg": "HS256", "k": encoded})

    async def key_of(self, token: str) -> jwt.PyJWK:  # noqa: ARG002 - there is one
        """See `Keys`."""
        return self._key
