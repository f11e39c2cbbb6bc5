"""The examination: one thing after the other, each finding as soon as it is known."""

import asyncio
import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from actors.errors import StoreError
from labsessions.bootstrap import DATABASE
from labsessions.core.policy import Policy
from labsessions.doctor import backend, census, clock, database, directory, wakeups, webhooks
from labsessions.doctor.census import Census, take_census
from labsessions.doctor.findings import Finding, fault, ok, warning
from labsessions.settings import Settings, SettingsError, load

_POLICY: Final = Policy()


def examine(flags: Mapping[str, Any], environ: Mapping[str, str], config: Path | None) -> Iterator[Finding]:
    """All that there is to find, for the settings that the service would have with these flags and variables."""
    try:
        settings = load(flags, environ, config)
    except SettingsError as error:
        for line in error.faults:
            yield fault("settings", line, "correct it; the service would not start")
        yield warning("settings", "all else is not examined", "correct the settings, then look again")
        return
    yield ok("settings", "they are valid, as seen with the variables of this shell")
    yield from directory.check(settings.data_dir, DATABASE, settings.storage.min_free_bytes)
    newest_ms = yield from _data(settings)
    yield from asyncio.run(backend.check(*_backend(settings)))
    yield from clock.check(newest_ms)


def _data(settings: Settings) -> Generator[Finding, None, int | None]:
    """Database, sessions and wake-ups; the generator's value is the latest instant stored."""
    path = settings.data_dir / DATABASE
    try:
        if not path.exists():
            yield ok(database.CHECK, "there is none yet: the first start makes it")
            return None
        connection = database.open_for_reading(path)
    except PermissionError:
        yield fault(database.CHECK, f"this user may not read {path}", "run as the service's user")
        return None
    except StoreError as error:
        yield fault(database.CHECK, str(error), database.RESTORE)
        return None
    with closing(connection):
        findings, counted = examine_database(connection, settings.policy())
        yield from findings
        if counted is None:
            return None
        yield from wakeups.check(counted, held=directory.is_held(settings.data_dir))
        yield from webhooks.check(connection, {webhook.name for webhook in settings.webhooks})
    return counted.newest_ms


def examine_database(connection: sqlite3.Connection, policy: Policy = _POLICY) -> tuple[list[Finding], Census | None]:
    """Is the file whole, of this release, and do its sessions agree? The census is None if none could be taken.

    The first finding is that of the pages. `policy` is what the service decides by.
    """
    findings = [database.check_pages(connection), *database.check_versions(connection)]
    if any(finding.level == "fault" for finding in findings[1:]):
        return findings, None
    try:
        counted = take_census(connection, time.time_ns() // 1_000_000, policy)
    except sqlite3.Error as error:
        return [*findings, fault(census.CHECK, f"the tables cannot be read: {error}", database.RESTORE)], None
    return [*findings, *counted.findings()], counted


def _backend(settings: Settings) -> tuple[str | None, str | None, float]:
    secrets = settings.secrets
    token = None if secrets.backend_api_token is None else secrets.backend_api_token.get_secret_value()
    return secrets.backend_api_url, token, settings.backend.call_timeout_seconds
