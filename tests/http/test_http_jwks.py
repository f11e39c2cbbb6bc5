"""The provider's public keys, over a real socket: fetched, kept, renewed, and what happens while they cannot be."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_driven import SESSIONS, START_MS, DrivenReadiness, DrivenSessions
from identity_provider import AUDIENCE, ISSUER, Provider, Signer, bearer, claims, secret_jwk
from pytest_aiohttp import AiohttpClient

from labsessions.http import ApiOptions, make_app
from labsessions.http.errors import RefusedError
from labsessions.http.jwks import LIFETIME_S, MAX_BYTES, PAUSE_S, KeySet, UnusableError, usable
from labsessions.http.options import JwtOptions
from labsessions.http.user_tokens import JsonWebTokens, open_user_tokens

RSA = rsa.generate_private_key(65537, 2048)


class Desk:
    """A provider with the key "a", and what checks tokens by it, on a clock that the test moves."""

    def __init__(self, http: aiohttp.ClientSession, url: str, provider: Provider) -> None:
        self.now = 1000.0
        self.provider = provider
        self.keys = KeySet(url, http, lambda: self.now)
        self._tokens = JsonWebTokens(ISSUER, AUDIENCE, self.keys, lambda: START_MS)

    async def ask(self, token: str) -> str:
        """The user, or the code of the refusal."""
        try:
            return await self._tokens.user(token)
        except RefusedError as refused:
            return refused.problem.code

    async def settled(self) -> None:
        """When no fetch is under way."""
        while (fetch := self.keys._fetch) is not None:
            await asyncio.wait([fetch])


A, B = Signer("a"), Signer("b")


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """See `Desk`."""
    provider = Provider(A)
    url = await provider.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        desk = Desk(http, url, provider)
        yield desk
        await desk.keys.close()
    await provider.stop()


async def test_one_fetch_serves_many(desk: Desk) -> None:
    """Nothing is fetched before it is needed, and then once, also for those who come at the same time."""
    assert desk.provider.fetched == 0
    assert set(await asyncio.gather(*[desk.ask(A.token(f"user-{n}")) for n in range(20)])) == {
        f"user-{n}" for n in range(20)
    }
    assert await desk.ask(A.token("ada")) == "ada"
    assert desk.provider.fetched == 1


@pytest.mark.parametrize(("after_s", "fetched"), [(-0.001, 1), (0, 2), (0.001, 2)])
async def test_a_set_is_renewed_after_its_lifetime(desk: Desk, after_s: float, fetched: int) -> None:
    """By the first request then, which doesn't wait for it: the key that is known is good enough."""
    await desk.ask(A.token())
    desk.now += LIFETIME_S + after_s
    assert await desk.ask(A.token()) == "ada"
    await desk.settled()
    assert desk.provider.fetched == fetched


async def test_a_withdrawn_key_ends_with_the_set(desk: Desk) -> None:
    """When the renewed set lacks it."""
    await desk.ask(A.token())
    desk.provider.publish(B)
    desk.now += LIFETIME_S
    assert await desk.ask(A.token()) == "ada"
    await desk.settled()
    assert await desk.ask(A.token()) == "unauthorized"
    assert await desk.ask(B.token()) == "ada"


async def test_a_new_key_is_fetched_at_once(desk: Desk) -> None:
    """Rotation: the first token with the new key waits for the fetch and is good; the old key goes on."""
    await desk.ask(A.token())
    desk.provider.publish(A, B)
    desk.now += PAUSE_S
    assert await desk.ask(B.token()) == "ada"
    assert await desk.ask(A.token()) == "ada"
    assert desk.provider.fetched == 2


@pytest.mark.parametrize(("after_s", "fetched"), [(PAUSE_S - 0.001, 1), (PAUSE_S, 2), (PAUSE_S + 0.001, 2)])
async def test_unknown_keys_cost_a_fetch_a_minute(desk: Desk, after_s: float, fetched: int) -> None:
    """However many tokens are made up."""
    await desk.ask(A.token())
    desk.now += after_s
    for n in range(30):
        assert await desk.ask(Signer(f"made-up-{n}", B.key).token()) == "unauthorized"
    assert desk.provider.fetched == fetched


FAILURES = [
    (500, b"", "HTTP 500"),
    (404, b'{"keys": []}', "HTTP 404"),
    (302, b"", "HTTP 302"),
    (200, b"", "not a JSON Web Key Set"),
    (200, b"<html>", "not a JSON Web Key Set"),
    (200, b"\xff", "not a JSON Web Key Set"),
    (200, b"[]", "not a JSON Web Key Set"),
    (200, b'{"keys": {}}', "not a JSON Web Key Set"),
    (200, b'{"keys": [1]}', "not a JSON Web Key Set"),
    (200, b"[" * 100_000, "not a JSON Web Key Set"),
    (200, b'{"keys": []}', "no public key for signatures with an id among them"),
    (200, b" " * (MAX_BYTES + 1), f"more than {MAX_BYTES} bytes"),
]


@pytest.mark.parametrize(("status", "body", "reason"), FAILURES)
async def test_the_last_good_set_is_kept_while_the_url_fails(
    desk: Desk, log_lines_seen: list[Any], status: int, body: bytes, reason: str
) -> None:
    """For as long as it fails; a fetch a minute, each with a line that says why."""
    good, desk.provider.says = desk.provider.says, (status, body)
    await desk.ask(A.token())
    assert [line["reason"] for line in log_lines_seen] == [reason]
    desk.provider.says = good
    desk.now += PAUSE_S
    assert await desk.ask(A.token()) == "ada"
    desk.provider.says = (status, body)
    for _ in range(5):
        desk.now += LIFETIME_S
        assert await desk.ask(A.token()) == "ada"
        await desk.settled()
        desk.now += PAUSE_S - 1
        assert await desk.ask(A.token()) == "ada"
        await desk.settled()
    assert desk.provider.fetched == 2 + 5
    assert [(line["reason"], line["kept"]) for line in log_lines_seen[2:]] == [(reason, 1)] * 5


async def test_nobody_can_tell_while_the_url_fails(desk: Desk) -> None:
    """A key that isn't known may be a new one: 503, so that a front end tries again and doesn't log its user out."""
    good, desk.provider.says = desk.provider.says, (500, b"")
    assert await desk.ask(A.token()) == "keys_unavailable"
    desk.now += PAUSE_S - 0.001
    desk.provider.says = good
    assert await desk.ask(A.token()) == "keys_unavailable"
    desk.now += 0.001
    assert await desk.ask(A.token()) == "ada"
    assert await desk.ask(B.token()) == "unauthorized"


async def test_a_provider_that_is_not_there(log_lines_seen: list[Any]) -> None:
    """Refused connections: the same."""
    provider = Provider(A)
    url = await provider.start()
    await provider.stop()
    async with aiohttp.ClientSession() as http:
        assert await Desk(http, url, provider).ask(A.token()) == "keys_unavailable"
    assert [line["event"] for line in log_lines_seen] == ["the keys of users' tokens cannot be fetched"]


async def test_a_provider_that_hangs(aiohttp_client: AiohttpClient, log_lines_seen: list[Any]) -> None:
    """Who has a known key doesn't wait for it; the timeout ends the wait of the others."""
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/jwks", hang)
    server = await aiohttp_client(app)
    provider = Provider(A)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.01)) as http:
        desk = Desk(http, str(server.make_url("/jwks")), provider)
        desk.keys._keys = usable(provider.says[1])
        assert await desk.ask(A.token()) == "ada"
        assert desk.keys._fetch is not None
        assert await desk.ask(B.token()) == "keys_unavailable"
        await desk.keys.close()
    released.set()
    assert [line["reason"] for line in log_lines_seen] == ["TimeoutError"]


async def test_a_fetch_under_way_ends_with_the_service(aiohttp_client: AiohttpClient) -> None:
    """A stop doesn't wait for a provider; who waits for the key is told that nobody can say."""
    asked, released = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        asked.set()
        await released.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/jwks", hang)
    server = await aiohttp_client(app)
    options = JwtOptions(issuer=ISSUER, audience=AUDIENCE, jwks_url=str(server.make_url("/jwks")))
    async with open_user_tokens(options, lambda: START_MS) as tokens:
        waiting = asyncio.create_task(tokens.user(A.token()))
        await asked.wait()
    released.set()
    with pytest.raises(RefusedError) as refused:
        await waiting
    assert refused.value.problem.code == "keys_unavailable"


# --- which keys count --------------------------------------------------------------------------------------


def document(*keys: object) -> bytes:
    """A set of these keys."""
    return json.dumps({"keys": keys, "more": 1}).encode()


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA, "RS256"),
        (RSA, "RS512"),
        (RSA, "PS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
async def test_algorithms(desk: Desk, key: Any, algorithm: str) -> None:
    """Each kind of public key signs for its own users."""
    signer = Signer("k", key, algorithm)
    desk.provider.publish(A, signer)
    assert await desk.ask(signer.token("bob")) == "bob"


async def test_one_key_one_algorithm(desk: Desk) -> None:
    """The one that the provider has given to it, though the key could do another."""
    desk.provider.publish(Signer("k", RSA, "RS256"))
    assert await desk.ask(Signer("k", RSA, "RS256").token()) == "ada"
    assert await desk.ask(Signer("k", RSA, "PS256").token()) == "unauthorized"
    assert await desk.ask(Signer("k", RSA, "RS512").token()) == "unauthorized"


async def test_a_public_key_is_no_secret(desk: Desk) -> None:
    """A token "signed" with the bytes of the public key by HS256 – the old trick – opens nothing."""
    desk.provider.publish(Signer("k", RSA, "RS256"))
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = jwt.encode(claims(), "x" * 32, "HS256", {"kid": "k"}).rpartition(".")[0].encode()
    signature = jwt.utils.base64url_encode(jwt.get_algorithm_by_name("HS256").sign(body, pem))
    assert await desk.ask((body + b"." + signature).decode()) == "unauthorized"


async def test_a_key_of_another_name(desk: Desk) -> None:
    """The right id with another's signature, another's id with the right one, no id, an id that is no text."""
    desk.provider.publish(A, B)
    assert await desk.ask(Signer("a", B.key).token()) == "unauthorized"
    assert await desk.ask(Signer("b", A.key).token()) == "unauthorized"
    assert await desk.ask(jwt.encode(claims(), A.key, "ES256")) == "unauthorized"
    kids: tuple[Any, ...] = (None, 1, ["a"], {})
    for kid in kids:
        header = jwt.utils.base64url_encode(json.dumps({"alg": "ES256", "kid": kid}).encode()).decode()
        _, payload, signature = A.token().split(".")
        assert await desk.ask(f"{header}.{payload}.{signature}") == "unauthorized"


@pytest.mark.parametrize(
    "other",
    [
        secret_jwk("s" * 40, "x"),
        B.public(use="enc", kid="x"),
        B.public(alg="none", kid="x"),
        B.public(alg="HS256", kid="x"),
        B.public(alg=1, kid="x"),
        B.public(kty="oct", kid="x"),
        B.public(kty="XY", kid="x"),
        B.public(crv="P-999", kid="x"),
        B.public(x="!", kid="x"),
        B.public(x=1, kid="x"),
        B.public(kid=1),
        B.public(kid=None),
        {"kid": "x"},
        {},
    ],
)
def test_keys_that_do_not_count(other: dict[str, Any]) -> None:
    """Secrets, keys for other purposes, unknown kinds and nonsense are left out; the others count."""
    assert list(usable(document(other, A.public()))) == ["a"]
    with pytest.raises(UnusableError, match="no public key"):
        usable(document(other))


async def test_a_weak_key(desk: Desk) -> None:
    """RSA of 1024 bits: listed, and refused."""
    weak = Signer("weak", rsa.generate_private_key(65537, 1024), "RS256")  # noqa: S505 - it is refused
    desk.provider.publish(A, weak)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        value = weak.token()
    assert await desk.ask(value) == "unauthorized"


# --- at the door -------------------------------------------------------------------------------------------


async def test_the_door_stays_open_for_the_platform(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness, desk: Desk
) -> None:
    """While the provider is down, users get 503 with `Retry-After`; the platform's token needs no provider."""
    desk.provider.says = (500, b"")
    options = ApiOptions(version="1", tokens=("platform-token",))
    api = await aiohttp_client(make_app(engine, readiness, options, user_tokens=desk._tokens))
    async with api.get(f"{SESSIONS}/user/ada", headers=bearer(A.token())) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        assert (await answer.json())["code"] == "keys_unavailable"
    async with api.get(f"{SESSIONS}/user/ada", headers=bearer("platform-token")) as answer:
        assert answer.status == 404
