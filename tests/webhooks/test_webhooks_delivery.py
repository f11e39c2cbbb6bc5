"""Each event comes to each endpoint: in order, at least once, by its own actor – whatever fails on the way."""

import asyncio
import random
from itertools import pairwise

import pytest
from actor_kit import virtual
from structlog.testing import capture_logs
from webhook_kit import BUSY, DAY_MS, GONE, NO, Receivers, World, endpoint

from actors.errors import ActorError
from actors.storage import Lane
from actors.testing import EPOCH_MS, MemoryDisk, ProcessDiedError
from labsessions.webhooks import lines
from labsessions.webhooks.messages import TYPES
from labsessions.webhooks.source import PAGE
from labsessions.webhooks.standing import (
    FIRST_RETRY_MS,
    JITTER,
    LONGEST_RETRY_AFTER_MS,
    STORE_RETRY_MS,
    Failure,
)

MADE, GONE_BY_HAND = "session.created", '{"reason": "deleted"}'


@virtual
async def test_what_is_committed_is_sent_at_once_and_in_order() -> None:
    """Only the types that the endpoint wants; then nothing is armed, and nothing is read until more is committed."""
    async with World(endpoint()) as world:
        await world.happen(MADE, "session.updated", "session.expiring")
        await world.happen("session.ended", data=GONE_BY_HAND)
        await asyncio.sleep(1)
        assert [message.type for message in world.receivers.accepted] == [
            *(MADE, "session.expiring", "session.deleted"),
        ]
        assert world.receivers.numbers() == [1, 3, 4]
        assert (world.standing().cursor, world.alarm()) == (4, None)
        reads = world.source.reads
        await asyncio.sleep(3600)
        assert world.source.reads == reads


@virtual
async def test_while_an_attempt_is_under_way_its_alarm_is_armed_among_the_notices() -> None:
    """Should its result be lost, the alarm repeats it; in this lane it needs no slot, no rate and no breaker."""
    async with World(endpoint(timeout_seconds=10)) as world:
        world.receivers.seconds = 5
        await world.happen(MADE)
        await asyncio.sleep(1)
        alarm = world.alarm()
        assert alarm is not None
        assert (alarm.lane, (alarm.due_ms - EPOCH_MS) // 10) == (Lane.NOTICE, 4_000)
        await asyncio.sleep(5)
        assert world.alarm() is None


@pytest.mark.parametrize("ms", range(900, 3300, 100))
def test_what_comes_during_an_attempt_is_not_forgotten(ms: int) -> None:
    """Whether it is just reading, or sending, or about to rest: nobody says it again."""

    @virtual
    async def story() -> None:
        async with World(endpoint()) as world:
            await asyncio.sleep(1)
            world.source.seconds = 1
            world.receivers.seconds = 0.15
            await world.happen(MADE)
            await asyncio.sleep(ms / 1000)
            await world.happen(MADE)
            await asyncio.sleep(10)
            assert world.receivers.numbers() == [1, 2]
            assert world.alarm() is None

    story()


@pytest.mark.parametrize("many", [PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_more_than_a_page(many: int) -> None:
    """One page after the other, until none is left."""

    @virtual
    async def story() -> None:
        async with World(endpoint()) as world:
            await world.happen(*[MADE] * many)
            await asyncio.sleep(60)
            assert world.receivers.numbers() == list(range(1, many + 1))
            assert world.standing().cursor == many

    story()


@virtual
async def test_slow_receivers_have_their_cursor_stored_now_and_then() -> None:
    """A crash repeats a second's worth, not a page's."""
    async with World(endpoint()) as world:
        world.receivers.seconds = 0.4
        await world.happen(*[MADE] * 20)
        await asyncio.sleep(5)
        assert 0 <= len(world.receivers.accepted) - world.standing().cursor <= 3


@virtual
async def test_a_new_endpoint_begins_now_or_with_the_oldest_event() -> None:
    """As it says; at the next start both go on where they are."""
    disk, receivers = MemoryDisk(), Receivers()
    both = (endpoint("now"), endpoint("all", from_beginning=True))
    async with World(disk=disk) as world:
        await world.happen(MADE, MADE, MADE)
        await world.prune(1)
    async with World(*both, disk=disk, receivers=receivers) as world:
        await world.happen(MADE)
        await asyncio.sleep(1)
        assert world.standing("all").lost == 0
    assert sorted((name, told.seq) for _, name, told in receivers.calls) == [
        ("all", 2),
        ("all", 3),
        ("all", 4),
        ("now", 4),
    ]
    async with World(*both, disk=disk, receivers=receivers) as world:
        await world.happen(MADE)
        await asyncio.sleep(1)
    assert sorted((name, told.seq) for _, name, told in receivers.calls[4:]) == [("all", 5), ("now", 5)]


@virtual
async def test_a_crash_between_delivery_and_cursor_doubles_with_the_same_id() -> None:
    """The next process sends the same again – id and body –, so that a receiver can tell."""
    disk, receivers = MemoryDisk(), Receivers()
    first = World(endpoint(), disk=disk, receivers=receivers)
    async with first:
        await asyncio.sleep(1)
        await first.happen(MADE, "session.stuck")
        first.store.die_before(2)  # the first commit arms the alarm, the second one would move the cursor
        await asyncio.sleep(1)
        assert receivers.numbers() == [1, 2]
    async with World(endpoint(), disk=disk, receivers=receivers) as second:
        await asyncio.sleep(1)
        assert second.standing().cursor == 2
    assert receivers.accepted[2:] == receivers.accepted[:2]


@virtual
async def test_what_was_committed_without_a_word_is_sent_by_the_next_process() -> None:
    """The process died before the endpoint was told."""
    disk, receivers = MemoryDisk(), Receivers()
    async with World(endpoint(), disk=disk, receivers=receivers) as world:
        world.webhooks._stopped = True
        await world.happen(MADE)
    async with World(endpoint(), disk=disk, receivers=receivers):
        await asyncio.sleep(1)
    assert receivers.numbers() == [1]


@virtual
async def test_after_a_failure_nothing_overtakes() -> None:
    """The same message comes again after the wait, and all others wait behind it."""
    async with World(endpoint()) as world:
        world.receivers.script = [BUSY]
        await world.happen(MADE, MADE)
        await asyncio.sleep(1)
        await world.happen(MADE)
        await asyncio.sleep(FIRST_RETRY_MS / 1000 * (1 - JITTER) - 1.1)
        assert [told.seq for _, _, told in world.receivers.calls] == [1]
        shown = await world.shown()
        assert (shown["state"], shown["attempts"], shown["last_error"], shown["lag"]) == ("retrying", 1, "HTTP 503", 3)
        await asyncio.sleep(FIRST_RETRY_MS / 1000)
        assert [told.seq for _, _, told in world.receivers.calls] == [1, 1, 2, 3]
        assert world.receivers.calls[0][2] == world.receivers.calls[1][2]
        shown = await world.shown()
        assert (shown["state"], shown["attempts"], shown["last_error"], shown["lag"]) == ("active", 0, None, 0)


@virtual
async def test_the_waits_grow_to_hours() -> None:
    """Each is as the one before times four, less up to a fifth; none is above three hours."""
    async with World(endpoint(give_up_ms=10 * DAY_MS)) as world:
        world.receivers.usual = BUSY
        await world.happen(MADE)
        await asyncio.sleep(86_400)
        calls = [at for at, _, _ in world.receivers.calls]
    waits = [(after - before) / 1000 for before, after in pairwise(calls)]
    for wait, usual in zip(waits, [5, 20, 80, 320, 1280, 5120, *[10_800] * 20], strict=False):
        assert usual * (1 - JITTER) <= wait <= usual + 0.1
    assert len(waits) > 8
    assert len({round(wait) for wait in waits[6:]}) > 1  # not all alike


@pytest.mark.parametrize(
    ("asked_ms", "waits_ms"),
    [(1, 0), (7_200_000, 7_200_000), (LONGEST_RETRY_AFTER_MS + 1, LONGEST_RETRY_AFTER_MS)],
)
def test_retry_after_is_heeded(asked_ms: int, waits_ms: int) -> None:
    """Not earlier than the endpoint asks, within a day; a shorter time than usual doesn't hasten us."""

    @virtual
    async def story() -> None:
        async with World(endpoint(give_up_ms=10 * DAY_MS)) as world:
            world.receivers.script = [Failure("HTTP 429", absent=True, retry_after_ms=asked_ms)]
            await world.happen(MADE)
            await asyncio.sleep(2 * 86_400)
            (first, _, _), (second, _, _) = world.receivers.calls
            assert max(waits_ms, FIRST_RETRY_MS * (1 - JITTER)) <= second - first <= max(waits_ms, FIRST_RETRY_MS) + 20

    story()


@virtual
async def test_a_retry_keeps_its_time_over_a_restart() -> None:
    """A process that starts often doesn't call more often."""
    disk, receivers = MemoryDisk(), Receivers()
    receivers.script = [BUSY, BUSY, BUSY, BUSY]
    async with World(endpoint(), disk=disk, receivers=receivers) as world:
        await world.happen(MADE)
        await asyncio.sleep(200)  # three failures; the next is after 320 s
        assert len(receivers.calls) == 4
    async with World(endpoint(), disk=disk, receivers=receivers) as world:
        await asyncio.sleep(30)
        assert len(receivers.calls) == 4
        await asyncio.sleep(1000)
    assert receivers.numbers() == [1]


@virtual
async def test_gone_means_never_again() -> None:
    """After a 410 there is no call and no alarm, over restarts; an operator's word has it go on where it stopped."""
    disk, receivers = MemoryDisk(), Receivers()
    receivers.script = [None, GONE]
    async with World(endpoint(), disk=disk, receivers=receivers) as world:
        with capture_logs() as logs:
            await world.happen(MADE, MADE)
            await asyncio.sleep(1)
        assert [line["event"] for line in logs if line["log_level"] == "error"] == [lines.DISABLED]
        assert (await world.shown())["state"] == "disabled"
        assert await world.webhooks.problems() == ["the webhook ops is disabled: its endpoint wants no more (HTTP 410)"]
    with capture_logs() as logs:
        async with World(endpoint(), disk=disk, receivers=receivers, since_ms=DAY_MS) as world:
            await world.happen(MADE)
            await asyncio.sleep(86_400)
            assert (len(receivers.calls), world.alarm()) == (2, None)
            await world.webhooks.enable("ops")
            await asyncio.sleep(1)
            assert (await world.shown())["state"] == "active"
    assert receivers.numbers() == [1, 2, 3]
    assert [line["event"] for line in logs] == [lines.DISABLED, lines.ENABLED]


@virtual
async def test_a_message_that_is_never_accepted_becomes_a_dead_letter() -> None:
    """Not before its time; it is stored with what was wrong, and those behind it come through."""
    async with World(endpoint(give_up_ms=DAY_MS)) as world:
        world.receivers.refuses = {1}
        with capture_logs() as logs:
            await world.happen(MADE, "session.stuck")
            await asyncio.sleep(86_399)
            assert world.receivers.numbers() == []
            assert world.letters() == []
            await asyncio.sleep(3 * 3600)
            assert world.receivers.numbers() == [2]
        (letter,) = world.letters()
        assert (letter["endpoint"], letter["seq"], letter["type"]) == ("ops", 1, MADE)
        assert (letter["last_error"], letter["attempts"]) == ("HTTP 400", len(world.receivers.calls) - 1)
        assert letter["payload"] == world.receivers.calls[0][2].body
        assert letter["webhook_id"] == world.receivers.calls[0][2].id
        assert [line["seq"] for line in logs if line["event"] == lines.GIVEN_UP] == [1]
        assert await world.webhooks.problems() == [
            "the webhook ops has dead letters: 1; replay them once its endpoint takes them"
        ]


@virtual
async def test_calls_are_counted_by_what_has_become_of_them() -> None:
    """For metrics: since the start of the process, by endpoint."""
    async with World(endpoint(give_up_ms=60_000), endpoint("other")) as world:
        assert world.webhooks.tallies["ops"] == {"delivered": 0, "failed": 0, "given_up": 0}
        world.receivers.refuses = {2}
        await world.happen(MADE, MADE, MADE)
        await asyncio.sleep(3600)
        calls = [told.seq for _, name, told in world.receivers.calls if name == "ops"]
        failed = calls.count(2)
        assert world.webhooks.tallies["ops"] == {"delivered": 2, "failed": failed, "given_up": 1}
        world.receivers.refuses = set()
        await world.webhooks.replay("ops", None, dead_letters=True)
        await asyncio.sleep(1)
        assert world.webhooks.tallies["ops"] == {"delivered": 3, "failed": failed, "given_up": 1}


@virtual
async def test_each_message_has_the_whole_time() -> None:
    """An endpoint that is down for five days costs no more than three dead letters of two days each."""
    async with World(endpoint()) as world:
        world.receivers.usual = BUSY
        await world.happen(*[MADE] * 10)
        await asyncio.sleep(5 * 86_400)
        world.receivers.usual = None
        await asyncio.sleep(86_400)
        dead = [letter["seq"] for letter in world.letters()]
        assert dead == [1, 2]
        assert world.receivers.numbers() == list(range(3, 11))


@virtual
async def test_events_that_were_pruned_unsent_are_lost_but_not_in_silence() -> None:
    """An error says how many, the endpoint shows it, and it goes on with the oldest that is left."""
    async with World(endpoint()) as world:
        world.receivers.script = [GONE]
        await world.happen(*[MADE] * 5)
        await asyncio.sleep(1)
        await world.prune(3)
        with capture_logs() as logs:
            await world.webhooks.enable("ops")
            await asyncio.sleep(1)
        assert world.receivers.numbers() == [4, 5]
        assert [(line["events"], line["after"]) for line in logs if line["event"] == lines.LOST] == [(3, 0)]
        assert (await world.shown())["lost"] == 3


@virtual
async def test_all_were_pruned() -> None:
    """Likewise where nothing is left; what comes then is sent."""
    async with World(endpoint()) as world:
        world.receivers.script = [GONE]
        await world.happen(*[MADE] * 5)
        await asyncio.sleep(1)
        await world.prune(5)
        await world.webhooks.enable("ops")
        await asyncio.sleep(1)
        assert (await world.shown())["lost"] == 5
        await world.happen(MADE)
        await asyncio.sleep(1)
        assert world.receivers.numbers() == [6]


@virtual
async def test_an_endpoint_that_was_taken_out_is_never_woken_again() -> None:
    """Its alarm rings once more and is cleared. Put back, it goes on where it stopped."""
    disk, receivers = MemoryDisk(), Receivers()
    receivers.usual = BUSY
    async with World(endpoint(), disk=disk, receivers=receivers) as world:
        await world.happen(MADE)
        await asyncio.sleep(1)
        assert world.alarm() is not None
    with capture_logs() as logs:
        async with World(disk=disk, receivers=receivers, since_ms=DAY_MS) as world:
            await asyncio.sleep(1)
            assert (world.alarm(), world.standing().cursor) == (None, 0)
            assert await world.webhooks.endpoints() == []
    assert [(line["event"], line["endpoint"]) for line in logs] == [(lines.REMOVED, "ops")]
    receivers.usual = None
    async with World(endpoint(), disk=disk, receivers=receivers, since_ms=2 * DAY_MS) as world:
        await world.webhooks.enable("ops")
        await asyncio.sleep(1)
    assert receivers.numbers() == [1]


@virtual
async def test_an_attempt_that_never_ends_is_repeated() -> None:
    """A bug of a library may swallow a result; the alarm doesn't know of it."""
    async with World(endpoint(timeout_seconds=10)) as world:
        world.receivers.seconds = 1e6
        await world.happen(MADE)
        await asyncio.sleep(39)
        assert len(world.receivers.calls) == 1
        world.receivers.seconds = 0.01
        await asyncio.sleep(2)
        assert world.receivers.numbers() == [1]


@virtual
async def test_a_store_that_cannot_be_read_is_not_the_endpoints_fault() -> None:
    """It is tried again soon, and counts as no attempt."""
    async with World(endpoint()) as world:
        world.source.broken = True
        await world.happen(MADE)
        await asyncio.sleep(STORE_RETRY_MS / 1000 - 0.1)
        assert world.standing().failures == 0
        world.source.broken = False
        await asyncio.sleep(0.2)
        assert world.receivers.numbers() == [1]


@pytest.mark.parametrize("commit", [1, 2, 3])
def test_a_commit_that_fails_loses_nothing(commit: int) -> None:
    """Neither that of the arming, nor that of the cursor, nor that of the rest."""

    @virtual
    async def story() -> None:
        async with World(endpoint()) as world:
            await asyncio.sleep(1)
            world.store.stumbles = commit + 1  # the first is the event's own
            await world.happen(MADE)
            await asyncio.sleep(120)
            assert world.store.stumbles <= 0
            assert set(world.receivers.numbers()) == {1}
            await world.happen(MADE)
            await asyncio.sleep(120)
            assert set(world.receivers.numbers()) == {1, 2}

    story()


@virtual
async def test_one_endpoints_trouble_is_not_anothers() -> None:
    """One hangs, one fails, the third has everything at once."""
    hangs, fails, works = endpoint("hangs", timeout_seconds=60), endpoint("fails"), endpoint("works")

    class Some(Receivers):
        async def send(self, endpoint: object, message: object) -> Failure | None:
            if endpoint is hangs:
                await asyncio.sleep(60)
                return BUSY
            return BUSY if endpoint is fails else await super().send(endpoint, message)  # type: ignore[arg-type]

    async with World(hangs, fails, works, receivers=Some()) as world:
        for _ in range(20):
            await world.happen(MADE)
        await asyncio.sleep(2)
        assert world.receivers.numbers() == list(range(1, 21))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_all_events_come_in_order(seed: int) -> None:
    """Chance commits events, answers, kills the process; in the end each was accepted, the first time in order."""
    rng = random.Random(seed)  # noqa: S311 - a story, no secret
    disk, receivers = MemoryDisk(), Receivers()
    elapsed = 0.0
    died: list[bool] = []

    async def life() -> None:
        nonlocal elapsed
        began = asyncio.get_running_loop().time()
        lifetime = rng.uniform(5, 400)
        world = World(
            endpoint(events=frozenset(TYPES), give_up_ms=100 * DAY_MS),
            disk=disk,
            since_ms=round(elapsed * 1000),
            receivers=receivers,
            idle_seconds=rng.choice([0, 0.05, 10]),
        )
        try:
            async with world:
                if rng.random() < 0.7:
                    rng.choice([world.store.die_before, world.store.die_after])(rng.randint(2, 60))
                while asyncio.get_running_loop().time() - began < lifetime and not world.store.dead:
                    receivers.usual = rng.choice([None, None, None, BUSY, NO])
                    receivers.seconds = rng.choice([0, 0.01, 0.3])
                    await world.happen(*[MADE] * rng.randint(1, 5))
                    await asyncio.sleep(rng.choice([0, 0.001, 0.02, 1, 30]))
        except (ProcessDiedError, ActorError):
            died.append(world.store.dead)
        elapsed += asyncio.get_running_loop().time() - began

    for _ in range(6):
        virtual(life)()

    @virtual
    async def last() -> None:
        receivers.usual = None
        async with World(
            endpoint(events=frozenset(TYPES)), disk=disk, since_ms=round(elapsed * 1000), receivers=receivers
        ) as world:
            await asyncio.sleep(4 * 3600)
            assert world.standing().cursor == disk.numbers["session_events"]
            assert world.alarm() is None

    last()
    assert all(died)  # nothing else has ended a life early
    firsts = list(dict.fromkeys(receivers.numbers()))
    assert firsts == list(range(1, disk.numbers["session_events"] + 1))
    assert len(firsts) > 10
    ids = {
        message.seq: {each.id for each in receivers.accepted if each.seq == message.seq}
        for message in receivers.accepted
    }
    assert all(len(each) == 1 for each in ids.values())
