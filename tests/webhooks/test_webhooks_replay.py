"""An operator's word: dead letters and events are sent once more."""

import asyncio

import pytest
from actor_kit import virtual
from structlog.testing import capture_logs
from webhook_kit import BUSY, DAY_MS, GONE, NO, World, endpoint, put_letter

from labsessions.ports import WebhookRefusedError
from labsessions.webhooks import lines
from labsessions.webhooks.source import PAGE

MADE = "session.created"


@virtual
async def test_dead_letters_are_sent_as_they_were() -> None:
    """Id and body are those that were given up; what is accepted is none any more."""
    async with World(endpoint(give_up_ms=DAY_MS)) as world:
        world.receivers.refuses = {1}
        await world.happen(MADE)
        await asyncio.sleep(2 * 86_400)
        await world.prune(1)
        world.receivers.refuses = set()
        with capture_logs() as logs:
            begun = await world.webhooks.replay("ops", None, dead_letters=True)
            await asyncio.sleep(1)
        assert begun == {"from_seq": None, "events": 0, "dead_letters": 1}
        assert world.receivers.accepted == [world.receivers.calls[0][2]]
        assert world.letters() == []
        assert [(line["event"], line.get("accepted")) for line in logs] == [(lines.REPLAY, None), (lines.REPLAYED, 1)]
        assert world.alarm() is None


@virtual
async def test_those_that_are_refused_again_stay_and_hold_up_nobody() -> None:
    """With one attempt more; each is tried once."""
    async with World(endpoint()) as world:
        for seq in (1, 2, 3):
            put_letter(world.disk, seq)
        world.receivers.script = [NO, None, NO]
        await world.webhooks.replay("ops", None, dead_letters=True)
        await asyncio.sleep(60)
        assert [told.seq for _, _, told in world.receivers.calls] == [1, 2, 3]
        assert [(letter["seq"], letter["attempts"]) for letter in world.letters()] == [(1, 10), (3, 10)]


@virtual
async def test_an_endpoint_that_is_not_there_ends_the_pass() -> None:
    """The others would fare the same; what happens meanwhile is sent as ever."""
    async with World(endpoint()) as world:
        for seq in (1, 2, 3):
            put_letter(world.disk, seq)
        world.receivers.script = [BUSY]
        await world.webhooks.replay("ops", None, dead_letters=True)
        await world.happen(MADE)
        await asyncio.sleep(60)
        assert [letter["seq"] for letter in world.letters()] == [1, 2, 3]
        assert [told.seq for _, _, told in world.receivers.calls] == [1, 1]
        assert world.standing().replay_after is None


@virtual
async def test_gone_in_a_replay_disables_as_ever() -> None:
    """The dead letters stay."""
    async with World(endpoint()) as world:
        put_letter(world.disk, 1)
        world.receivers.script = [GONE]
        await world.webhooks.replay("ops", None, dead_letters=True)
        await asyncio.sleep(3600)
        shown = await world.shown()
        assert (shown["state"], shown["dead_letters"], world.alarm()) == ("disabled", 1, None)


@virtual
async def test_a_pass_goes_on_in_the_next_process() -> None:
    """It is stored how far it is; of two and a half pages none is left."""
    first = World(endpoint())
    async with first:
        await asyncio.sleep(1)
        for seq in range(1, PAGE * 5 // 2 + 1):
            put_letter(first.disk, seq)
        first.store.die_after(2)
        await first.webhooks.replay("ops", None, dead_letters=True)
        await asyncio.sleep(60)
        assert 0 < len(first.letters()) < PAGE * 5 // 2
    async with World(endpoint(), disk=first.disk) as second:
        await asyncio.sleep(60)
        assert second.letters() == []


@virtual
async def test_events_from_a_number_on() -> None:
    """With the ids that they had, and in order; those that are pruned can't be had, and the answer says so."""
    async with World(endpoint()) as world:
        await world.happen(*[MADE] * 5)
        await asyncio.sleep(1)
        await world.prune(2)
        begun = await world.webhooks.replay("ops", 1, dead_letters=False)
        await asyncio.sleep(1)
        assert begun == {"from_seq": 3, "events": 3, "dead_letters": 0}
        assert world.receivers.numbers() == [1, 2, 3, 4, 5, 3, 4, 5]
        assert world.receivers.accepted[5:] == world.receivers.accepted[2:5]
        assert (await world.shown())["lost"] == 0


@pytest.mark.parametrize(("from_seq", "refused"), [(5, False), (6, False), (7, True)])
def test_no_event_is_left_out(from_seq: int, refused: bool) -> None:  # noqa: FBT001 - pytest's
    """From the next one on is no more than "now"; from the one after that would be a gap."""

    @virtual
    async def story() -> None:
        async with World(endpoint()) as world:
            await world.happen(*[MADE] * 5)
            await asyncio.sleep(1)
            if refused:
                with pytest.raises(WebhookRefusedError, match="the next event is 6"):
                    await world.webhooks.replay("ops", from_seq, dead_letters=False)
            else:
                await world.webhooks.replay("ops", from_seq, dead_letters=False)

    story()


@virtual
async def test_a_replay_overtakes_the_attempt_that_is_under_way() -> None:
    """Its late result changes nothing; all come from the number on."""
    async with World(endpoint()) as world:
        await world.happen(MADE, MADE, MADE)
        await asyncio.sleep(1)
        world.receivers.seconds = 5
        await world.happen(MADE)
        await asyncio.sleep(1)
        world.receivers.seconds = 0.01
        await world.webhooks.replay("ops", 2, dead_letters=False)
        await asyncio.sleep(60)
        assert world.receivers.numbers() == [1, 2, 3, 2, 3, 4]
        assert world.standing().cursor == 4


@virtual
async def test_a_result_that_comes_behind_a_replay_changes_nothing() -> None:
    """The attempt ends while the disk keeps the replay waiting: too late to be cancelled, and about another cursor."""
    async with World(endpoint()) as world:
        await world.happen(MADE, MADE, MADE)
        await asyncio.sleep(1)
        world.receivers.seconds = 1
        await world.happen(MADE)
        await asyncio.sleep(0.5)
        world.store.hold()
        replay = asyncio.ensure_future(world.webhooks.replay("ops", 2, dead_letters=False))
        await asyncio.sleep(1)
        world.store.release()
        await replay
        await asyncio.sleep(60)
        assert world.receivers.numbers() == [1, 2, 3, 4, 2, 3, 4]


@virtual
async def test_a_replay_ends_the_wait_for_a_retry() -> None:
    """Whoever asks for it has seen to the endpoint."""
    async with World(endpoint()) as world:
        world.receivers.usual = BUSY
        await world.happen(MADE)
        await asyncio.sleep(7200)
        world.receivers.usual = None
        await world.webhooks.replay("ops", 1, dead_letters=False)
        await asyncio.sleep(1)
        assert world.receivers.numbers() == [1]


@virtual
async def test_a_disabled_endpoint_has_to_be_enabled_first() -> None:
    """Nothing is sent behind its back."""
    async with World(endpoint()) as world:
        world.receivers.script = [GONE]
        await world.happen(MADE)
        await asyncio.sleep(1)
        with pytest.raises(WebhookRefusedError, match="enable it first"):
            await world.webhooks.replay("ops", None, dead_letters=True)
        await asyncio.sleep(3600)
        assert len(world.receivers.calls) == 1


@virtual
async def test_nobody_knows_other_names() -> None:
    """None, for each question that names one."""
    async with World(endpoint()) as world:
        assert await world.webhooks.replay("other", 1, dead_letters=True) is None
        assert await world.webhooks.enable("other") is None
        assert await world.webhooks.dead_letters("other", 0, 10) is None


@virtual
async def test_dead_letters_are_shown_by_the_page() -> None:
    """By number, with the body as an object."""
    async with World(endpoint(), endpoint("other")) as world:
        for seq in (3, 1, 2):
            put_letter(world.disk, seq)
        put_letter(world.disk, 9, "other")
        page = await world.webhooks.dead_letters("ops", 1, 1)
        assert page is not None
        assert [(letter["seq"], letter["payload"]) for letter in page] == [(2, {})]
        assert (await world.shown("other"))["dead_letters"] == 1
