"""What every long-running command does as a process: stop on a signal, and say where it serves."""

import asyncio
import gc
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# Objects more than before until the collector looks at the youngest, then how many such looks until it looks at the
# next older ones. With Python's own 700, 10, 10 a create took a quarter longer, and some waited for a full pass.
_COLLECT = (10_000, 20, 20)


def calm_collector() -> None:
    """Look for cyclic garbage less often, and never among what the start has made: it stays until the end.

    Actors and their states are freed by counting references; only what an error leaves behind is cyclic.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)


def keep_files_private() -> None:
    """From now on the files and folders that this process makes are for its user only: 0600 and 0700."""
    os.umask(0o077)


def open_many_files() -> None:
    """Allow as many open connections as the system lets this process have; shells often set a limit of 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS says "unlimited", and means less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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


@contextmanager
def reload_signal(stop: asyncio.Event) -> Iterator[asyncio.Event]:
    """An event that SIGHUP sets, as long as the block lasts.

    That of a terminal which was closed means something else: then `stop` is set, unless SIGHUP was ignored (nohup).
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    ends_with_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_DFL and _has_terminal()

    def hung_up() -> None:
        (stop if ends_with_terminal and not _has_terminal() else asked).set()

    loop.add_signal_handler(signal.SIGHUP, hung_up)
    try:
        yield asked
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def address_of(host: str, port: int) -> str:
    """`http://host:port`, with the brackets that an IPv6 address needs."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write_ready_file(path: Path, address: str) -> None:
    """Write the address so that whoever finds the file finds all of it."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(address)
    draft.replace(path)
