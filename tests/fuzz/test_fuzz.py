"""Requests that nobody has thought of: the answers are what the description of the API promises."""

from pathlib import Path

import pytest
from fuzz_api import fuzz

SECONDS = 60
# Always the same: what a fresh one may find is for those who look for it, `python tests/fuzz/fuzz_api.py`.
SEED = 1


@pytest.mark.slow
async def test_a_minute_of_requests_by_the_description(tmp_path: Path) -> None:
    """No 5xx, every answer as described, what fits accepted, what doesn't refused."""
    fuzzed = await fuzz(tmp_path, SECONDS, SEED)
    assert fuzzed.status == 0, fuzzed.output
    assert fuzzed.requests > 100
