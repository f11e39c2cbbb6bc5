"""Where an endpoint stands, and what an attempt makes of it. Pure: no clock, no chance, no I/O.

The standing is what the endpoint's cell holds. `due_ms` is armed before an attempt, so that a crash or a lost result
needs no recovery: the alarm repeats it. An event leaves the head of the queue when it is accepted, or given up as a
dead letter; nothing overtakes it.
"""

from typing import Final, NamedTuple

import msgspec
from msgspec import structs

from labsessions.webhooks.messages import Message

# After the first failure, and how much longer after each further one: 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, 3 h …
FIRST_RETRY_MS: Final = 5_000
RETRY_FACTOR: Final = 4
LONGEST_RETRY_MS: Final = 3 * 3_600_000
# The share of a wait that is left to chance, lest many endpoints on one machine are called in one instant.
JITTER: Final = 0.2
# The longest that an endpoint may have us wait by `Retry-After`.
LONGEST_RETRY_AFTER_MS: Final = 24 * 3_600_000
# After the store could not be read, which is no fault of the endpoint's.
STORE_RETRY_MS: Final = 5_000


class UnreadableError(Exception):
    """The cell is not one of ours."""


class Standing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All events up to number `cursor` are done with. Instants are ms since 1970 UTC.

    `due_ms`: when it is looked after next, in an attempt: if nothing comes of that; None: at the next event.
    `failures`: attempts in a row for the next event, since `failing_since_ms`, `last_error` of the last one.
    `disabled_ms`: since when the endpoint is not called, as it said so. `lost`: events that were pruned unsent, ever.
    `replay_after`: the dead letters above this number are to be tried again.
    """

    v: int = 1
    cursor: int
    due_ms: int | None = None
    failures: int = 0
    failing_since_ms: int | None = None
    last_error: str | None = None
    disabled_ms: int | None = None
    lost: int = 0
    replay_after: int | None = None
    delivered_ms: int | None = None


class Failure(NamedTuple):
    """Why a message was not accepted. `gone`: the endpoint wants no more, ever (410).

    `absent`: it says nothing of this message, as there was no answer, or "not now" (429, 503).
    """

    error: str
    gone: bool = False
    absent: bool = False
    retry_after_ms: int | None = None


class Carried(NamedTuple):
    """What an attempt has done with the events after `after`: all through `through` are done with, in order.

    `lost` of them were pruned. `failed`: the next one was not accepted. `more`: there may be more to send at once.
    `trouble`: why the events could not be read. `chance`: a number from 0 to 1 that was drawn.
    """

    after: int
    through: int
    delivered: int = 0
    lost: int = 0
    more: bool = False
    failed: tuple[Message, Failure] | None = None
    trouble: str | None = None
    chance: float = 0.0


class Next(NamedTuple):
    """The standing after an attempt. `given_up`: its failed message is a dead letter now. `at_once`: go on."""

    standing: Standing
    at_once: bool = False
    given_up: bool = False


def encode(standing: Standing) -> bytes:
    """As the cell has it."""
    return msgspec.json.encode(standing)


def decode(cell: bytes | None) -> Standing | None:
    """None: there is none yet. UnreadableError for anything that is not ours."""
    if cell is None:
        return None
    try:
        standing = msgspec.json.decode(cell, type=Standing)
    except msgspec.DecodeError as error:
        raise UnreadableError(f"the cell of a webhook cannot be read: {error}") from error
    if standing.v != 1:
        raise UnreadableError(f"the cell of a webhook is of version {standing.v}, which this release doesn't know")
    return standing


def after(standing: Standing, carried: Carried, now_ms: int, give_up_ms: int) -> Next:
    """What an attempt that began at the cursor has made of the standing."""
    moved = carried.through > carried.after
    now = structs.replace(standing, cursor=carried.through, lost=standing.lost + carried.lost)
    if carried.delivered:
        now = structs.replace(now, delivered_ms=now_ms)
    if moved:
        now = _well(now)
    if carried.trouble is not None:
        return Next(structs.replace(now, due_ms=now_ms + STORE_RETRY_MS))
    if carried.failed is None:
        return Next(structs.replace(_well(now), due_ms=None), at_once=carried.more)
    message, failure = carried.failed
    failures = now.failures + 1
    since_ms = now_ms if now.failing_since_ms is None else now.failing_since_ms
    if not failure.gone and now_ms - since_ms >= give_up_ms:
        return Next(structs.replace(_well(now), cursor=message.seq), at_once=True, given_up=True)
    failing = structs.replace(now, failures=failures, failing_since_ms=since_ms, last_error=failure.error)
    if failure.gone:
        return Next(structs.replace(failing, disabled_ms=now_ms, due_ms=None))
    return Next(structs.replace(failing, due_ms=now_ms + _wait_ms(failures, failure.retry_after_ms, carried.chance)))


def enabled(standing: Standing) -> Standing:
    """As if it had never failed."""
    return structs.replace(_well(standing), disabled_ms=None)


def _well(standing: Standing) -> Standing:
    return structs.replace(standing, failures=0, failing_since_ms=None, last_error=None)


def _wait_ms(failures: int, retry_after_ms: int | None, chance: float) -> int:
    """Less than `Retry-After` never, within reason; and no failure count makes the number overflow."""
    usual: int = min(FIRST_RETRY_MS * RETRY_FACTOR ** min(failures - 1, 20), LONGEST_RETRY_MS)
    spread = round(usual * (1 - JITTER + JITTER * chance))
    return max(spread, min(retry_after_ms or 0, LONGEST_RETRY_AFTER_MS))
