"""The real process and its backups: copied under load, restored after everything has ended, and nothing is lost."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from commands import command
from processes import Client, until, workers, world

SOON = 0.2  # minutes: 12 s, some times as long as the backup takes; what has ended before it doesn't count
COUNT = 40


async def all_gone(client: Client, users: list[str]) -> bool:
    """Whether none of them has a session."""
    return all([await client.gone(user) for user in users])


def active_in(backup: Path) -> set[str]:
    """The users whose session was running, and whose cleanup had not begun, at the moment of the backup."""
    with closing(sqlite3.connect(backup)) as database:
        return {user for (user,) in database.execute("SELECT user_id FROM labs_sessions WHERE status = 'active'")}


@pytest.mark.slow
async def test_sessions_that_come_back_from_the_dead_are_cleaned_again(tmp_path: Path) -> None:
    """Backup under load, sessions end, restore, restart: each is cleaned again at its deadline, or runs on."""
    target = tmp_path / "backup.db"
    async with world(tmp_path) as (service, client, backend):
        ending = [f"ending-{number}" for number in range(COUNT)]
        deadline_ms: dict[str, float] = {}
        for user in ending:
            status, body = await client.create(user, duration=SOON, worker_nodes=workers(f"w-{user}"))
            assert status == 201
            deadline_ms[user] = datetime.fromisoformat(body["data"]["expires_at"]).timestamp() * 1000
        assert (await client.create("running"))[0] == 201
        assert (await client.create("deleted"))[0] == 201

        writing = asyncio.create_task(_write_until_cancelled(client))
        status, said = await command(tmp_path, "backup", str(target), "--data-dir", "data")
        assert status == 0, said
        assert not writing.done(), "the service went on serving"
        writing.cancel()
        await asyncio.wait([writing])
        await client.delete("busy")  # which it may have left behind

        assert (await client.delete("deleted"))[0] == 200
        await until(lambda: all_gone(client, ending), "the end of the sessions")
        assert (await client.create("newer"))[0] == 201

        status, said = await command(tmp_path, "restore", str(target), "--data-dir", "data")
        assert (status, "in use by another process" in said) == (2, True)
        await service.end()
        status, said = await command(tmp_path, "restore", str(target), "--data-dir", "data")
        assert status == 0, said
        assert "1 running sessions of that one are not in the backup" in said

        await service.start()
        await until(lambda: all_gone(client, ending), "their second end")
        running = active_in(target)
        assert running & set(ending), "a machine too slow for this test: no session was running during the backup"
        for user in ending:
            for vm in (f"vm-{user}", f"w-{user}"):
                calls = await backend.calls("delete", vm)
                assert min(call["at_ms"] for call in calls) >= deadline_ms[user]
                assert user not in running or [call["status"] for call in calls] == [202, 202], vm
        for user in ("running", "deleted"):
            assert (await client.get(user))[1]["data"]["status"] == "active"
            assert await backend.calls("delete", f"vm-{user}") == []
        assert await client.gone("newer")
        assert (await client.delete("running"))[0] == 200
        status, said = await command(
            tmp_path, "doctor", "--data-dir", "data", BACKEND_API_URL=backend.url, BACKEND_API_TOKEN="test-token"
        )
        assert status == 0, said


async def _write_until_cancelled(client: Client) -> None:
    """Create and delete sessions of one user, as fast as the service answers."""
    while True:
        assert (await client.create("busy"))[0] == 201
        assert (await client.delete("busy"))[0] == 200


@pytest.mark.slow
async def test_exit_status_and_words_of_both_commands(tmp_path: Path) -> None:
    """0 done, 1 the check failed, 2 it cannot be done; always one readable message and no traceback."""
    async with world(tmp_path) as (service, client, _):
        await client.create("alice")
        await service.kill()
    data = ("--data-dir", "data")
    status, said = await command(tmp_path, "backup", "copy.db", *data)
    assert (status, said.startswith("copy.db: 0.1 MiB, 1 sessions, 0 lines of history, checked")) == (0, True)
    for arguments, expected, words in (
        (("backup", "copy.db", *data), 2, "labsessions: copy.db exists: name another file, or give --force"),
        (("backup", "copy.db", *data, "--force"), 0, "copy.db: "),
        (("backup", "copy-2.db", "--data-dir", "none"), 2, "labsessions: cannot copy none/labsessions.db"),
        (("restore", "none.db", *data), 2, "labsessions: cannot copy none.db"),
        (("restore", "copy.db", *data), 0, "the database that was there is kept as data/labsessions-before-restore-"),
    ):
        status, said = await command(tmp_path, *arguments)
        assert (status, words in said, "Traceback" in said) == (expected, True, False), said
    with (tmp_path / "copy.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * 4096)
    status, said = await command(tmp_path, "restore", "copy.db", *data)
    assert status == 1
    assert said.startswith("labsessions: the backup has faults\nfault    database")
    status, said = await command(tmp_path, "backup", "x.db", LABSESSIONS_PROT="1")
    assert (status, "did you mean LABSESSIONS_PORT" in said) == (2, True)
