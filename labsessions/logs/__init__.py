"""How log lines leave the process: JSON for machines, console for people, whole lines in their order.

structlog's loggers and the standard library's (aiohttp, asyncio, `actors`) end in the same renderer and the same
stream. This module knows no event and no setting; and logging must never be what fails: a value that cannot be
shown, a full disk or a closed pipe costs a line, not the service.

Lines are most of what a request does here, so they are cheap: the lines of one turn of the event loop are written
together at its end, and structlog's general way from a call to the stream is cut short (`_drop_below`).

`setup` configures both, `lines` renders, `sink` writes, `live` shows the lines to those who follow the log.
"""

from labsessions.logs.lines import REDACTED
from labsessions.logs.live import live
from labsessions.logs.setup import Logging, configure

__all__ = ["REDACTED", "Logging", "configure", "live"]
