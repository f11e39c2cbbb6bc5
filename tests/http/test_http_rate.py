"""The rate limit: what it lets pass, what it refuses, what it remembers."""

import pytest
from http_driven import SESSIONS, Api, DrivenReadiness, DrivenSessions
from hypothesis import given
from hypothesis import strategies as st
from identity_provider import bearer, shared_key_tokens, token
from pytest_aiohttp import AiohttpClient
from strategies import seeded

from labsessions.http import ApiOptions, make_app
from labsessions.http.rate import RateLimit

SECOND = 1_000_000_000


class Bench:
    """A limit whose clock the test sets."""

    def __init__(self, per_second: float, burst: int, max_callers: int = 10) -> None:
        self.now_ns = 5 * SECOND
        self._limit = RateLimit(per_second, burst, lambda: self.now_ns, max_callers)

    def take(self, caller: str = "ada") -> float:
        """Ask for one."""
        return self._limit.take(caller)


def test_a_burst_passes_at_once_and_no_more() -> None:
    """As many as the burst, then none; what is refused takes nothing."""
    bench = Bench(2, 3)
    assert [bench.take() for _ in range(6)] == [0, 0, 0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(("after_ns", "wait_s"), [(-1, 1e-9), (0, 0), (1, 0)])
def test_the_next_passes_when_it_was_promised(after_ns: int, wait_s: float) -> None:
    """Not a nanosecond before, at it, and after it."""
    bench = Bench(4, 1)
    assert bench.take() == 0
    assert bench.take() == 0.25
    bench.now_ns += SECOND // 4 + after_ns
    assert bench.take() == wait_s


def test_a_pause_fills_the_burst_and_not_more() -> None:
    """However long it was."""
    bench = Bench(2, 3)
    for _ in range(3):
        bench.take()
    bench.now_ns += 3600 * SECOND
    assert [bench.take() for _ in range(4)] == [0, 0, 0, 0.5]


def test_callers_do_not_share() -> None:
    """One that is refused leaves the others theirs."""
    bench = Bench(1, 1)
    assert bench.take("ada") == 0
    assert bench.take("ada") > 0
    assert bench.take("bob") == 0


def test_of_too_many_callers_the_most_silent_one_is_forgotten() -> None:
    """The memory has a bound; who asks, even in vain, is not the most silent."""
    bench = Bench(1, 1, max_callers=2)
    assert [bench.take(caller) for caller in ("ada", "bob")] == [0, 0]
    assert bench.take("ada") > 0
    assert bench.take("eve") == 0  # bob makes room
    assert bench.take("ada") > 0
    assert bench.take("bob") == 0
    assert len(bench._limit._full_at_ns) == 2


@seeded
@given(
    per_second=st.integers(1, 1000),
    burst=st.integers(1, 20),
    pauses_ms=st.lists(st.integers(0, 500), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_and_the_burst(per_second: int, burst: int, pauses_ms: list[int]) -> None:
    """In any time at all: what passed is at most the burst and what the rate allows in it; a kept promise passes."""
    bench = Bench(per_second, burst)
    passed: list[int] = []
    for pause_ms in pauses_ms:
        bench.now_ns += pause_ms * 1_000_000
        wait_s = bench.take()
        if wait_s:
            bench.now_ns += round(wait_s * SECOND)
            assert bench.take() == 0
        passed.append(bench.now_ns)
    interval_ns = round(SECOND / per_second)
    for first, begin_ns in enumerate(passed):
        for last in range(first + burst, len(passed)):
            assert last - first < burst + (passed[last] - begin_ns) / interval_ns + 1e-9


# --- at the door ---------------------------------------------------------------------------------------


@pytest.fixture
async def api(aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness) -> Api:
    """A door that lets two requests of each caller pass, and the next one in a hundred seconds."""
    options = ApiOptions(
        version="1", tokens=("old-token", "new-token"), admin_tokens=("admin",), rate_per_second=0.01, rate_burst=2
    )
    return await aiohttp_client(make_app(engine, readiness, options, user_tokens=shared_key_tokens()))


async def status(api: Api, credential: str, path: str = f"{SESSIONS}/user/ada") -> int:
    """Of the answer."""
    async with api.get(path, headers=bearer(credential)) as answer:
        return answer.status


async def test_each_credential_has_its_own_limit(api: Api) -> None:
    """The platform one for all its tokens, operators one, each user one – for all tokens of this user."""
    assert [await status(api, each) for each in ("old-token", "new-token", "old-token")] == [404, 404, 429]
    assert [await status(api, "admin") for _ in range(3)] == [404, 404, 429]
    assert [await status(api, token(iat=n)) for n in range(3)] == [404, 404, 429]
    assert await status(api, token("bob")) == 403  # another's session; it counts for bob
    assert await status(api, token("bob"), f"{SESSIONS}/user/bob") == 404
    assert await status(api, token("bob"), f"{SESSIONS}/user/bob") == 429


async def test_the_refusal(api: Api, engine: DrivenSessions) -> None:
    """429 in the envelope; `Retry-After` in whole seconds, rounded up; the engine isn't asked."""
    for _ in range(2):
        await status(api, "admin")
    asked = len(engine.asked)
    async with api.delete(f"{SESSIONS}/ada", headers=bearer("admin")) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "100"
        body = await answer.json()
    assert (body["code"], body["error"]) == ("too_many_requests", "Too many requests")
    assert len(engine.asked) == asked


async def test_what_needs_no_credential_has_no_limit(api: Api) -> None:
    """Whoever watches the service, and preflights."""
    for _ in range(5):
        assert await status(api, "admin", "/health/ready") == 200
        async with api.options(SESSIONS) as answer:
            assert answer.status == 204


async def test_who_is_nobody_is_told_so_and_not_counted(api: Api) -> None:
    """401 stays 401, and costs no caller anything."""
    assert [await status(api, "guess") for _ in range(4)] == [401] * 4
    assert await status(api, "old-token") == 404


async def test_without_credentials_all_share_one_limit(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness
) -> None:
    """There is but one caller then."""
    options = ApiOptions(version="1", rate_per_second=0.01, rate_burst=2)
    api = await aiohttp_client(make_app(engine, readiness, options))
    assert [await status(api, each) for each in ("a", "b", "c")] == [404, 404, 429]


async def test_there_is_no_limit_by_default(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness
) -> None:
    """As many as come."""
    api = await aiohttp_client(make_app(engine, readiness, ApiOptions(version="1")))
    assert {await status(api, "") for _ in range(50)} == {404}
