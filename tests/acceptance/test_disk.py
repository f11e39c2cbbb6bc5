"""The real process and its disk: full, read-only, locked by somebody else, damaged, without its tables.

In each: a clear error, a health that says so, nothing acknowledged that isn't durable, and no restart where none is
needed.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from data_files import spoil_page, sql
from processes import Client, Process, until, world

CANNOT_START = 2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="mounts and locks as Linux has them"),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The data directory of `world` as a file system of its own, of 4 MiB. Only root can mount one."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None or _run(mount, "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(data)):
        pytest.skip("a small file system can only be mounted by root")
    yield data
    _run("umount", str(data))


def _run(*command: str) -> int:
    return subprocess.run(command, check=False, capture_output=True).returncode  # noqa: S603 - our own commands


async def readiness(client: Client) -> tuple[int, str]:
    """Status of `/health/ready`, and its problems in one text."""
    status, body = await client.call("GET", "/health/ready")
    return status, "; ".join(body["problems"])


async def refusal(service: Process) -> str:
    """Start it, expect exit status 2, and return what it said then."""
    before = len(service.log())
    await service.launch()
    assert await service.exit_status() == CANNOT_START, service.log()
    said = service.log()[before:]
    assert "Traceback" not in said
    return said


def rows(data: Path) -> set[str]:
    """The users that the file knows, read by another program."""
    with closing(sqlite3.connect(data / "labsessions.db")) as database:
        return {user for (user,) in database.execute("SELECT user_id FROM labs_sessions")}


async def test_a_full_disk_is_survived_without_a_restart(tmp_path: Path, small_disk: Path) -> None:
    """Each POST gets a 500 or is durable; what falls due waits; with room again all goes on."""
    async with world(tmp_path) as (service, client, backend):
        assert (await client.create("due", duration=0.1))[0] == 201
        _fill(small_disk / "filler")
        accepted = {"due"}
        while (answer := await client.create(f"user-{len(accepted)}"))[0] == 201:
            accepted.add(f"user-{len(accepted)}")  # the log had room left
        status, body = answer
        assert (status, body["error"]) == (500, "Internal server error")
        await until(lambda: _said(service, "database or disk is full"), "the line about the failed write")
        status, problems = await readiness(client)
        assert (status, "database or disk is full" in problems) == (503, True)
        assert "0 MiB are free for the data, less than 64: make room" in problems
        await until(lambda: _said(service, "the wake-up of SessionManager/due could not be delivered"), "its wake-up")
        assert (await client.get("due"))[0] == 200
        assert await backend.calls() == [], "nothing goes out before the write that it depends on"

        (small_disk / "filler").unlink()
        assert (await client.create("afterwards"))[0] == 201
        assert await until(lambda: _ready(client), "readiness")
        await until(lambda: client.gone("due"), "the cleanup of what fell due meanwhile")
        await service.kill()
        await service.start()
        assert rows(small_disk) == accepted - {"due"} | {"afterwards"}


def _fill(filler: Path) -> None:
    """Take all the room that there is."""
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096) == 4096:
            pass


async def _said(service: Process, text: str) -> bool:
    return text in service.log()


async def test_a_start_on_a_full_disk_shows_what_there_is(tmp_path: Path, small_disk: Path) -> None:
    """Killed, and started again without room: sessions are read, a POST gets a 500, and all is well with room again."""
    async with world(tmp_path) as (service, client, _):
        assert (await client.create("alice"))[0] == 201
        await service.kill()
        _fill(small_disk / "filler")
        await service.start()
        assert (await client.get("alice"))[0] == 200
        assert (await client.create("bob"))[0] == 500
        assert (await readiness(client))[0] == 503
        (small_disk / "filler").unlink()
        assert (await client.create("bob"))[0] == 201
        assert rows(small_disk) == {"alice", "bob"}


async def _ready(client: Client) -> bool:
    return (await readiness(client))[0] == 200


async def test_a_read_only_data_directory_is_refused_at_the_start(tmp_path: Path, small_disk: Path) -> None:
    """One message with the folder's name; nothing is served that could not be stored."""
    async with world(tmp_path) as (service, client, _):
        await client.create("alice")
        await service.end()
        assert _run("mount", "-o", "remount,ro", str(small_disk)) == 0
        said = await refusal(service)
        assert f"the data directory {small_disk} cannot be used" in said
        assert "Read-only file system" in said
        assert _run("mount", "-o", "remount,rw", str(small_disk)) == 0
        await service.start()
        assert (await client.get("alice"))[0] == 200


async def test_a_locked_database_is_survived_without_a_restart(tmp_path: Path) -> None:
    """Another program's open transaction: a write gets a 500 after 2 s, reads go on; once it is over all is well."""
    async with world(tmp_path) as (service, client, backend):
        assert (await client.create("alice"))[0] == 201
        assert (await client.create("due", duration=0.05))[0] == 201
        with closing(sqlite3.connect(tmp_path / "data" / "labsessions.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await client.create("bob"))[0] == 500
            assert (await client.get("alice"))[0] == 200
            assert (await client.get("bob"))[0] == 404
            status, problems = await readiness(client)
            assert (status, "database is locked" in problems) == (503, True)
            assert await backend.calls("delete", "vm-due") == [], "nothing goes out before the write it depends on"
            other.execute("ROLLBACK")
        assert (await client.create("bob"))[0] == 201
        await until(lambda: client.gone("due"), "the cleanup of what fell due meanwhile")
        assert await until(lambda: _ready(client), "readiness")
        assert rows(tmp_path / "data") == {"alice", "bob"}
        assert "database is locked" in service.log()


async def test_a_database_that_somebody_else_has_for_himself_is_refused_at_the_start(tmp_path: Path) -> None:
    """Also to read it: exit status 2 after 2 s, with the reason."""
    async with world(tmp_path) as (service, _, _backend):
        await service.end()
        with closing(sqlite3.connect(tmp_path / "data" / "labsessions.db", isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO schema_versions VALUES ('x', 1)")
            assert "cannot be used as the database: database is locked" in await refusal(service)
            other.execute("ROLLBACK")
        await service.start()


async def test_a_damaged_page_is_said_and_nothing_is_acknowledged_over_it(tmp_path: Path) -> None:
    """Sessions that can no longer be read: health is 503 with the reason, a POST gets a 500, the process lives."""
    async with world(tmp_path) as (service, client, _):
        for number in range(50):
            assert (await client.create(f"user-{number}"))[0] == 201
        await service.end()
        spoil_page(tmp_path / "data" / "labsessions.db", "actor_cells")
        await service.start()
        status, problems = await readiness(client)
        assert (status, "malformed" in problems) == (503, True)
        assert (await client.create("new"))[0] == 500
        assert (await client.call("GET", "/health/live"))[0] == 200
        assert "database disk image is malformed" in service.log()


async def test_a_table_that_is_missing_is_said(tmp_path: Path) -> None:
    """Health is 503 and names it, and a POST gets a 500: a session without its row would not be what was promised."""
    async with world(tmp_path) as (service, client, _):
        await service.end()
        sql(tmp_path / "data" / "labsessions.db", "DROP TABLE labs_sessions")
        await service.start()
        status, problems = await readiness(client)
        assert (status, "no such table: labs_sessions" in problems) == (503, True)
        assert (await client.create("alice"))[0] == 500
        assert (await client.get("alice"))[0] == 404


async def test_a_schema_whose_versions_are_missing_is_refused_and_not_touched(tmp_path: Path) -> None:
    """Nobody knows what the tables are: exit status 2, and the sessions in them stay."""
    async with world(tmp_path) as (service, client, _):
        assert (await client.create("alice"))[0] == 201
        await service.end()
        sql(tmp_path / "data" / "labsessions.db", "DROP TABLE schema_versions")
        assert "table actor_cells already exists" in await refusal(service)
        assert rows(tmp_path / "data") == {"alice"}


async def test_a_locked_database_refuses_many_as_soon_as_one(tmp_path: Path) -> None:
    """Ten POSTs while another program holds the file: all have their 500 after two waits for it, not after ten."""
    async with world(tmp_path) as (_, client, _backend):
        with closing(sqlite3.connect(tmp_path / "data" / "labsessions.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(15):
                answers = await asyncio.gather(*(client.create(f"user-{n}") for n in range(10)))
            other.execute("ROLLBACK")
        assert {status for status, _ in answers} == {500}


async def test_a_stop_is_in_time_also_while_the_database_is_locked(tmp_path: Path) -> None:
    """CONTRACT §5: SIGTERM ends the process with status 0 in time, whatever the disk does."""
    async with world(tmp_path) as (service, client, _backend):
        with closing(sqlite3.connect(tmp_path / "data" / "labsessions.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = [asyncio.create_task(client.create(f"user-{n}")) for n in range(10)]
            assert (await client.call("GET", "/health"))[0] == 200  # sent after them, and answered while they wait
            assert not any(task.done() for task in waiting)
            try:
                async with asyncio.timeout(20):
                    assert await service.end(signal.SIGTERM) == 0
            finally:
                other.execute("ROLLBACK")
                await asyncio.gather(*waiting, return_exceptions=True)
