"""Extensions against the wake-up: whichever comes first decides, and what was answered is what happens."""

import asyncio

import pytest
import structlog
from builders import POLICY
from test_engine_lifecycle import HOUR_MS, ScriptedCleaner, World, story

from actors.testing import run_virtual
from labsessions import log_lines as lines
from labsessions.core.messages import ExtendBy, Extended, ExtendUntil, Refusal, Reply
from labsessions.ports import EngineError

FIVE_MS = 300_000
# More turns of the loop than a wake-up takes from its timer to the attempt, so that each of its steps is met.
TURNS = 30


async def at_the_deadline(offset_ms: int, turns: int, count: int) -> tuple[World, list[Reply]]:
    """Ask `count` times for five minutes, so many turns of the loop after an instant beside the deadline."""
    world = World(ScriptedCleaner())
    await world.create(duration=60)
    await asyncio.sleep((HOUR_MS + offset_ms) / 1000)
    for _ in range(turns):
        await asyncio.sleep(0)
    replies = await asyncio.gather(*(world.engine.ask("user-1", ExtendBy(5)) for _ in range(count)))
    return world, list(replies)


@pytest.mark.parametrize("turns", range(TURNS))
@pytest.mark.parametrize("offset_ms", [-1, 0, 1])
def test_an_extension_is_kept_or_refused(offset_ms: int, turns: int) -> None:
    """A millisecond before the deadline, at it and after it: granted, and no call before the new one; or refused."""

    async def main() -> None:
        world, (reply,) = await at_the_deadline(offset_ms, turns, 1)
        if isinstance(reply, Extended):
            await asyncio.sleep((FIVE_MS - 2) / 1000)
            assert world.cleaner.begun == []
            world.agrees()
            await asyncio.sleep(3)
        else:
            assert reply is Refusal.BEING_CLEANED
            await asyncio.sleep(2)
        assert len(world.cleaner.begun) == 1
        assert await world.show() is None
        (ended,) = world.history
        assert ended["lateness_ms"] == 1000
        await world.runtime.stop(5)

    run_virtual(main())


def test_both_ways_were_seen() -> None:
    """The wake-up is overtaken by an early extension and overtakes a late one: the test above has met both."""

    async def main(turns: int) -> Reply:
        world, (reply,) = await at_the_deadline(0, turns, 1)
        await world.runtime.stop(0)
        return reply

    replies = [run_virtual(main(turns)) for turns in range(TURNS)]
    assert isinstance(replies[0], Extended)
    assert replies[-1] is Refusal.BEING_CLEANED


@pytest.mark.parametrize("offset_ms", [-1, 0, 1])
def test_of_many_at_once_each_is_granted_or_all_that_come_after_are_refused(offset_ms: int) -> None:
    """Twenty tabs: their minutes add up, in the order in which they were heard, and what is granted is kept."""

    async def main() -> None:
        world, replies = await at_the_deadline(offset_ms, 0, 20)
        granted = [reply for reply in replies if isinstance(reply, Extended)]
        assert replies == granted + [Refusal.BEING_CLEANED] * (20 - len(granted))
        session = await world.show()
        assert session is not None
        if granted:
            assert session == granted[-1].session
            assert sum(reply.granted_ms for reply in granted) == session.expires_ms - session.created_ms - HOUR_MS
            assert world.cleaner.begun == []
        await world.runtime.stop(0)

    run_virtual(main())


def test_the_wake_up_moves_with_the_deadline() -> None:
    """Later, earlier and into the past: the cleanup begins at the instant that was answered, or now."""

    async def tell(world: World) -> None:
        session = await world.create(duration=60)
        await world.engine.ask("user-1", ExtendBy(60))
        await asyncio.sleep(1.5 * HOUR_MS / 1000)
        assert world.cleaner.begun == []
        await world.engine.ask("user-1", ExtendUntil(session.created_ms))
        world.agrees()
        await asyncio.sleep(0.01)
        assert len(world.cleaner.begun) == 1
        assert await world.engine.ask("user-1", ExtendBy(5)) is Refusal.BEING_CLEANED

    with structlog.testing.capture_logs() as seen:
        world = story((), tell)
    scheduled = [entry["expires_at"][11:] for entry in seen if entry["event"] == lines.SCHEDULED]
    assert len(scheduled) == len(set(scheduled)) == 3
    assert world.history[0]["lateness_ms"] == 1000


def test_an_extension_is_answered_only_when_it_is_durable() -> None:
    """An error, and the old deadline stands; one that changes nothing needs no write."""

    async def tell(world: World) -> None:
        before = await world.create(duration=60)
        world.store.fail(1)
        with pytest.raises(EngineError, match="not stored"):
            await world.engine.ask("user-1", ExtendBy(5))
        assert await world.show() == before
        commits = world.store.commits
        reply = await world.engine.ask("user-1", ExtendUntil(before.expires_ms))
        assert reply == Extended(before, 0, partial=False)
        assert world.store.commits == commits
        await asyncio.sleep(HOUR_MS / 1000 + 0.5)
        assert [at for at, _ in world.cleaner.begun] == [HOUR_MS]

    story((), tell)


def test_the_engine_tells_the_limits_that_it_decides_by() -> None:
    """What a front door shows and what is decided cannot disagree."""

    async def tell(world: World) -> None:
        assert world.engine.policy == POLICY

    story((), tell)
