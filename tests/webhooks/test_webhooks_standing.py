"""What an endpoint's cell holds, and the numbers of its waits."""

import pytest

from labsessions.webhooks.messages import Message
from labsessions.webhooks.standing import (
    FIRST_RETRY_MS,
    LONGEST_RETRY_MS,
    Carried,
    Failure,
    Standing,
    UnreadableError,
    after,
    decode,
    encode,
)

TOLD = Message(8, "msg_8", "session.created", "2026-01-01T00:00:00.000Z", "{}")
DAY_MS = 86_400_000


def failed(standing: Standing, chance: float = 1.0, now_ms: int = 0) -> Standing:
    """After one more failure of event 8."""
    carried = Carried(7, 7, failed=(TOLD, Failure("HTTP 500")), chance=chance)
    return after(standing, carried, now_ms, give_up_ms=DAY_MS).standing


def test_a_cell_is_read_as_it_was_written() -> None:
    """With all that may be in it; nothing at all is no standing yet."""
    standing = Standing(
        cursor=7, due_ms=1, failures=2, failing_since_ms=3, last_error="no", disabled_ms=4, lost=5, replay_after=6
    )
    assert decode(encode(standing)) == standing
    assert decode(encode(Standing(cursor=0))) == Standing(cursor=0)
    assert decode(None) is None


def test_cells_of_this_release_stay_readable() -> None:
    """The very bytes; a member that a newer release has added is passed over."""
    assert decode(b'{"cursor":7}') == Standing(cursor=7)
    assert decode(b'{"v":1,"cursor":7,"due_ms":9,"new":true}') == Standing(cursor=7, due_ms=9)


@pytest.mark.parametrize("cell", [b"", b"\x00\xff", b"[]", b"{}", b'{"cursor":"7"}', b'{"v":2,"cursor":7}'])
def test_what_is_no_cell_is_refused(cell: bytes) -> None:
    """An endpoint must not begin anew because its state is damaged."""
    with pytest.raises(UnreadableError):
        decode(cell)


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.8), (0.5, 0.9), (1.0, 1.0)])
def test_the_first_wait(chance: float, share: float) -> None:
    """Five seconds, less up to a fifth."""
    assert failed(Standing(cursor=7), chance).due_ms == round(FIRST_RETRY_MS * share)


def test_the_waits_end_at_the_longest() -> None:
    """However often it fails."""
    standing, waits = Standing(cursor=7), []
    for _ in range(9):
        standing = failed(standing)
        waits.append(standing.due_ms)
    assert waits == [5_000, 20_000, 80_000, 320_000, 1_280_000, 5_120_000, *[LONGEST_RETRY_MS] * 3]
    assert failed(Standing(cursor=7, failures=10**6, failing_since_ms=0)).due_ms == LONGEST_RETRY_MS


@pytest.mark.parametrize(("now_ms", "given_up"), [(DAY_MS - 1, False), (DAY_MS, True), (DAY_MS + 1, True)])
def test_when_a_message_is_given_up(now_ms: int, given_up: bool) -> None:  # noqa: FBT001 - pytest's
    """At the end of its time, not a millisecond before; then the next one begins without a past."""
    standing = failed(Standing(cursor=7))
    carried = Carried(7, 7, failed=(TOLD, Failure("HTTP 500")))
    follows = after(standing, carried, now_ms, give_up_ms=DAY_MS)
    assert (follows.given_up, follows.at_once) == (given_up, given_up)
    if given_up:
        assert follows.standing == Standing(cursor=8, due_ms=standing.due_ms)
    else:
        assert (follows.standing.cursor, follows.standing.failures) == (7, 2)


def test_gone_comes_before_giving_up() -> None:
    """The message isn't dead: the endpoint may come back."""
    carried = Carried(7, 7, failed=(TOLD, Failure("HTTP 410", gone=True)))
    follows = after(failed(Standing(cursor=7)), carried, 9 * DAY_MS, give_up_ms=DAY_MS)
    assert (follows.given_up, follows.standing.disabled_ms, follows.standing.cursor) == (False, 9 * DAY_MS, 7)


def test_another_message_that_fails_has_no_past() -> None:
    """What was accepted before it has proved that the endpoint works."""
    old = Standing(cursor=5, failures=9, failing_since_ms=-(10**9), last_error="HTTP 500")
    carried = Carried(5, 7, delivered=2, failed=(TOLD, Failure("HTTP 400")), chance=1)
    now = after(old, carried, 0, give_up_ms=DAY_MS).standing
    assert (now.cursor, now.failures, now.failing_since_ms, now.last_error) == (7, 1, 0, "HTTP 400")
