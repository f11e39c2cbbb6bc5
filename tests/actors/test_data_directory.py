"""The data directory: one process at a time, its owner only, free again however its holder ends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.directory import DataDirectory
from actors.errors import DirectoryInUseError, StoreError

CLAIM = """
import sys
from pathlib import Path
from actors.directory import DataDirectory
from actors.errors import DirectoryInUseError
directory = DataDirectory(Path(sys.argv[1]))
try:
    directory.claim()
except DirectoryInUseError as error:
    print(error, flush=True)
else:
    print("claimed", flush=True)
    sys.stdin.read()
"""


@contextmanager
def claiming(path: Path, script: str = CLAIM) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Another process that claims the directory, and its first line. It goes on until its input ends."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own script
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def test_a_second_process_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    """The refusal names the path and says what to do; after `release` the directory is free; twice is harmless."""
    directory = DataDirectory(tmp_path / "data")
    directory.claim()
    with claiming(directory.path) as (_, answer):
        assert f"the data directory {directory.path} is in use by another process" in answer
        assert "choose another directory" in answer

    directory.release()
    directory.release()
    with claiming(directory.path) as (_, answer):
        assert answer == "claimed"


def test_a_killed_holder_frees_the_directory(tmp_path: Path) -> None:
    """LC-09: SIGKILL leaves nothing behind that keeps the next process out."""
    directory = DataDirectory(tmp_path / "data")
    with claiming(directory.path) as (holder, answer):
        assert answer == "claimed"
        with pytest.raises(DirectoryInUseError):
            directory.claim()
        holder.kill()
        holder.wait()

        directory.claim()
    directory.release()


def test_a_second_claim_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """Two services in one process are kept apart as two processes are."""
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    first.claim()
    with pytest.raises(DirectoryInUseError):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_the_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """Mode 0700, parents included in the making."""
    directory = DataDirectory(tmp_path / "some" / "where")
    directory.claim()

    assert directory.path.stat().st_mode & 0o777 == 0o700
    directory.release()


@pytest.mark.parametrize("name", ["file", "file/below", "locked"])
def test_a_path_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    """A file, a place below a file, a directory whose lock isn't a file: StoreError with the path."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "locked" / "lock").mkdir(parents=True)

    with pytest.raises(StoreError, match=f"the data directory .*{name} cannot be used") as refused:
        DataDirectory(tmp_path / name).claim()
    assert type(refused.value) is StoreError


def test_the_room_is_that_of_its_file_system(tmp_path: Path) -> None:
    """What a user may still write; OSError for a directory that is not there."""
    seen = os.statvfs(tmp_path)
    free = DataDirectory(tmp_path).free_bytes()
    assert 0 <= free < seen.f_blocks * seen.f_frsize
    assert free % seen.f_frsize == 0
    with pytest.raises(OSError, match="No such file"):
        DataDirectory(tmp_path / "none").free_bytes()


ANNOUNCE = CLAIM.replace('    print("claimed"', '    directory.announce()\n    print("claimed"')


def test_who_heeds_hangup_is_known_while_it_holds_the_directory(tmp_path: Path) -> None:
    """Nobody before; the process while it lives; nobody after it was killed, though its id is still there."""
    directory = DataDirectory(tmp_path / "data")
    assert directory.announced() is None
    with claiming(directory.path, ANNOUNCE) as (holder, _):
        assert directory.announced() == holder.pid
        holder.kill()
        holder.wait()
    assert (directory.path / "pid").exists()
    assert directory.announced() is None


def test_who_holds_it_and_would_die_of_a_hangup_is_not_known(tmp_path: Path) -> None:
    """One that has announced nothing, as a restore; what an earlier one has left is removed."""
    directory = DataDirectory(tmp_path / "data")
    directory.path.mkdir()
    (directory.path / "pid").write_text("1\n")
    directory.claim()
    assert not (directory.path / "pid").exists()
    assert directory.announced() is None
    directory.announce()
    assert directory.announced() == os.getpid()
    directory.release()
    assert not (directory.path / "pid").exists()


@pytest.mark.parametrize("other", ["1", "999999999", "nonsense", ""])
def test_an_id_that_is_anothers_is_not_believed(tmp_path: Path, other: str) -> None:
    """One of another container means another process here: only who has the lock open is meant."""
    directory = DataDirectory(tmp_path)
    with claiming(directory.path, ANNOUNCE):
        (directory.path / "pid").write_text(other)
        assert directory.announced() is None
