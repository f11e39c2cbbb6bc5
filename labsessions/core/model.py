"""The values of the domain: a lab, its session, the cleanup of it. No behaviour but what the fields imply.

Instants are integer milliseconds since 1970 UTC (`…_ms`); on the wire they are ISO 8601 (see `http.wire`).
Attribute names are Python's, encoded names are the contract's (CONTRACT §1, "Fields of a session").
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from functools import lru_cache
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field, structs

Status = Literal["active", "cleaning", "stuck"]

MS_PER_MINUTE = 60_000
# Two floats have at most 17 digits each, and the milliseconds of a minute have five: their product is exact.
_EXACT = Context(prec=40)


class Lab(Struct, frozen=True, kw_only=True, gc=False):
    """What the client says of a lab, as validated. `vm` and the lists keep members that we don't know.

    `duration` is in minutes. `time_factor` is for who needs more time than others: of a session, `duration` is what the
    client gave times this factor (`stretched`), so that the deadline is creation + duration for everybody.
    """

    id: str
    lab_id: str = field(name="labId")
    lab_title: str = field(name="labTitle")
    lab_group_id: str = field(name="labGroupID")
    module_id: str = field(name="moduleID")
    duration: int | float
    activated_at: str = field(name="activatedAt")
    counter_id: str = field(name="counterID")
    config_id: str = field(name="configId")
    worker_config_id: str = field(name="workerConfigId")
    lab_request_id: str
    user_id: str
    terminal_url: str
    validation: int
    vm: dict[str, Any]
    vscode_domain: str | None = None
    puku_domain: str | None = None
    worker_nodes: list[dict[str, Any]] | None = None
    load_balancers: list[dict[str, Any]] | None = field(name="loadBalancers", default=None)
    time_factor: int | float = 1


class LabChanges(Struct, frozen=True, kw_only=True, gc=False):
    """The members that a PUT may change; `UNSET` means untouched. Shapes as in `Lab`."""

    duration: int | float | UnsetType = UNSET
    terminal_url: str | UnsetType = UNSET
    vscode_domain: str | UnsetType = UNSET
    puku_domain: str | UnsetType = UNSET
    worker_nodes: list[dict[str, Any]] | UnsetType = UNSET
    load_balancers: list[dict[str, Any]] | UnsetType = field(name="loadBalancers", default=UNSET)


class Cleanup(Struct, frozen=True, kw_only=True, gc=False):
    """A cleanup under way: how often tried, what is confirmed, when it is tried next.

    `attempts` counts attempts begun. `in_flight` is True from the start of an attempt until its outcome is
    stored; found True when the backstop `retry_ms` has passed, the outcome was lost (a crash in mid-call).
    `confirmed` are the VMs whose deletion the backend has confirmed, never asked for again. `reason` is why the session
    ends: what the history will say of it.
    """

    attempts: int
    in_flight: bool
    retry_ms: int
    started_ms: int
    confirmed: tuple[str, ...] = ()
    last_error: str | None = None
    stuck_since_ms: int | None = None
    reason: str = "expired"


class Session(Struct, frozen=True, kw_only=True, gc=False):
    """One user's running lab, from the accepted POST to the confirmed cleanup or the DELETE.

    `generation` is a UUID of the service's own: it tells this session from a later one with the same ids.
    `version` counts the decisions that changed it. `vms` are all VMs that ever belonged to the session, the
    master first, each once: a worker that a later PUT no longer lists is still owed its deletion.

    `deleted_ms` is when it was deleted by hand; then it is an obligation: no client sees it any more, `cleanup` is
    there, and `vms` are those of its VMs that no newer session of the user names.

    `leads_ms` are the warnings still to come of this deadline: how long before it, the longest first.
    """

    generation: str
    version: int
    lab: Lab
    vms: tuple[str, ...]
    created_ms: int
    updated_ms: int
    expires_ms: int
    cleanup: Cleanup | None = None
    deleted_ms: int | None = None
    leads_ms: tuple[int, ...] = ()

    @property
    def status(self) -> Status:
        """`active` until the deadline, then `cleaning`, from the limit of attempts on labelled `stuck`."""
        if self.cleanup is None:
            return "active"
        return "cleaning" if self.cleanup.stuck_since_ms is None else "stuck"

    @property
    def tag(self) -> str:
        """Names this very state of this very session: another one never had it and never will."""
        return f"{self.generation}.{self.version}"

    @property
    def pending(self) -> tuple[str, ...]:
        """The VMs that the backend has still to confirm, in the order of `vms`."""
        confirmed = () if self.cleanup is None else self.cleanup.confirmed
        return tuple(vm for vm in self.vms if vm not in confirmed)

    @property
    def in_flight(self) -> bool:
        """Whether an attempt has begun whose outcome isn't stored."""
        return self.cleanup is not None and self.cleanup.in_flight

    @property
    def due_ms(self) -> int:
        """When it is to be attended to: for a warning, at the deadline, or for the next attempt."""
        if self.cleanup is not None:
            return self.cleanup.retry_ms
        return self.expires_ms - self.leads_ms[0] if self.leads_ms else self.expires_ms


class Answered(Struct, frozen=True, kw_only=True, gc=False):
    """What was answered at `at_ms` to a request with a key; remembered until `until_ms`.

    `digest` tells the request from another one with the same key. `granted_ms` and `partial` are of an extension.
    """

    key: str
    digest: str
    at_ms: int
    until_ms: int
    session: Session
    granted_ms: int | None = None
    partial: bool = False


class State(Struct, frozen=True, kw_only=True, gc=False):
    """All that is kept for one user: a product, of which each part may be absent. Nothing left, nothing stored.

    `owed` are the obligations, the oldest first: sessions deleted by hand whose VMs the service makes sure of. No VM
    belongs to two parts, and at most one part has an attempt in flight. `answered` are the answers to requests with
    keys, the newest last; they outlive the session, each until it lapses.
    """

    session: Session | None = None
    owed: tuple[Session, ...] = ()
    answered: tuple[Answered, ...] = ()


# Clients send few different durations, and each answer that shows a session asks for one.
@lru_cache(maxsize=1024)
def duration_ms(minutes: float, factor: float = 1) -> int:
    """Milliseconds of a duration in minutes, rounded up: never a millisecond short (CONTRACT §3.1).

    Decimal, because 0.05 * 60000 is 3000.0000000000005 in floating point and would round up to 3001. `factor`
    multiplies the duration.
    """
    exact = _EXACT.multiply(Decimal(repr(minutes)) * MS_PER_MINUTE, Decimal(repr(factor)))
    return int(exact.to_integral_value(ROUND_CEILING))


def minutes_of(ms: int) -> int | float:
    """The duration in minutes that `duration_ms` turns into exactly so many milliseconds.

    Rounded down to the millionth of a minute, 0.06 ms: fifteen digits at most, of which a float loses none.
    """
    minutes, rest = divmod(ms, MS_PER_MINUTE)
    return ms * 50 // 3 / 1_000_000 if rest else minutes


def stretched(lab: Lab) -> Lab:
    """The lab of a session for what a client has sent: its duration is multiplied by the time factor."""
    if lab.time_factor == 1:
        return lab
    return structs.replace(lab, duration=minutes_of(duration_ms(lab.duration, lab.time_factor)))


def named_vms(lab_request_id: str, worker_nodes: Sequence[dict[str, Any]] | None) -> tuple[str, ...]:
    """The VM ids of a lab: the master, then each distinct worker, in order (CONTRACT §2, step 2)."""
    workers = (node["worker_lab_request_id"] for node in worker_nodes or ())
    return tuple(dict.fromkeys((lab_request_id, *workers)))
