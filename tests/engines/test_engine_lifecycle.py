"""The SessionManager under virtual time: the core and the runtime together, with a backend that is scripted."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import structlog
from builders import GENERATION, OTHER_GENERATION, POLICY, lab, worker_nodes

from actors.admission import Limits
from actors.runtime import Runtime
from actors.storage import Lane
from actors.testing import EPOCH_MS, MemoryDisk, MemoryStore, VirtualClock, run_virtual
from labsessions import log_lines as lines
from labsessions.core.messages import AttemptEnded, Clean, Create, Current, Delete, Keyed, Refusal, Show, Update
from labsessions.core.model import LabChanges, Session
from labsessions.engines.embedded import OVERDUE, EmbeddedEngine
from labsessions.ports import EngineError

HOUR_MS = 3_600_000
LIMIT_MS, INTERVAL_MS = POLICY.attempt_limit_ms, POLICY.retry_interval_ms


class ScriptedCleaner:
    """Answers attempts from a script – the error, or None for success – after one virtual second; then succeeds."""

    def __init__(self, *script: str | None) -> None:
        self.script = list(script)
        self.begun: list[tuple[int, Clean]] = []
        self.finished = 0
        self.seconds = 1.0

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        self.begun.append((round(asyncio.get_running_loop().time() * 1000), effect))
        await asyncio.sleep(self.seconds)
        self.finished += 1
        error = self.script.pop(0) if self.script else None
        confirmed = effect.vms if error is None else effect.vms[:-1]  # the last one fails
        return AttemptEnded(effect.generation, effect.attempt, confirmed, error)


class World:
    """One process: engine, store and cleaner on a disk that outlives it."""

    def __init__(self, cleaner: ScriptedCleaner, disk: MemoryDisk | None = None, limits: Limits | None = None) -> None:
        self.cleaner = cleaner
        self.store = MemoryStore(disk)
        self.runtime = Runtime(self.store, VirtualClock(), limits=limits)
        self.engine = EmbeddedEngine(self.runtime, cleaner, POLICY)
        self.runtime.start()

    async def create(self, generation: str = GENERATION, **members: object) -> Session:
        """Start a session of user-1, which must succeed."""
        reply = await self.engine.ask("user-1", Create(generation, lab(**members)))
        assert isinstance(reply, Current)
        return reply.session

    async def show(self) -> Session | None:
        """The session of user-1."""
        reply = await self.engine.ask("user-1", Show())
        return reply.session if isinstance(reply, Current) else None

    @property
    def rows(self) -> list[dict[str, object]]:
        """What labs_sessions shows."""
        return [dict(row) for row in self.store.disk.rows("labs_sessions")]

    @property
    def history(self) -> list[dict[str, object]]:
        """What session_history shows."""
        return [dict(row) for row in self.store.disk.rows("session_history")]

    def agrees(self) -> None:
        """Invariant: a session, its row and its wake-up exist together or not at all."""
        disk = self.store.disk
        assert len(disk.cells) == len(disk.armed) == len(self.rows)


def story(script: tuple[str | None, ...], tell: Callable[[World], Awaitable[None]]) -> World:
    """Tell a story in a world of its own, from start to stop."""

    async def main() -> World:
        world = World(ScriptedCleaner(*script))
        await tell(world)
        await world.runtime.stop(5)
        return world

    return run_virtual(main())


def test_the_cleanup_begins_at_the_deadline_and_not_before() -> None:
    """Not a millisecond before the deadline and, with nothing else to do, not one after it; then nothing is left."""

    async def tell(world: World) -> None:
        await world.create(duration=60)
        world.agrees()
        await asyncio.sleep(HOUR_MS / 1000 - 0.001)
        assert world.cleaner.begun == []
        await asyncio.sleep(2)
        assert [at for at, _ in world.cleaner.begun] == [HOUR_MS]
        assert await world.show() is None
        world.agrees()

    world = story((), tell)
    assert world.store.disk.cells == {}
    (ended,) = world.history
    assert (ended["end_reason"], ended["attempts"], ended["lateness_ms"]) == ("expired", 1, 1000)


def test_a_failed_attempt_is_repeated_for_the_vms_that_are_left() -> None:
    """The retry comes one interval after the failure, asks only for what is not confirmed, and the row tells all."""

    async def tell(world: World) -> None:
        await world.create(duration=60, worker_nodes=worker_nodes("w1"))
        await asyncio.sleep(HOUR_MS / 1000 + 2)
        (row,) = world.rows
        assert (row["status"], row["attempts"], row["last_error"]) == ("cleaning", 1, "503")
        (armed,) = world.store.disk.armed.values()
        assert (armed.due_ms, armed.lane) == (EPOCH_MS + HOUR_MS + 1000 + INTERVAL_MS, Lane.RETRY)
        await asyncio.sleep(INTERVAL_MS / 1000 + 2)
        assert await world.show() is None

    world = story(("503",), tell)
    assert [(at, clean.vms) for at, clean in world.cleaner.begun] == [
        (HOUR_MS, ("vm-master", "w1")),
        (HOUR_MS + 1000 + INTERVAL_MS, ("w1",)),
    ]
    assert [entry["attempts"] for entry in world.history] == [2]


def test_it_goes_on_for_ever_and_says_once_that_it_is_stuck() -> None:
    """After the limit the session is labelled stuck with one error line, and tried on until it succeeds."""

    async def tell(world: World) -> None:
        await world.create(duration=60, worker_nodes=worker_nodes("w1"))
        world.cleaner.script = ["down"] * 10
        await asyncio.sleep((HOUR_MS + 3 * (INTERVAL_MS + 1000)) / 1000)
        session = await world.show()
        assert session is not None
        assert session.status == "stuck"
        await asyncio.sleep(20 * INTERVAL_MS / 1000)
        assert await world.show() is None

    with structlog.testing.capture_logs() as seen:
        world = story((), tell)
    assert len(world.cleaner.begun) == 11
    assert [entry["event"] for entry in seen].count(lines.STUCK) == 1


def test_a_delete_during_an_attempt_abandons_it() -> None:
    """The effect takes no further step, and the session of the same ids that follows is left alone."""

    async def tell(world: World) -> None:
        await world.create(duration=60)
        await asyncio.sleep(HOUR_MS / 1000 + 0.5)
        assert isinstance(await world.engine.ask("user-1", Delete()), Current)
        await world.create(OTHER_GENERATION, duration=60)
        await asyncio.sleep(600)
        session = await world.show()
        assert session is not None
        assert (session.generation, session.status) == (OTHER_GENERATION, "active")

    world = story((), tell)
    assert (len(world.cleaner.begun), world.cleaner.finished) == (1, 0)
    assert [entry["end_reason"] for entry in world.history] == ["deleted"]


def test_a_put_moves_the_wake_up() -> None:
    """A later deadline is the only one that counts; one in the past starts the cleanup at once."""

    async def tell(world: World) -> None:
        await world.create(duration=60)
        await world.engine.ask("user-1", Update(LabChanges(duration=120)))
        await asyncio.sleep(HOUR_MS / 1000 + 60)
        assert world.cleaner.begun == []
        world.agrees()
        await world.engine.ask("user-1", Update(LabChanges(duration=1)))
        await asyncio.sleep(0.01)
        assert len(world.cleaner.begun) == 1
        assert await world.engine.ask("user-1", Update(LabChanges(duration=240))) == Refusal.BEING_CLEANED

    story((), tell)


def test_a_process_that_dies_in_mid_call_is_followed_by_one_that_tries_again() -> None:
    """The backstop is on disk before the call: the next process repeats it when the first can no longer be at it."""

    async def main() -> None:
        dying = World(ScriptedCleaner())
        await dying.create(duration=60)
        await asyncio.sleep(HOUR_MS / 1000 + 0.5)
        assert len(dying.cleaner.begun) == 1
        dying.store.dead = True
        heir = World(ScriptedCleaner(), dying.store.disk)
        heir.agrees()
        await asyncio.sleep((LIMIT_MS + INTERVAL_MS) / 1000)
        assert [(at, clean.attempt) for at, clean in heir.cleaner.begun] == [(HOUR_MS + LIMIT_MS + INTERVAL_MS, 2)]
        await asyncio.sleep(2)
        assert await heir.show() is None
        await heir.runtime.stop(5)

    run_virtual(main())


def test_a_cleaner_that_never_returns_keeps_its_slot_no_longer_than_its_limit() -> None:
    """One slot and no place beside it: the next session waits for the limit, and the first is retried after it."""

    async def main() -> None:
        world = World(ScriptedCleaner(), limits=Limits(slots=1, slow_slots=0))
        world.cleaner.seconds = 1e9
        for user in ("user-1", "user-2"):
            await world.engine.ask(user, Create(GENERATION, lab(user_id=user)))
        await asyncio.sleep((HOUR_MS + LIMIT_MS) / 1000 + 2)
        world.cleaner.seconds = 1.0
        assert [clean.user_id for _, clean in world.cleaner.begun] == ["user-1", "user-2"]
        (first,) = (row for row in world.rows if row["user_id"] == "user-1")
        assert first["last_error"] == OVERDUE
        await asyncio.sleep((LIMIT_MS + INTERVAL_MS) / 1000 + 5)
        assert [clean.user_id for _, clean in world.cleaner.begun[2:]] == ["user-1", "user-2"]
        assert world.rows == []
        await world.runtime.stop(0)

    run_virtual(main())


def test_a_create_is_acknowledged_only_when_it_is_durable() -> None:
    """Both or, with an error, nothing: a failed commit leaves no session, and the user may try again."""

    async def tell(world: World) -> None:
        world.store.fail(1)
        with pytest.raises(EngineError, match="not stored"):
            await world.create(duration=60)
        assert await world.show() is None
        world.agrees()
        await world.create(duration=60)
        world.agrees()

    story((), tell)


def test_of_concurrent_creates_exactly_one_succeeds() -> None:
    """A user has one session, however many POSTs arrive at the same time."""

    async def tell(world: World) -> None:
        creates = [world.engine.ask("user-1", Create(GENERATION, lab())) for _ in range(50)]
        replies = await asyncio.gather(*creates)
        assert sum(isinstance(reply, Current) for reply in replies) == 1
        assert replies.count(Refusal.EXISTS) == 49

    story((), tell)


def test_a_stored_alarm_that_disagrees_with_the_state_is_mended_when_it_fires() -> None:
    """A wake-up that finds nothing due writes the right alarm back, so a wrong row cannot fire again and again."""

    async def main() -> None:
        before = World(ScriptedCleaner())
        await before.create(duration=60)
        await before.runtime.stop(0)
        disk = before.store.disk
        (actor_id,) = disk.armed
        disk.armed[actor_id] = disk.armed[actor_id]._replace(due_ms=EPOCH_MS)
        after = World(ScriptedCleaner(), disk)
        await asyncio.sleep(1)
        assert after.store.commits == 1
        assert disk.armed[actor_id].due_ms == EPOCH_MS + HOUR_MS
        assert after.cleaner.begun == []
        await after.runtime.stop(0)

    run_virtual(main())


def test_the_lines_of_a_life_are_the_contracts_and_in_its_order() -> None:
    """CONTRACT §4, what a SessionManager says of a lab that fails once and is then cleaned."""

    async def tell(world: World) -> None:
        await world.create(duration=60, worker_nodes=worker_nodes("w1", "w2"))
        await asyncio.sleep((HOUR_MS + INTERVAL_MS) / 1000 + 5)

    with structlog.testing.capture_logs() as seen:
        story(("503",), tell)
    assert [entry["event"] for entry in seen] == [
        lines.SCHEDULED,
        lines.ALARM,
        lines.WORKERS,
        lines.FAILED,
        lines.RETRY,
        lines.ROW_DELETED,
        lines.CLEANED,
    ]
    assert all((entry["user"], entry["lab"]) == ("user-1", "vm-master") for entry in seen)
    assert [entry.get("count") for entry in seen if entry["event"] == lines.WORKERS] == [2]


def test_a_remembered_answer_goes_when_its_time_has_passed() -> None:
    """Nothing of the user is left then: no cell, and no wake-up."""

    async def tell(world: World) -> None:
        await world.engine.ask("user-1", Keyed("k", "d", Create(GENERATION, lab())))
        await world.engine.ask("user-1", Delete())
        disk = world.store.disk
        await asyncio.sleep(POLICY.keys_kept_ms / 1000 - 1)
        assert (len(disk.cells), len(disk.armed), world.rows) == (1, 1, [])
        await asyncio.sleep(2)
        world.agrees()
        assert disk.cells == {}

    story((), tell)
