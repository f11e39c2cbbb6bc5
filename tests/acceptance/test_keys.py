"""A POST with a key, the process killed at any moment: the client tries again, and there is one session."""

import asyncio
import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import aiohttp
import pytest
from processes import DEADLINE_SECONDS, SESSION, Process, lab_body, world

ROUNDS = 6
LONGEST_SECONDS = 0.02  # a create takes some milliseconds
KEY = {"Idempotency-Key": "a-key"}


async def post(http: aiohttp.ClientSession, service: Process, user: str) -> tuple[int, str | None, bytes]:
    """Status, whether it says that it was answered before, and the body."""
    async with http.post(service.url + SESSION, json=lab_body(user), headers=KEY) as answer:
        return answer.status, answer.headers.get("Idempotency-Replayed"), await answer.read()


@pytest.mark.slow
async def test_one_session_of_one_key_whenever_it_is_killed(tmp_path: Path) -> None:
    """Whether the first answer was heard or lost; what was heard is answered again to the byte."""
    rng = random.Random(1)  # noqa: S311 - repeatable on purpose
    async with world(tmp_path) as (service, client, _), aiohttp.ClientSession() as http:
        for number in range(ROUNDS):
            user = f"u{number}"
            first = asyncio.ensure_future(post(http, service, user))
            await asyncio.wait([first], timeout=rng.uniform(0, LONGEST_SECONDS))
            await service.restart()
            heard = None
            with suppress(aiohttp.ClientError):
                heard = await asyncio.wait_for(first, DEADLINE_SECONDS)
            again = await post(http, service, user)
            assert again[0] == 201
            assert heard is None or again == (201, "true", heard[2])
            assert await post(http, service, user) == (201, "true", again[2])
            assert (await client.delete(user))[0] == 200
            assert await post(http, service, user) == (201, "true", again[2])
            assert await client.gone(user)
    with closing(sqlite3.connect(tmp_path / "data" / "labsessions.db")) as database:
        assert database.execute("SELECT count(*) FROM session_history").fetchall() == [(ROUNDS,)]
