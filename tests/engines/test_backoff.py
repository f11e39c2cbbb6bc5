"""A wake-up that cannot be delivered comes again soon, where the service tries again soon."""

from pathlib import Path

import pytest
from builders import User
from data_files import data_with, sql

from labsessions.settings import Cleanup
from labsessions.testing import running


@pytest.mark.parametrize(("interval_seconds", "deferrals"), [(4, 17), (4000, 6)])
def test_the_back_off_is_never_longer_than_the_retry_interval(
    tmp_path: Path, interval_seconds: float, deferrals: int
) -> None:
    """In a minute: after 0, 1, 3, 7 seconds, and then every 4; with a long interval after 15 and 31."""
    database = data_with(tmp_path, [User().create(user_id="damaged")])
    sql(database, "UPDATE actor_cells SET cell = X'00'")
    with running(tmp_path, cleanup=Cleanup(retry_interval_seconds=interval_seconds)) as service:
        service.advance(seconds=60)
        assert service.calls() == []
    assert sql(database, "SELECT deferrals FROM actor_cells") == [(deferrals,)]
