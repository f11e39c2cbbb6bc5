"""The data directory: made for its owner only, and held by one process at a time."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from actors.errors import DirectoryInUseError, StoreError


class DataDirectory:
    """A directory that this process holds from `claim` until `release` or its death, however it dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / "lock")
        self._pid = path / "pid"

    def claim(self) -> None:
        """Take hold of the directory, making it if needed.

        Raises DirectoryInUseError if another process holds it, StoreError if it cannot be used at all.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._pid.unlink(missing_ok=True)  # that of one who died
        except Timeout:
            raise DirectoryInUseError(
                f"the data directory {self.path} is in use by another process: "
                "stop that one, or choose another directory"
            ) from None
        except OSError as error:
            raise StoreError(f"the data directory {self.path} cannot be used: {error}") from error

    def held(self) -> bool:
        """Whether a process holds it. Makes nothing; to look, it takes hold for an instant. StoreError: can't tell."""
        if not (self.path / "lock").exists():
            return False
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError as error:
            raise StoreError(f"the data directory {self.path} cannot be used: {error}") from error
        self._lock.release()
        return False

    def announce(self) -> None:
        """Say that this process holds it and heeds SIGHUP. What cannot be written is left out."""
        with suppress(OSError):
            self._pid.write_text(f"{os.getpid()}\n", "ascii")

    def announced(self) -> int | None:
        """The id of the process that holds it and heeds SIGHUP; None if there is none, or if this user can't tell."""
        try:
            pid = int(self._pid.read_text("ascii"))
            return pid if self._is_open_in(pid) else None
        except (OSError, ValueError):
            return None

    def _is_open_in(self, pid: int) -> bool:
        """Whether the process has the lock's file open: an id may be another's by now, or one of another container."""
        files = Path(f"/proc/{pid}/fd")
        lock = (self.path / "lock").stat()
        for file in files.iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if os.path.samestat(file.stat(), lock):
                    return True
        return False

    def free_bytes(self) -> int:
        """Room on its file system for this user. OSError if it cannot be looked at."""
        return shutil.disk_usage(self.path).free

    def release(self) -> None:
        """Let go. Harmless if repeated."""
        if self._lock.is_locked:
            self._pid.unlink(missing_ok=True)
        self._lock.release()
