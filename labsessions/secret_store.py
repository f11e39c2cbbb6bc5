"""The secrets that lie in the data directory: stored for the service's user only, whole or not at all, shown to nobody.

Where else secrets come from, and which goes first, is in `settings.secrets`.
"""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from actors.directory import DataDirectory
from labsessions.settings import SettingsError, load
from labsessions.settings.load import secret_names
from labsessions.settings.secrets import FOLDER, Unreadable, find

# What in a process's environment is a path, perhaps relative to where it was started.
_PATHS = {"CREDENTIALS_DIRECTORY", "LABSESSIONS_CONFIG", "LABSESSIONS_DATA_DIR"}


class SecretError(Exception):
    """A secret that cannot be stored; the text says why and has no secret in it."""


class Listed(NamedTuple):
    """A secret: where it is taken from (None: it is not set), and why it cannot be read, if so."""

    name: str
    origin: str | None
    fault: str | None


class Store:
    """The secrets of the service on `data_dir`, as it is started with `environ` and this config file."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str], config_file: Path | None = None) -> None:
        self._data_dir = data_dir
        self._service = DataDirectory(data_dir).announced()
        self._environ = environ if self._service is None else _environ_of(self._service) or environ
        self._config_file = config_file
        self._names = secret_names({}, self._environ, config_file)

    def listed(self) -> list[Listed]:
        """Each secret there may be."""
        found = {name: find(name, self._environ, self._data_dir) for name in self._names}
        return [
            Listed(
                name,
                origin=None if each is None else each.origin,
                fault=each.value.reason if each is not None and isinstance(each.value, Unreadable) else None,
            )
            for name, each in found.items()
        ]

    def put(self, name: str, value: str) -> Path:
        """Store it, and return where. Raises SecretError, and then all is as it was."""
        if name not in self._names:
            raise SecretError(f"there is no secret {name}; there are {', '.join(self._names)}")
        if not value.strip():
            raise SecretError(f"{name}: nothing was given")
        folder = self._data_dir / FOLDER
        draft = folder / f".{name}.tmp"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _for_owner_of(self._data_dir, folder)
            try:
                _write(draft, value.strip())
                _for_owner_of(self._data_dir, draft)
                if faults := self._faults(name, draft):
                    raise SecretError("\n".join(faults))
                draft.replace(folder / name)
            finally:
                draft.unlink(missing_ok=True)
            _sync(folder)
        except OSError as error:
            raise SecretError(f"{name} cannot be stored: {error}") from error
        return folder / name

    def origin(self, name: str) -> str | None:
        """Where the secret is taken from, which may be before what is stored."""
        return next(each.origin for each in self.listed() if each.name == name)

    def tell_service(self) -> int | None:
        """Let the running service read its settings again: its process id, None if none was found."""
        if self._service is None:
            return None
        try:
            os.kill(self._service, signal.SIGHUP)
        except OSError:  # it has just gone, or is another user's
            return None
        return self._service

    def _faults(self, name: str, draft: Path) -> list[str]:
        """What would be wrong with the settings with this secret, and isn't without."""
        others = {each: value for each, value in self._environ.items() if each != name}
        before = self._check(self._environ)
        after = self._check(others | {f"{name}_FILE": str(draft)})
        return [fault.replace(f" from {name}_FILE={draft}", "") for fault in after if fault not in before]

    def _check(self, environ: Mapping[str, str]) -> list[str]:
        flags: dict[str, Any] = {"data_dir": self._data_dir, "insecure": True}
        try:
            load(flags, environ, self._config_file)
        except SettingsError as error:
            return error.faults
        return []


def _write(path: Path, value: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{value}\n")
        file.flush()
        os.fsync(file.fileno())


def _for_owner_of(directory: Path, path: Path) -> None:
    """Root stores for the service's user."""
    owner = directory.stat()
    if (path.stat().st_uid, path.stat().st_gid) != (owner.st_uid, owner.st_gid) and os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _environ_of(pid: int) -> dict[str, str] | None:
    """The environment that a process was started with, its paths made absolute; None if this user may not look."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="surrogateescape").split("\0")
        folder = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None
    environ = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return {name: str(folder / value) if value and _is_path(name) else value for name, value in environ.items()}


def _is_path(name: str) -> bool:
    return name in _PATHS or name.endswith("_FILE")
