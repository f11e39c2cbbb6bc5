"""What one user's client remembers, and which states of the user's session that leaves possible.

A client asks one thing at a time. An answer that was lost leaves two possibilities – it happened, or it didn't – so
what is known is a set of worlds; an answer that fits none of them is untrue. Values only: nothing here asks anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from labsessions.core.model import duration_ms

Kind = Literal["create", "get", "put", "delete"]
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """The session in an answer. Instants in ms since 1970 UTC, as the service has told them."""

    id: str
    minutes: float
    workers: tuple[str, ...]
    created_ms: int
    expires_ms: int
    cleaning: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it. `status` is None if the answer was lost: it may have happened.

    `minutes` and `workers` are what was asked for (None: not mentioned).
    """

    kind: Kind
    sent_ms: int
    ended_ms: int
    status: int | None
    id: str = ""
    minutes: float | None = None
    workers: tuple[str, ...] | None = None
    shown: Shown | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """A possible state: this session, with this deadline. `created_ms` is a lower bound until it `exact`ly is known.

    `since_ms`: the session was not yet being cleaned up then, or had not got this deadline yet.
    """

    id: str
    minutes: float
    workers: tuple[str, ...]
    created_ms: int
    since_ms: int
    exact: bool = False
    cleaning: bool = False

    @property
    def expires_ms(self) -> int:
        """The deadline, or the earliest that it can be."""
        return self.created_ms + duration_ms(self.minutes)

    @property
    def first_call_ms(self) -> int:
        """No call for it can have arrived earlier."""
        return max(self.expires_ms, self.since_ms)


World = Life | None


@dataclass(slots=True)
class Known:
    """What is known of one session; its id is that of its master VM. `owed` are its VMs, `possible` may be its VMs.

    `certain`: some answer has told that it was. `gone`: the answer that told that it is no more; `fence` is the number
    of calls that the backend had seen some time after that answer (None: not asked). A call behind the fence was
    certainly started after the answer, one before it may have been on its way.
    """

    user: str
    id: str
    first_call_ms: int
    owed: dict[str, None] = field(default_factory=dict)
    possible: dict[str, None] = field(default_factory=dict)
    certain: bool = False
    asked_to_delete: bool = False
    deleted: bool = False
    gone: Exchange | None = None
    fence: int | None = None


@dataclass(slots=True)
class Memory:
    """One user's exchanges, oldest first, and what follows from them. `untrue` are answers that fit no world."""

    user: str
    exchanges: list[Exchange] = field(default_factory=list)
    worlds: frozenset[World] = frozenset({None})
    sessions: dict[str, Known] = field(default_factory=dict)
    untrue: list[Exchange] = field(default_factory=list)

    def remember(self, exchange: Exchange) -> list[Known]:
        """Note it and draw the conclusions; the sessions of which this answer tells that they are gone."""
        self.exchanges.append(exchange)
        before = frozenset(later for world in self.worlds for later in _passed(world, exchange.ended_ms))
        after: set[World] = set()
        for world in before:
            after |= _after(world, exchange)
        if not after:
            # Believe it from now on, so that one untrue answer is told once.
            self.untrue.append(exchange)
            after = {_life(exchange)} if exchange.shown is not None else {None}
        self.worlds = frozenset(after)
        return self._conclude(before, exchange)

    def about(self, session: str) -> list[Exchange]:
        """The exchanges from the first one that named this session to the first that told that it is gone."""
        named = [e for e, exchange in enumerate(self.exchanges) if session in _names(exchange)]
        known = self.sessions.get(session)
        if not named:
            return []
        last = self.exchanges.index(known.gone) if known is not None and known.gone is not None else named[-1]
        return self.exchanges[named[0] : last + 1]

    def _conclude(self, before: Iterable[World], exchange: Exchange) -> list[Known]:
        here = {world.id for world in self.worlds if world is not None}
        for session in here:
            lives = [world for world in self.worlds if world is not None and world.id == session]
            known = self.sessions.setdefault(session, Known(self.user, session, 0))
            known.first_call_ms = min(life.first_call_ms for life in lives)
            known.possible |= dict.fromkeys(vm for life in lives for vm in (session, *life.workers))
            known.certain |= None not in self.worlds and len(here) == 1
            known.asked_to_delete |= exchange.kind == "delete"
            known.gone = known.fence = None  # a create that had not happened was sent again
        if exchange.shown is not None:
            known = self.sessions[exchange.shown.id]
            known.owed |= dict.fromkeys((known.id, *exchange.shown.workers))
        gone = [self.sessions[session] for session in {world.id for world in before if world is not None} - here]
        for known in gone:
            known.gone = exchange
            known.asked_to_delete |= exchange.kind == "delete"
            known.deleted = exchange.kind == "delete" and exchange.status == OK
            known.certain |= known.deleted
        return gone


def _passed(world: World, now_ms: int) -> set[World]:
    """What may have become of it by then, if nobody has asked for anything."""
    if world is None or now_ms < world.expires_ms:
        return {world}
    return {world, replace(world, cleaning=True), None}


def _after(world: World, exchange: Exchange) -> set[World]:
    """The worlds that this one may have become; none if the answer doesn't fit it."""
    done = _applied(world, exchange)
    if exchange.status is None:
        return {world, done}
    if exchange.shown is not None:
        return _seen(done, exchange, exchange.shown) if _succeeds(world, exchange) else set()
    match exchange.kind, exchange.status:
        case "create", 409:
            return {world} if world is not None else set()
        case "put", 409:
            return {world} if world is not None and world.cleaning else set()
        case "delete", 200:
            return {None} if world is not None else set()
        case (("get" | "put" | "delete"), 404):
            return {None} if world is None else set()
        case _:
            return set()


def _succeeds(world: World, exchange: Exchange) -> bool:
    match exchange.kind, exchange.status:
        case "create", 201:
            return world is None
        case "get", 200:
            return world is not None
        case "put", 200:
            return world is not None and not world.cleaning
        case _:
            return False


def _applied(world: World, exchange: Exchange) -> World:
    """The world once the request has been served."""
    match exchange.kind:
        case "create" if world is None and exchange.minutes is not None:
            workers = exchange.workers or ()
            return Life(exchange.id, exchange.minutes, workers, exchange.sent_ms, exchange.sent_ms)
        case "put" if world is not None and not world.cleaning:
            minutes = world.minutes if exchange.minutes is None else exchange.minutes
            workers = world.workers if exchange.workers is None else exchange.workers
            changed = replace(world, minutes=minutes, workers=workers)
            return world if changed == world else replace(changed, since_ms=exchange.sent_ms)
        case "delete":
            return None
        case _:
            return world


def _seen(world: World, exchange: Exchange, shown: Shown) -> set[World]:
    if world is None or (shown.id, shown.minutes, shown.workers) != (world.id, world.minutes, world.workers):
        return set()
    created = shown.created_ms == world.created_ms if world.exact else shown.created_ms >= world.created_ms
    if not created or shown.created_ms > exchange.ended_ms or shown.cleaning != world.cleaning:
        return set()
    if shown.expires_ms != shown.created_ms + duration_ms(shown.minutes):
        return set()
    since_ms = world.since_ms if shown.cleaning else exchange.sent_ms
    return {replace(world, created_ms=shown.created_ms, exact=True, since_ms=since_ms)}


def _life(exchange: Exchange) -> Life:
    shown = exchange.shown
    assert shown is not None
    since_ms = 0 if shown.cleaning else exchange.sent_ms
    return Life(shown.id, shown.minutes, shown.workers, shown.created_ms, since_ms, exact=True, cleaning=shown.cleaning)


def _names(exchange: Exchange) -> set[str]:
    return {exchange.id} if exchange.shown is None else {exchange.id, exchange.shown.id}
