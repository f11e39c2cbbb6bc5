"""The durable actor of one endpoint: its cell says how far it is, its alarm when it goes on, its effect is a courier's.

The alarm is in the lane of notices, which takes no slot, no rate and no circuit breaker of the cleanups.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog
from msgspec import structs

from actors.actor import DurableActor, Outcome, WakeUp
from actors.ids import ActorId
from actors.runtime import Runtime
from actors.storage import Alarm, Lane, Put, Remove, Write
from labsessions.core.projection import iso
from labsessions.webhooks import lines
from labsessions.webhooks.courier import Courier, Replayed
from labsessions.webhooks.messages import Message
from labsessions.webhooks.sender import Endpoint
from labsessions.webhooks.source import Letter
from labsessions.webhooks.standing import Carried, Standing, after, decode, enabled, encode

NAMESPACE: Final = "Webhook"
# Beyond what an attempt may take: the reading, and what a busy loop adds.
GRACE_MS: Final = 30_000

Log = structlog.stdlib.BoundLogger


class Begin(NamedTuple):
    """At the start of each process: a new endpoint begins after event `cursor`, a known one goes on."""

    cursor: int


class News(NamedTuple):
    """There are more events."""


class Show(NamedTuple):
    """The reply is the standing; None if there is none."""


class Replay(NamedTuple):
    """Send once more: all from number `from_seq` on, and the dead letters. The reply is a standing or a `Refused`."""

    from_seq: int | None
    dead_letters: bool


class Enable(NamedTuple):
    """Call the endpoint again, at once, whatever it said last. The reply is the standing."""


class Refused(NamedTuple):
    """A replay cannot be had, in words."""

    why: str


class WebhookActor(DurableActor):
    """`endpoint` None: it is no longer configured, and whatever alarm it has left is cleared.

    `fresh` has the names of those endpoints for which there is news that no attempt has looked at yet. `tally` counts
    what has become of the calls: `delivered`, `failed`, and of those `given_up`.
    """

    def __init__(
        self,
        actor_id: ActorId,
        runtime: Runtime,
        *,
        endpoint: Endpoint | None,
        courier: Courier,
        fresh: set[str],
        tally: Counter[str],
        log: Log,
    ) -> None:
        super().__init__(actor_id, runtime)
        self._clock = runtime.clock
        self._endpoint = endpoint
        self._courier = courier
        self._fresh = fresh
        self._tally = tally
        self._log = log.bind(endpoint=actor_id.name)
        self._standing: Standing | None = None

    def restore(self, cell: bytes | None) -> None:
        """See `DurableActor`."""
        self._standing = decode(cell)

    def receive(self, message: Any) -> Outcome:
        """See `DurableActor`."""
        standing, endpoint = self._standing, self._endpoint
        if isinstance(message, Begin) and standing is None and endpoint is not None:
            self._standing = Standing(cursor=message.cursor)
            return self._begin(endpoint, self._standing, lambda: self._log.info(lines.ADDED, after=message.cursor))
        if standing is None or endpoint is None:
            return self._rest(standing) if isinstance(message, WakeUp) else Outcome(None)
        match message:
            case WakeUp() | Begin() | News():
                return self._nudged(endpoint, standing, message)
            case Carried():
                return self._carried(endpoint, standing, message)
            case Replayed():
                return self._replayed(endpoint, standing, message)
            case Replay():
                return self._replay(endpoint, standing, message)
            case Enable():
                return self._begin(endpoint, enabled(standing), lambda: self._log.info(lines.ENABLED))
            case _:
                return Outcome(standing)

    def _nudged(self, endpoint: Endpoint, standing: Standing, message: WakeUp | Begin | News) -> Outcome:
        if isinstance(message, WakeUp):
            is_due = standing.due_ms is not None and standing.due_ms <= self._clock.now_ms()
            return self._begin(endpoint, standing) if is_due else self._store(standing)
        if standing.disabled_ms is not None:
            if isinstance(message, Begin):
                self._log.warning(lines.DISABLED, since=iso(standing.disabled_ms), reason=standing.last_error)
            return Outcome(None)
        # In a new process nothing is under way, whatever is armed; but a retry keeps its time.
        goes_on = not standing.failures if isinstance(message, Begin) else standing.due_ms is None
        return self._begin(endpoint, standing) if goes_on else Outcome(None)

    def _rest(self, standing: Standing | None) -> Outcome:
        """Without an endpoint: it keeps its place, should the endpoint come back, and is never woken again."""
        self._log.warning(lines.REMOVED)
        if standing is None:
            return Outcome(None, Write(self.actor_id, None, None))
        return self._store(structs.replace(standing, due_ms=None))

    def _begin(
        self,
        endpoint: Endpoint,
        standing: Standing,
        committed: Callable[[], None] | None = None,
        rows: Sequence[Put | Remove] = (),
    ) -> Outcome:
        """Arm the alarm, then try."""
        limit_ms = round(endpoint.timeout_seconds * 1000) + GRACE_MS
        standing = structs.replace(standing, due_ms=self._clock.now_ms() + limit_ms)
        self._fresh.discard(endpoint.name)
        replay_after, cursor = standing.replay_after, standing.cursor
        if replay_after is None:
            return self._store(standing, committed, rows)._replace(
                start_effect=lambda: self._courier.carry(endpoint, cursor)
            )
        return self._store(standing, committed, rows)._replace(
            start_effect=lambda: self._courier.replay(endpoint, replay_after)
        )

    def _store(
        self, standing: Standing, committed: Callable[[], None] | None = None, rows: Sequence[Put | Remove] = ()
    ) -> Outcome:
        self._standing = standing
        alarm = None if standing.due_ms is None else Alarm(standing.due_ms, Lane.NOTICE)
        return Outcome(standing, Write(self.actor_id, encode(standing), alarm, rows), committed)

    def _carried(self, endpoint: Endpoint, before: Standing, carried: Carried) -> Outcome:
        if carried.after != before.cursor or before.disabled_ms is not None or before.replay_after is not None:
            return Outcome(None)  # of an attempt that an operator's word has overtaken
        now_ms = self._clock.now_ms()
        follows = after(before, carried, now_ms, endpoint.give_up_ms)
        rows: list[Put | Remove] = []
        if follows.given_up and carried.failed is not None:
            message, failure = carried.failed
            attempts = before.failures + 1 if carried.through == carried.after else 1
            rows = [self._letter(message, attempts, failure.error, now_ms).kept()]

        def tell() -> None:
            self._tell(before, carried, follows.standing, given_up=follows.given_up)

        idle = follows.standing.due_ms is None and follows.standing.disabled_ms is None
        if follows.at_once or (idle and endpoint.name in self._fresh):
            return self._begin(endpoint, follows.standing, tell, rows)
        return self._store(follows.standing, tell, rows)

    def _replay(self, endpoint: Endpoint, standing: Standing, asked: Replay) -> Outcome:
        if standing.disabled_ms is not None:
            return Outcome(Refused("it is disabled, enable it first"))
        if asked.from_seq is not None and asked.from_seq > standing.cursor + 1:
            return Outcome(Refused(f"the next event is {standing.cursor + 1}, and none is left out"))
        well = enabled(standing)
        if asked.from_seq is not None:
            well = structs.replace(well, cursor=asked.from_seq - 1)
        if asked.dead_letters:
            well = structs.replace(well, replay_after=0)

        def tell() -> None:
            self._log.info(lines.REPLAY, from_seq=asked.from_seq, dead_letters=asked.dead_letters)

        return self._begin(endpoint, well, tell)

    def _replayed(self, endpoint: Endpoint, before: Standing, replayed: Replayed) -> Outcome:
        if replayed.after != before.replay_after or before.disabled_ms is not None:
            return Outcome(None)
        rows: list[Put | Remove] = [letter.gone() for letter in replayed.accepted]
        rows += [letter.kept() for letter in replayed.refused]
        ended = replayed.ended

        def tell() -> None:
            accepted, refused = len(replayed.accepted), len(replayed.refused)
            self._tally.update(delivered=accepted, failed=refused)
            reason = None if ended is None else ended.error
            if accepted or refused or reason:
                self._log.info(lines.REPLAYED, accepted=accepted, refused=refused, reason=reason)
            if ended is not None and ended.gone:
                self._log.error(lines.DISABLED, reason=ended.error)

        if ended is not None and ended.gone:
            off = structs.replace(
                before, replay_after=None, due_ms=None, disabled_ms=self._clock.now_ms(), last_error=ended.error
            )
            return self._store(off, tell, rows)
        follows = structs.replace(before, replay_after=replayed.through if replayed.more else None)
        return self._begin(endpoint, follows, tell, rows)

    def _tell(self, before: Standing, carried: Carried, now: Standing, *, given_up: bool) -> None:
        self._tally.update(delivered=carried.delivered, failed=carried.failed is not None, given_up=given_up)
        if carried.lost:
            self._log.error(lines.LOST, events=carried.lost, after=carried.after)
        if carried.trouble is not None:
            self._log.warning(lines.TROUBLE, reason=carried.trouble)
        if before.failures and carried.delivered:
            self._log.info(lines.RECOVERED, after_attempts=before.failures + 1)
        if carried.failed is None:
            return
        message, failure = carried.failed
        about = {"seq": message.seq, "type": message.type, "reason": failure.error}
        if given_up:
            self._log.error(lines.GIVEN_UP, **about)
        elif now.disabled_ms is not None:
            self._log.error(lines.DISABLED, **about)
        elif now.due_ms is not None:
            self._log.warning(lines.FAILED, **about, attempt=now.failures, when=iso(now.due_ms))

    def _letter(self, message: Message, attempts: int, error: str, now_ms: int) -> Letter:
        seq, webhook_id, kind, at, body = message
        return Letter(self.actor_id.name, seq, webhook_id, kind, at, body, attempts, iso(now_ms), error)
