"""What a supervisor is told of the process, in systemd's protocol (sd_notify): ready, reloading, stopping, alive.

Outside of systemd there is no socket, and nothing is said. A supervisor that doesn't listen is never a reason to fail.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

# A full socket means a supervisor that has stopped reading: the loop must not wait for it.
SEND_SECONDS = 0.5
# Of the time after which the supervisor gives up: one sign of life may get lost on a machine that is very busy.
SHARE = 1 / 3

log = structlog.get_logger(__name__)


class Supervisor:
    """Speaks to the socket that `environ` names, if any."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        concerned = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        microseconds = environ.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if concerned and microseconds.isdecimal() else 0.0
        """After so long without a sign of life the process is killed; 0: never."""

    def ready(self) -> None:
        """Requests are accepted, or are again after `reloading`."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The settings are being read. Its time goes with it, for `Type=notify-reload`."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """What happens from now on is the end."""
        self._tell("STOPPING=1")

    async def watch(self, is_well: Callable[[], bool]) -> None:
        """Give signs of life until cancelled, from the event loop, as long as the process `is_well`."""
        if not self.watchdog_seconds:
            return
        while True:
            if is_well():
                self._tell("WATCHDOG=1")
            else:
                log.error("the supervisor gets no sign of life: the dispatcher of wake-ups stands still")
            await asyncio.sleep(self.watchdog_seconds * SHARE)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address  # an abstract one
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(SEND_SECONDS)
            sender.connect(address)
            sender.send("\n".join(lines).encode())
