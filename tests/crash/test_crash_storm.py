"""The crash test as part of the suite: the real process, killed again and again, keeps every promise."""

from pathlib import Path

import pytest
from crash_storm import Outcome, storm


def _told(outcome: Outcome) -> str:
    return "\n\n".join([f"seed {outcome.seed}", *map(str, outcome.violations)])


@pytest.mark.slow
async def test_half_a_minute_of_kills(tmp_path: Path) -> None:
    """What was acknowledged holds over some dozen kills."""
    outcome = await storm(tmp_path, seed=2, seconds=30, users=40)
    assert not outcome.violations, _told(outcome)
    assert outcome.kills > 0
    assert outcome.counts["sessions"] > 0
    assert outcome.counts["VMs confirmed"] > 0
    assert outcome.counts["answers lost"] > 0
