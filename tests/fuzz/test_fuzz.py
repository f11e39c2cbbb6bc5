"""Requests that nobody has thought of: the answers are what the description of the API promises."""

import random
from pathlib import Path

import pytest
from fuzz_api import fuzz

SECONDS = 60


@pytest.mark.slow
async def test_a_minute_of_requests_by_the_description(tmp_path: Path) -> None:
    """No 5xx, every answer as described, what fits accepted, what doesn't refused; the output names the seed."""
    fuzzed = await fuzz(tmp_path, SECONDS, random.randrange(10**9))  # noqa: S311
    assert fuzzed.status == 0, fuzzed.output
    assert fuzzed.requests > 100
