"""What may be said to a user's session, what it answers, what becomes a fact, and what is to be done.

Four closed unions: `Message` goes in; `Reply`, `Event` and `Effect` come out of `machine.decide`.
"""

from enum import Enum

from msgspec import Struct

from labsessions.core.model import Lab, LabChanges, Session

# --- in ---------------------------------------------------------------------------------------------------


class Create(Struct, frozen=True, gc=False):
    """A client starts a lab. `generation` is a fresh UUID made by the service, never the client's `id`."""

    generation: str
    lab: Lab


class Update(Struct, frozen=True, gc=False):
    """A client changes members of its session; if it names `tags`, only while the session's tag is one of them."""

    changes: LabChanges
    tags: frozenset[str] | None = None


class ExtendBy(Struct, frozen=True, gc=False):
    """A client wants so many minutes more, times the session's time factor; less than 0 shortens.

    `tags` as for Update.
    """

    minutes: int | float
    tags: frozenset[str] | None = None


class ExtendUntil(Struct, frozen=True, gc=False):
    """A client wants its session to end at this instant, later or earlier, whatever the time factor.

    `tags` as for Update.
    """

    instant_ms: int
    tags: frozenset[str] | None = None


class Keyed(Struct, frozen=True, gc=False):
    """A request that is safe to send again, by the client's key. `digest`: of all that it says."""

    key: str
    digest: str
    message: Create | ExtendBy | ExtendUntil


class Delete(Struct, frozen=True, gc=False):
    """A client ends its session by hand; it asks the backend to delete the VM itself (CONTRACT §3.5).

    Where the policy says so, the service makes sure of the VMs after a while. `tags` as for Update.
    """

    tags: frozenset[str] | None = None


class Show(Struct, frozen=True, gc=False):
    """A client asks what there is."""


class Wake(Struct, frozen=True, gc=False):
    """A wake-up was delivered: a question, not an order. Late, early, doubled and stale ones are harmless."""


class AttemptEnded(Struct, frozen=True, gc=False):
    """The outcome of one attempt: which VMs the backend confirmed, and why the others are not (None: all are).

    Cleaned and CleanFailed of the design's table in one message: the stored confirmations decide which it is.
    `backend_up` decides nothing here: False if not one call got an answer that is about this lab (the circuit breaker
    counts those), True if one did, None if that isn't known.
    """

    generation: str
    attempt: int
    confirmed: tuple[str, ...]
    error: str | None
    backend_up: bool | None = None


class EndNow(Struct, frozen=True, gc=False):
    """An operator ends the session: its deadline is now, and the ordinary cleanup begins. No client can put it off."""


class RetryNow(Struct, frozen=True, gc=False):
    """An operator wants the next attempt at once: of the session that is being cleaned, or else of what is owed."""


class Forget(Struct, frozen=True, gc=False):
    """An operator gives up: session and obligations are gone, though the backend has not confirmed their VMs.

    With `session_id` only those with this id, the session's own or that of the one it was.
    """

    session_id: str | None = None


class Operated(Struct, frozen=True, gc=False):
    """What an operator does. `who` and `reason` decide nothing: they are for the audit, which has refusals as well."""

    who: str
    reason: str | None
    message: EndNow | RetryNow | Forget | ExtendBy | ExtendUntil


Plain = Create | Update | ExtendBy | ExtendUntil | Delete | Show | Wake | AttemptEnded | EndNow | RetryNow | Forget
Message = Plain | Keyed | Operated

# --- out: replies ----------------------------------------------------------------------------------------


class Refusal(Enum):
    """Why a request was refused. The HTTP layer owns the words and the status."""

    NOT_FOUND = "not_found"
    EXISTS = "exists"
    BEING_CLEANED = "being_cleaned"
    CHANGED = "changed"
    LIMIT_REACHED = "limit_reached"
    NOTHING_WAITS = "nothing_waits"
    ATTEMPT_RUNNING = "attempt_running"
    KEY_REUSED = "key_reused"


class Current(Struct, frozen=True, gc=False):
    """The session as it is after the message (Show, Create, Update), or as it was before (Delete).

    `owed`: the Delete has made an obligation of it, so that the service goes on to make sure of its VMs. `at_ms`: when
    this was first answered to a request with a key; `replayed`: the key was known, and nothing was done this time.
    """

    session: Session
    owed: bool = False
    at_ms: int | None = None
    replayed: bool = False


class Extended(Struct, frozen=True, gc=False):
    """The session with its new deadline, which is `granted_ms` later than the old one (less than 0: earlier).

    `partial`: more was asked for than the limit leaves; it now ends at the limit. `at_ms`, `replayed` as for Current.
    """

    session: Session
    granted_ms: int
    partial: bool
    at_ms: int | None = None
    replayed: bool = False


class Affected(Struct, frozen=True, gc=False):
    """What an operator's message was about: the parts as they are now (RetryNow), or as they were (Forget)."""

    parts: tuple[Session, ...]


class Done(Struct, frozen=True, gc=False):
    """The answer to a message that nobody waits for with a question: Wake and AttemptEnded."""


Reply = Current | Extended | Affected | Refusal | Done

# --- out: events -----------------------------------------------------------------------------------------


class Created(Struct, frozen=True, gc=False):
    """The session and its wake-up exist."""

    session: Session


class Updated(Struct, frozen=True, gc=False):
    """Members changed; the deadline was `old_expires_ms`."""

    session: Session
    old_expires_ms: int

    @property
    def deadline_moved(self) -> bool:
        """Whether the wake-up was armed anew."""
        return self.session.expires_ms != self.old_expires_ms


class Expiring(Struct, frozen=True, gc=False):
    """The session's end is near: `session.expires_ms - at_ms` is what is left. Once per deadline and lead time."""

    session: Session
    at_ms: int


class AttemptStarted(Struct, frozen=True, gc=False):
    """Cleanup attempt number `session.cleanup.attempts` begins; the first one means: deadline reached."""

    session: Session


class AttemptFailed(Struct, frozen=True, gc=False):
    """An attempt failed, `session.cleanup` says why and when the next one is due."""

    session: Session


class Stuck(Struct, frozen=True, gc=False):
    """The limit of attempts was reached: a label and an alert, never an end. Happens once per session."""

    session: Session


class Ended(Struct, frozen=True, gc=False):
    """The session is over at `at_ms`. `reason` is one of `record.END_REASONS`."""

    session: Session
    reason: str
    at_ms: int

    @property
    def lateness_ms(self) -> int | None:
        """From the deadline to the backend's confirmation of the last VM; None if it hasn't confirmed all of them."""
        return None if self.session.pending else self.at_ms - self.session.expires_ms


class Owed(Struct, frozen=True, gc=False):
    """A session that was deleted by hand has become an obligation: its VMs are deleted by the service, if need be."""

    session: Session


class TakenOver(Struct, frozen=True, gc=False):
    """The user's newer session names `vms` of an obligation: they are owed by the obligation no more."""

    session: Session
    vms: tuple[str, ...]


class Settled(Struct, frozen=True, gc=False):
    """An obligation is over: the backend has confirmed each of its VMs."""

    session: Session
    at_ms: int


class Forgotten(Struct, frozen=True, gc=False):
    """An operator has given an obligation up: its `pending` VMs may run on for ever."""

    session: Session


Event = (
    Created
    | Updated
    | Expiring
    | AttemptStarted
    | AttemptFailed
    | Stuck
    | Ended
    | Owed
    | TakenOver
    | Settled
    | Forgotten
)

# --- out: effects ----------------------------------------------------------------------------------------


class Clean(Struct, frozen=True, gc=False):
    """Ask the backend to remove the services of `master` and to delete the `vms`, within `limit_ms`.

    The outcome comes back as an `AttemptEnded` with the same generation and attempt. `services` False: leave the
    services alone, as `master` belongs to a newer session now.
    """

    generation: str
    attempt: int
    user_id: str
    master: str
    vms: tuple[str, ...]
    limit_ms: int
    services: bool = True


class Abandon(Struct, frozen=True, gc=False):
    """Stop the `Clean` of this generation: no further call is started and its outcome is not wanted."""

    generation: str


Effect = Clean | Abandon
