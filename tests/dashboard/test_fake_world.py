"""The made-up world is what the tests in the browser take it for."""

from fake_world import HOUR, world


def test_the_world_is_as_large_as_asked() -> None:
    """And of a thousand sessions some are overdue, some stuck, all by the seed."""
    first, again = world(1000), world(1000)
    assert len(first.sessions) == 1000
    assert list(first.sessions) == list(again.sessions)
    assert len(list(first.overdue())) == 8
    assert 8 > sum(each["status"] == "stuck" for each in first.sessions.values()) > 0
    assert all(each["expires_ms"] > first.now_ms() - 2 * HOUR for each in first.sessions.values())
