"""Users' tokens for tests: minted as an identity provider would, and its JWKS over a real socket."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from labsessions.http.keys import SharedKey
from labsessions.http.user_tokens import JsonWebTokens

SECRET = "s3cret-key-of-the-identity-provider"
ISSUER = "https://id.example.test/"
AUDIENCE = "labs"
NOW_S = 1_800_000_000  # 2027-01-15T08:00:00.000Z, at which driven sessions begin
HOUR_S = 3600

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def claims(user: str = "ada", **changes: Any) -> dict[str, Any]:
    """Those of a good token of this user; a change to None leaves the claim out."""
    whole = {"sub": user, "iss": ISSUER, "aud": AUDIENCE, "exp": NOW_S + HOUR_S} | changes
    return {name: value for name, value in whole.items() if value is not None}


def token(user: str = "ada", **changes: Any) -> str:
    """A good token of this user, signed with the shared secret, but for the changes."""
    return jwt.encode(claims(user, **changes), SECRET, "HS256")


def bearer(value: str) -> dict[str, str]:
    """The header that brings it."""
    return {"Authorization": f"Bearer {value}"}


def shared_key_tokens() -> JsonWebTokens:
    """What checks `token`, at the instant at which driven sessions begin."""
    return JsonWebTokens(ISSUER, AUDIENCE, SharedKey(SECRET), lambda: NOW_S * 1000)


class Signer:
    """A private key with its id, and the public one as a provider publishes it."""

    def __init__(self, kid: str, key: PrivateKey | None = None, algorithm: str = "ES256") -> None:
        self.kid = kid
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.algorithm = algorithm

    def token(self, user: str = "ada", **changes: Any) -> str:
        """A good token of this user, but for the changes."""
        return jwt.encode(claims(user, **changes), self.key, self.algorithm, {"kid": self.kid})

    def public(self, **changes: Any) -> dict[str, Any]:
        """The JSON Web Key."""
        public: Any = self.key.public_key()
        described: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(self.algorithm).to_jwk(public))
        return described | {"kid": self.kid, "use": "sig", "alg": self.algorithm} | changes


def secret_jwk(secret: str, kid: str) -> dict[str, Any]:
    """A symmetric key, as nobody should publish one."""
    return {"kty": "oct", "alg": "HS256", "kid": kid, "k": urlsafe_b64encode(secret.encode()).decode()}


class Provider:
    """An identity provider's JWKS URL: answers what `says` says, and counts how often it was asked."""

    def __init__(self, *signers: Signer) -> None:
        self.fetched = 0
        self.publish(*signers)
        app = web.Application()
        app.router.add_get("/jwks", self._answer)
        self._server = TestServer(app)

    def publish(self, *signers: Signer) -> None:
        """From now on these keys are the set."""
        self.says: tuple[int, bytes] = (200, json.dumps({"keys": [signer.public() for signer in signers]}).encode())

    async def start(self) -> str:
        """Listen; the URL."""
        await self._server.start_server()
        return str(self._server.make_url("/jwks"))

    async def stop(self) -> None:
        """No longer listen."""
        await self._server.close()

    async def _answer(self, _: web.Request) -> web.Response:
        self.fetched += 1
        status, body = self.says
        return web.Response(status=status, body=body)
