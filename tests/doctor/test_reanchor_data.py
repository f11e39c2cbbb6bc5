"""`reanchor` on the file: what is set right, what is left alone, and when it refuses."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from builders import GENERATION, HOUR, MINUTE, NOW, POLICY, User, lab
from data_files import data_with, spoil_page, sql

from actors.directory import DataDirectory
from actors.errors import ActorError, StoreError
from labsessions.core.messages import Create, Delete, Keyed
from labsessions.core.model import Session
from labsessions.core.projection import iso
from labsessions.doctor.census import Census, take_census
from labsessions.doctor.database import open_for_reading
from labsessions.reanchor import BATCH, ReanchorError, line, reanchor


def ahead(user_id: str, hours: int = 2) -> User:
    """A session of one hour that was created so far ahead."""
    return User().create(user_id=user_id, now_ms=NOW + hours * HOUR)


def done(data: Path, *users: str) -> list[str]:
    """Set right at `NOW`: what is said of each part that was."""
    moved: list[Session] = []
    asyncio.run(reanchor(data, POLICY, NOW, moved.append, users))
    return [line(part) for part in moved]


def census(data: Path) -> Census:
    """As the doctor takes it."""
    with closing(open_for_reading(data / "labsessions.db")) as connection:
        return take_census(connection, NOW, POLICY)


def test_all_that_is_ahead_is_set_right_and_nothing_else(tmp_path: Path) -> None:
    """State, row and wake-up agree afterwards; a second time there is nothing to do."""
    attempt = User().create(user_id="trying", duration=1, now_ms=NOW + 5 * HOUR).expire().fail()
    data_with(tmp_path, [ahead("alice"), User().create(user_id="bob"), attempt])
    assert sorted(done(tmp_path)) == [
        f"alice: runs until {iso(NOW + HOUR)}",
        f"trying: is tried again at {iso(NOW)}",
    ]
    taken = census(tmp_path)
    assert (taken.sessions, taken.disagreements, taken.ahead, taken.due) == (3, 0, 0, 0)
    assert done(tmp_path) == []


@pytest.mark.parametrize(("users", "moved"), [(("bob",), ["bob"]), (("carol", "alice"), ["alice", "carol"])])
def test_only_those_that_are_named(tmp_path: Path, users: Sequence[str], moved: list[str]) -> None:
    """The others stay as they were."""
    data_with(tmp_path, [ahead(name) for name in ("alice", "bob", "carol")])
    assert sorted(said.partition(":")[0] for said in done(tmp_path, *users)) == moved
    assert census(tmp_path).ahead == 3 - len(moved)


def test_who_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A mistyped name must not look like a success; nothing is changed."""
    data_with(tmp_path, [ahead("alice")])
    with pytest.raises(ReanchorError, match="no such user: alise, bop"):
        done(tmp_path, "alise", "alice", "bop")
    assert census(tmp_path).ahead == 1


def test_a_state_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """The doctor names it; it keeps nobody else waiting."""
    database = data_with(tmp_path, [ahead("alice"), ahead("bob")])
    sql(database, "UPDATE actor_cells SET cell = X'00' WHERE name = 'alice'")
    assert done(tmp_path) == [f"bob: runs until {iso(NOW + HOUR)}"]


def test_more_than_one_batch(tmp_path: Path) -> None:
    """Each is set right once, while the file is read on."""
    data_with(tmp_path, [ahead(f"user-{number}") for number in range(2 * BATCH + 1)])
    assert len(set(done(tmp_path))) == 2 * BATCH + 1
    assert census(tmp_path).ahead == 0


@contextmanager
def held(data: Path) -> Iterator[None]:
    """A service runs on the data."""
    directory = DataDirectory(data)
    directory.claim()
    try:
        yield
    finally:
        directory.release()


def test_beside_a_running_service_it_refuses(tmp_path: Path) -> None:
    """It has states in memory that would be written over ours."""
    data_with(tmp_path, [ahead("alice")])
    with held(tmp_path), pytest.raises(ActorError, match="is in use by another process"):
        done(tmp_path)
    assert census(tmp_path).ahead == 1
    assert done(tmp_path) == [f"alice: runs until {iso(NOW + HOUR)}"]


def test_without_a_database_it_makes_none(tmp_path: Path) -> None:
    """A wrong folder is said to be one."""
    with pytest.raises(ReanchorError, match="there is no file"):
        done(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_an_error_in_words(tmp_path: Path) -> None:
    """Instead of a traceback."""
    spoil_page(data_with(tmp_path, [ahead("alice")]), "actor_cells")
    with pytest.raises(StoreError, match="cannot be read: database disk image is malformed"):
        done(tmp_path)


def test_the_first_wake_up_is_the_sessions_own(tmp_path: Path) -> None:
    """The stored wake-up is moved with the deadline: an hour from now, in the lane of first attempts."""
    database = data_with(tmp_path, [ahead("alice", hours=48)])
    done(tmp_path)
    with closing(open_for_reading(database)) as connection:
        assert connection.execute("SELECT due_ms, lane FROM actor_cells").fetchall() == [(NOW + 60 * MINUTE, 0)]
        assert connection.execute("SELECT created_at, expires_at, version FROM labs_sessions").fetchall() == [
            (iso(NOW), iso(NOW + HOUR), 2)
        ]


def test_an_answer_that_is_remembered_too_long(tmp_path: Path) -> None:
    """It is forgotten in time; nothing is said of it, as nobody sees it."""
    user = User()
    user.say(Keyed("k", "d", Create(GENERATION, lab())), NOW + 5 * HOUR)
    user.say(Delete(), NOW + 5 * HOUR)
    data_with(tmp_path, [user])
    assert done(tmp_path) == []
    due = sql(tmp_path / "labsessions.db", "SELECT due_ms FROM actor_cells")
    assert due == [(NOW + POLICY.keys_kept_ms,)]
    assert census(tmp_path).disagreements == 0
