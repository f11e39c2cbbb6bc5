"""Reading the settings again while the service runs: all is checked first, then each owner takes what is new.

With a fault all stays as it was. What this does not do is in `settings.reload`: which settings may change.
"""

import asyncio
from collections.abc import Callable

import structlog

from labsessions.settings import Settings, SettingsError
from labsessions.settings.reload import combine

log = structlog.get_logger(__name__)


class Reload:
    """`read` reads the settings anew, `apply` hands them to their owners; it must not fail."""

    def __init__(self, in_force: Settings, read: Callable[[], Settings], apply: Callable[[Settings], None]) -> None:
        self._in_force = in_force
        self._read = read
        self._apply = apply

    async def once(self) -> bool:
        """Read them now; False if they are faulty. The log says what has come of it."""
        try:
            reading = combine(self._in_force, await asyncio.to_thread(self._read))
        except SettingsError as error:
            log.error("settings are not reloaded: all stays as it was", faults=error.faults)  # noqa: TRY400 - all is said
            return False
        if reading.changed:
            self._apply(reading.settings)
            self._in_force = reading.settings
        log.info("settings are reloaded", changed=list(reading.changed))
        if reading.need_restart:
            log.warning("settings that need a restart have changed", settings=list(reading.need_restart))
        return True
