"""Obligations through the engine: calls at the right time, rows for operators, and files of an older release."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from builders import GENERATION, MASTER, NOW, OTHER_GENERATION, POLICY, User, lab, worker_nodes
from msgspec import structs
from test_engine_lifecycle import INTERVAL_MS, ScriptedCleaner, World

from actors.ids import ActorId
from actors.schema import Schema
from actors.sqlite import open_store
from actors.storage import Alarm, Lane, Write
from actors.testing import run_virtual
from labsessions import log_lines as lines
from labsessions.core.codec import encode
from labsessions.core.messages import Create, Current, Delete, Refusal, Show
from labsessions.engines.embedded import NAMESPACE, EmbeddedEngine
from labsessions.engines.tables import projected, schema

GRACE_MS = 60_000
OTHER_VM = "vm-other"


def story(tell: Callable[[World], Awaitable[None]], *script: str | None) -> World:
    """Tell a story under the setting `ensure`."""

    async def main() -> World:
        world = World(ScriptedCleaner(*script))
        policy = structs.replace(POLICY, owed_after_ms=GRACE_MS)
        world.engine = EmbeddedEngine(world.runtime, world.cleaner, policy)
        await tell(world)
        await world.runtime.stop(5)
        return world

    return run_virtual(main())


def owed(world: World) -> list[tuple[object, object]]:
    """VM and attempts of each row of owed_vms."""
    return [(row["lab_request_id"], row["attempts"]) for row in world.store.disk.rows("owed_vms")]


def test_a_closed_tab_leaks_nothing() -> None:
    """After the grace period, not a millisecond earlier, the service deletes the VMs itself; then nothing is left."""

    async def tell(world: World) -> None:
        await world.create(worker_nodes=worker_nodes("w1"))
        assert isinstance(await world.engine.ask("user-1", Delete()), Current)
        assert await world.engine.ask("user-1", Show()) is Refusal.NOT_FOUND
        assert sorted(owed(world)) == [(MASTER, 0), ("w1", 0)]
        assert world.rows == []
        await asyncio.sleep(GRACE_MS / 1000 - 0.001)
        assert world.cleaner.begun == []
        await asyncio.sleep(2)
        assert owed(world) == [("w1", 1)]
        await asyncio.sleep(INTERVAL_MS / 1000 + 1)

    world = story(tell, "503")
    assert [(at, clean.vms) for at, clean in world.cleaner.begun] == [
        (GRACE_MS, (MASTER, "w1")),
        (GRACE_MS + 1000 + INTERVAL_MS, ("w1",)),
    ]
    assert (world.store.disk.cells, world.store.disk.armed, owed(world)) == ({}, {}, [])
    assert [entry["end_reason"] for entry in world.history] == ["deleted"]


def test_a_new_session_with_a_vm_in_flight_abandons_the_old_attempt() -> None:
    """No further step is taken for it, and the new session lives its own life."""

    async def tell(world: World) -> None:
        await world.create()
        await world.engine.ask("user-1", Delete())
        await asyncio.sleep(GRACE_MS / 1000 + 0.5)
        await world.create(OTHER_GENERATION, duration=60)
        assert owed(world) == []
        await asyncio.sleep(600)
        assert await world.show() is not None

    world = story(tell)
    assert (len(world.cleaner.begun), world.cleaner.finished) == (1, 0)


def test_a_hanging_obligation_delays_no_deadline() -> None:
    """The session's attempt starts on time in the place of the obligation's, which comes again afterwards."""

    async def tell(world: World) -> None:
        world.cleaner.seconds = 50.0
        await world.create()
        await world.engine.ask("user-1", Delete())
        await world.create(OTHER_GENERATION, lab_request_id=OTHER_VM, duration=1.5)
        await asyncio.sleep(200)

    world = story(tell)
    assert [(at, clean.vms) for at, clean in world.cleaner.begun] == [
        (GRACE_MS, (MASTER,)),
        (90_000, (OTHER_VM,)),
        (140_000, (MASTER,)),
    ]
    assert world.cleaner.finished == 2
    assert world.store.disk.cells == {}


def test_deleting_a_waiting_session_leaves_the_attempt_of_an_obligation() -> None:
    """A DELETE stops what belongs to its session and nothing else."""

    async def tell(world: World) -> None:
        await world.create()
        await world.engine.ask("user-1", Delete())
        await world.create(OTHER_GENERATION, lab_request_id=OTHER_VM, duration=0.5)
        await asyncio.sleep(GRACE_MS / 1000 + 0.5)
        await world.engine.ask("user-1", Delete())
        await asyncio.sleep(1)
        assert owed(world) == [(OTHER_VM, 1)]

    world = story(tell, "503")
    assert [clean.vms for _, clean in world.cleaner.begun] == [(OTHER_VM,), (MASTER,)]
    assert world.cleaner.finished == 2


def test_the_lines_of_an_obligation() -> None:
    """Its beginning, its trouble and its end are told; nothing says that a deadline was reached."""

    async def tell(world: World) -> None:
        await world.create(worker_nodes=worker_nodes("w1"))
        await world.engine.ask("user-1", Delete())
        await asyncio.sleep((GRACE_MS + INTERVAL_MS) / 1000 + 5)
        await world.create(OTHER_GENERATION)
        await world.engine.ask("user-1", Delete())
        await world.create(OTHER_GENERATION[::-1])

    with structlog.testing.capture_logs() as seen:
        story(tell, "503")
    assert [entry["event"] for entry in seen] == [
        lines.SCHEDULED,
        lines.OWED,
        lines.FAILED,
        lines.RETRY,
        lines.SETTLED,
        lines.SCHEDULED,
        lines.OWED,
        lines.SCHEDULED,
        lines.TAKEN_OVER,
    ]


@pytest.mark.parametrize("steps", range(1, len(schema().steps)))
async def test_an_older_file_is_upgraded(tmp_path: Path, steps: int) -> None:
    """A file with some of the steps gets the others, and keeps its sessions."""
    path = tmp_path / "db"
    old = Schema("labsessions", schema().steps[:steps])
    user = User().create()
    store = await open_store(path, (old,))
    alarm = Alarm(user.due_ms, Lane.FIRST)
    rows = projected("user-1", user.state, (), NOW)
    await store.apply([Write(ActorId(NAMESPACE, "user-1"), encode(user.state), alarm, rows)])
    await store.close()

    await (await open_store(path, (schema(),))).close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM owed_vms").fetchall() == [(0,)]
        assert file.execute("SELECT generation FROM labs_sessions").fetchall() == [(GENERATION,)]
        assert ("labsessions", len(schema().steps)) in file.execute(
            "SELECT component, version FROM schema_versions"
        ).fetchall()


async def test_the_rows_of_owed_vms_follow_the_state_in_a_real_file(tmp_path: Path) -> None:
    """They come with the DELETE, and go with what takes them over, each in that transaction."""
    path = tmp_path / "db"
    user = User(structs.replace(POLICY, owed_after_ms=GRACE_MS)).create(worker_nodes=worker_nodes("w1"))
    store = await open_store(path, (schema(),))
    for message in (Delete(), Create(OTHER_GENERATION, lab())):
        before = user.state
        decision = user.say(message, NOW)
        rows = projected("user-1", user.state, decision.events, NOW, before)
        await store.apply([Write(ActorId(NAMESPACE, "user-1"), encode(user.state), None, rows)])
        with closing(sqlite3.connect(path)) as file:
            shown = {vm for (vm,) in file.execute("SELECT lab_request_id FROM owed_vms")}
        assert shown == ({"w1"} if user.state.session else {MASTER, "w1"})
    await store.close()
