"""The crash test as part of the suite: the real process, killed again and again, keeps every promise."""

from pathlib import Path

import pytest
from crash_storm import Outcome, storm


def _told(outcome: Outcome) -> str:
    return "\n\n".join([f"seed {outcome.seed}", *map(str, outcome.violations)])


async def test_some_seconds_of_kills(tmp_path: Path) -> None:
    """What was acknowledged holds over a few kills, with two dozen users."""
    outcome = await storm(tmp_path, seed=1, seconds=4, users=24)
    assert not outcome.violations, _told(outcome)
    assert outcome.kills > 0
    assert outcome.counts["sessions"] > 0
    assert outcome.counts["VMs confirmed"] > 0


@pytest.mark.slow
async def test_half_a_minute_of_kills(tmp_path: Path) -> None:
    """The same for longer, with more users."""
    outcome = await storm(tmp_path, seed=2, seconds=30, users=40)
    assert not outcome.violations, _told(outcome)
    assert outcome.counts["answers lost"] > 0
