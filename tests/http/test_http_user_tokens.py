"""Which tokens of users hold: each near miss beside one that does."""

import base64
import json
from typing import Any

import jwt
import pytest
from http_driven import SESSIONS, START_MS, Api, DrivenReadiness, DrivenSessions, send_raw
from hypothesis import given
from hypothesis import strategies as st
from identity_provider import (
    AUDIENCE,
    HOUR_S,
    ISSUER,
    NOW_S,
    SECRET,
    Signer,
    bearer,
    claims,
    shared_key_tokens,
    token,
)
from pytest_aiohttp import AiohttpClient
from strategies import seeded

from labsessions import log_lines
from labsessions.http import ApiOptions, make_app
from labsessions.http.errors import RefusedError
from labsessions.http.keys import SharedKey
from labsessions.http.options import JwtOptions
from labsessions.http.user_tokens import LEEWAY_S, JsonWebTokens, shared_user_tokens


async def verdict(value: str, now_ms: int = START_MS) -> str:
    """The user whose token this is, or the code of the refusal with what the log says."""
    tokens = JsonWebTokens(ISSUER, AUDIENCE, SharedKey(SECRET), lambda: now_ms)
    try:
        return f"user {await tokens.user(value)}"
    except RefusedError as refused:
        return f"{refused.problem.code} {refused.detail or ''}".strip()


async def test_a_good_token() -> None:
    """Whose it is."""
    assert await verdict(token("ada")) == "user ada"


@pytest.mark.parametrize(
    ("late_ms", "expected"),
    [
        (-HOUR_S * 1000, "user ada"),
        (-1, "user ada"),
        (0, "user ada"),
        ((LEEWAY_S - 1) * 1000, "user ada"),
        (LEEWAY_S * 1000 - 1, "user ada"),
        (LEEWAY_S * 1000, "token_expired ExpiredSignatureError"),
        (LEEWAY_S * 1000 + 1, "token_expired ExpiredSignatureError"),
        ((LEEWAY_S + 1) * 1000, "token_expired ExpiredSignatureError"),
    ],
)
async def test_the_end(late_ms: int, expected: str) -> None:
    """A token holds until `exp`, and for the leeway after it; not at its end."""
    assert await verdict(token(exp=NOW_S), START_MS + late_ms) == expected


@pytest.mark.parametrize(
    ("early_ms", "expected"),
    [
        (0, "user ada"),
        (LEEWAY_S * 1000, "user ada"),
        (LEEWAY_S * 1000 + 1, "unauthorized ImmatureSignatureError"),
    ],
)
async def test_the_beginning(early_ms: int, expected: str) -> None:
    """`nbf`, where there is one, with the same leeway."""
    assert await verdict(token(nbf=NOW_S), START_MS - early_ms) == expected


@pytest.mark.parametrize(
    "value", [True, "2000000000", [], {}, float("nan"), -1, 0, NOW_S - LEEWAY_S, NOW_S - LEEWAY_S - 0.001]
)
async def test_an_end_that_is_none(value: Any) -> None:
    """No number, or past: never for ever."""
    assert (await verdict(token(exp=value))).startswith(("unauthorized", "token_expired"))


@pytest.mark.parametrize("value", [NOW_S - LEEWAY_S + 0.001, NOW_S + 0.5, 10**400, float("inf")])
async def test_an_end_may_be_any_number(value: float) -> None:
    """With a fraction, as RFC 7519 allows; or far away, if the provider wants it so."""
    assert await verdict(token(exp=value)) == "user ada"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": None}, "MissingRequiredClaimError"),
        ({"sub": None}, "MissingRequiredClaimError"),
        ({"iss": None}, "MissingRequiredClaimError"),
        ({"aud": None}, "MissingRequiredClaimError"),
        ({"iss": ISSUER[:-1]}, "InvalidIssuerError"),
        ({"iss": ISSUER + "/"}, "InvalidIssuerError"),
        ({"iss": ISSUER.upper()}, "InvalidIssuerError"),
        ({"aud": AUDIENCE[:-1]}, "InvalidAudienceError"),
        ({"aud": AUDIENCE + "x"}, "InvalidAudienceError"),
        ({"aud": ["others"]}, "InvalidAudienceError"),
        ({"aud": []}, "MissingRequiredClaimError"),
        ({"aud": {AUDIENCE: 1}}, "InvalidAudienceError"),
        ({"nbf": "0"}, "DecodeError"),
        ({"nbf": float("nan")}, "ImmatureSignatureError"),
        ({"sub": ""}, "InvalidSubjectError"),
        ({"sub": "x" * 513}, "InvalidSubjectError"),
        ({"sub": "a\nb"}, "InvalidSubjectError"),
        ({"sub": "a\x00"}, "InvalidSubjectError"),
        ({"sub": "\ud800"}, "InvalidSubjectError"),
    ],
)
async def test_claims_that_miss(changes: dict[str, Any], why: str) -> None:
    """Each claim left out, and beside what it must be; the log says which."""
    assert await verdict(token(**changes)) == f"unauthorized {why}"


@pytest.mark.parametrize("subject", [7, ["ada"], {"ada": 1}, True])
async def test_a_subject_is_text(subject: object) -> None:
    """A library would not sign it; others may."""
    assert await verdict(signed(claims() | {"sub": subject})) == "unauthorized InvalidSubjectError"


@pytest.mark.parametrize("subject", ["a b", "ü✅", "a/b", "..", "x" * 512, "auth0|5f7c8ec7c33c6c004bbafe82"])
async def test_odd_subjects(subject: str) -> None:
    """Whatever a user id may be."""
    assert await verdict(token(subject)) == f"user {subject}"


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["others", AUDIENCE]])
async def test_audiences(audience: object) -> None:
    """Ours, or ours among others."""
    assert await verdict(token(aud=audience)) == "user ada"


def part(value: object) -> str:
    """A part of a token, as it is encoded."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def signed(payload: object, header: object = None) -> str:
    """Signed with the right secret, whatever is in it."""
    head = part({"alg": "HS256"} if header is None else header)
    body = f"{head}.{part(payload)}"
    signature = jwt.get_algorithm_by_name("HS256").sign(body.encode(), SECRET.encode())
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_another_algorithm_with_the_right_secret(algorithm: str) -> None:
    """One algorithm for one key."""
    other = jwt.encode(claims(), SECRET * 2, algorithm)
    assert await verdict(other) == "unauthorized InvalidAlgorithmError"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", "RS256", "hs256", None])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_a_token_cannot_choose_its_algorithm(name: object, signature: str) -> None:
    """Not none at all, in any spelling."""
    forged = f"{part({'alg': name, 'typ': 'JWT'})}.{part(claims())}.{signature}"
    assert await verdict(forged) == "unauthorized InvalidAlgorithmError"


async def test_signatures() -> None:
    """Of another secret, of another payload, another altogether, and none."""
    good = token()
    head, _, signature = good.split(".")
    others = [
        jwt.encode(claims(), SECRET[:-1] + "X", "HS256"),
        f"{head}.{part(claims('eve'))}.{signature}",
        f"{good.rpartition('.')[0]}.{part('x' * 32)}",
        f"{good.rpartition('.')[0]}.",
    ]
    assert [await verdict(each) for each in others] == ["unauthorized InvalidSignatureError"] * 4


async def test_a_token_signed_with_a_key_of_its_own() -> None:
    """That brings the key along, or says where it is: nobody asks it."""
    signer = Signer("k")
    header = {"kid": "k", "jwk": signer.public(), "jku": "http://evil.test/jwks", "x5u": "http://evil.test/"}
    forged = jwt.encode(claims(), signer.key, "ES256", header)
    assert await verdict(forged) == "unauthorized InvalidAlgorithmError"
    with_ours = signed(claims(), {"alg": "HS256", **header})
    assert await verdict(with_ours) == "user ada"


async def test_what_must_be_understood_and_is_not() -> None:
    """`crit` (RFC 7515, 4.1.11)."""
    assert await verdict(signed(claims(), {"alg": "HS256", "crit": ["exp"], "exp": 1})) == (
        "unauthorized InvalidTokenError"
    )


@pytest.mark.parametrize(
    "junk",
    ["a.b.c", "..", "a", ".", "a.b", "a.b.c.d", "é.é.é", "\udcff.\udcff.\udcff", "eyJ9.eyJ9.", " . . ", "a" * 8000],
)
async def test_junk(junk: str) -> None:
    """A refusal, not a fault."""
    assert (await verdict(junk)).startswith("unauthorized ")


@pytest.mark.parametrize("payload", ["[]", "null", "1", '"x"', "{", "[" * 10_000, '{"exp": ' + "9" * 5000 + "}"])
async def test_junk_that_is_signed(payload: str) -> None:
    """Likewise."""
    assert (await verdict(signed(payload))).startswith("unauthorized ")


@seeded
@given(data=st.data())
async def test_no_changed_token_holds(data: st.DataObject) -> None:
    """Any character of a good token changed, dropped or doubled: refused, and never a fault."""
    good = token()
    at = data.draw(st.integers(0, len(good) - 1))
    character = data.draw(st.sampled_from(["", good[at] * 2, *"aA0-_.=é\n \x00"]))
    changed = good[:at] + character + good[at + 1 :]
    if changed != good:
        assert (await verdict(changed)).startswith("unauthorized ")


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": ""},
        {"audience": ""},
        {"hs256_key": ""},
        {"jwks_url": "https://id.example.test/jwks"},
    ],
)
def test_options_that_would_trust_anybody(wrong: dict[str, str]) -> None:
    """No issuer, no audience, no key, or two: refused. The secret isn't shown."""
    good = {"issuer": ISSUER, "audience": AUDIENCE, "hs256_key": SECRET}
    assert SECRET not in repr(JwtOptions(**good))
    with pytest.raises(ValueError, match="issuer"):
        JwtOptions(**good | wrong)


async def test_options_make_the_check() -> None:
    """As the composition root asks for it."""
    options = JwtOptions(issuer=ISSUER, audience=AUDIENCE, hs256_key=SECRET)
    assert await shared_user_tokens(options, lambda: START_MS).user(token("ada")) == "ada"


# --- at the door -----------------------------------------------------------------------------------------


@pytest.fixture
async def api(aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness) -> Api:
    """A door for the platform and for users."""
    options = ApiOptions(version="1", tokens=("platform-token",))
    return await aiohttp_client(make_app(engine, readiness, options, user_tokens=shared_key_tokens()))


async def test_an_expired_token_has_a_code_of_its_own(api: Api) -> None:
    """The contract's words; by the code and the header a front end knows to fetch a fresh one."""
    async with api.get(f"{SESSIONS}/user/ada", headers=bearer(token(exp=NOW_S - HOUR_S))) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer error="invalid_token", error_description="The token has expired"'
        )
        body = await answer.json()
    assert (body["error"], body["code"]) == ("Invalid or missing authentication token", "token_expired")


async def test_a_forged_token_that_has_expired_is_a_forged_one(api: Api) -> None:
    """Whoever cannot sign learns nothing."""
    forged = jwt.encode(claims(exp=1), SECRET[::-1], "HS256")
    async with api.get(f"{SESSIONS}/user/ada", headers=bearer(forged)) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, "unauthorized")


async def test_the_log_says_what_is_wrong(api: Api, log_lines_seen: list[Any]) -> None:
    """The answer doesn't; and no part of the token is in either."""
    refused = token(aud="others")
    async with api.get(f"{SESSIONS}/user/ada", headers=bearer(refused)) as answer:
        said = await answer.text()
    [line] = log_lines_seen
    assert (line["event"], line["status"], line["detail"]) == (log_lines.REFUSED, 401, "InvalidAudienceError")
    assert "udience" not in said
    for secret in refused.split("."):
        assert secret not in said
        assert secret not in str(line)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_the_scheme_in_any_case(api: Api, scheme: str) -> None:
    """As for the other tokens."""
    async with api.get(f"{SESSIONS}/user/ada", headers={"Authorization": f"{scheme} {token()}"}) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("header", ["", "Basic {}", "Token {}", "{}", "Bearer {} {}", "Bearer,{}", "Bearer\u00a0{}"])
async def test_no_bearer(api: Api, header: str) -> None:
    """A good token in any other way is none."""
    async with api.get(f"{SESSIONS}/user/ada", headers={"Authorization": header.replace("{}", token())}) as answer:
        assert answer.status == 401


async def test_raw_bytes(api: Api) -> None:
    """What is no text is no token, and no fault."""
    head = f"GET {SESSIONS}/user/ada HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ".encode()
    assert (await send_raw(api, head + b"\xff.\xfe.\xfd\r\n\r\n"))[0] == 401
