"""What every long-running command does as a process: stop on a signal, and say where it serves."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signal() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set, as long as the block lasts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)


def address_of(host: str, port: int) -> str:
    """`http://host:port`, with the brackets that an IPv6 address needs."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write_ready_file(path: Path, address: str) -> None:
    """Write the address so that whoever finds the file finds all of it."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(address)
    draft.replace(path)
