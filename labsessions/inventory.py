"""What the parts need of each other for the sake of orphans: VMs that the backend has and nobody here speaks of.

Protocols and values, as in `ports`.
"""

from enum import Enum
from typing import NamedTuple, Protocol


class ListedVm(NamedTuple):
    """A VM as the backend lists it; `created_ms` is None if its age isn't known, `user_id` if its owner isn't."""

    lab_request_id: str
    created_ms: int | None
    user_id: str | None


class OrphansError(Exception):
    """It cannot be told which VMs are orphans; the text says why. Nothing was deleted."""


class Inventory(Protocol):
    """The VMs that there are at the lab backend."""

    async def listed(self) -> list[ListedVm]:
        """All of them, each once. OrphansError unless the list is whole and understood: it is never taken as empty."""
        ...


class VmDeleter(Protocol):
    """The calls of CONTRACT §2 for one VM."""

    async def delete_services(self, master: str, seconds: float) -> str | None:
        """None, or the reason why it failed. Never raises but on cancellation."""
        ...

    async def delete_vm(self, vm: str, user_id: str, seconds: float) -> str | None:
        """None if it is confirmed, or the reason. Never raises but on cancellation."""
        ...


class OrphanReport(NamedTuple):
    """What the backend lists at `at_ms` and nobody here speaks of, the oldest first, those of unknown age last.

    `listed` is the length of the list, `known` how many of it belong to sessions and obligations.
    """

    at_ms: int
    listed: int
    known: int
    orphans: list[ListedVm]


class SweepOrder(NamedTuple):
    """Which orphans to delete: of at least this age, the oldest first, at most `most`.

    `unknown_age`: those whose age isn't known too. `only`: none but these. `expected`: refuse if another number than
    this is of that age. `none_known`: go on although not one of the listed VMs is known here. `by` is who wants it.
    """

    min_age_ms: int
    most: int
    dry_run: bool
    expected: int | None = None
    unknown_age: bool = False
    only: frozenset[str] | None = None
    none_known: bool = False
    by: str = "operator"


class SweptVm(NamedTuple):
    """What became of an orphan: deleted; `error` says why it is not; None and not deleted: it isn't one any more."""

    vm: ListedVm
    deleted: bool
    error: str | None = None


class Swept(NamedTuple):
    """`matched` orphans were to be deleted, before the cap. `chosen` are those within; `done` is empty of a dry run.

    `stopped` says why the sweep ended before the last of them.
    """

    at_ms: int
    matched: int
    chosen: list[ListedVm]
    done: list[SweptVm]
    stopped: str | None = None


class SweepRefusal(Enum):
    """Why a sweep was not begun."""

    RUNNING = "running"
    CHANGED = "changed"
    NONE_KNOWN = "none_known"
    HELD = "held"


class SweepRefusedError(Exception):
    """A sweep was not begun; `detail` has the number or the words that belong to the reason."""

    def __init__(self, reason: SweepRefusal, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Orphans(Protocol):
    """VMs of the backend that no session and no obligation speaks of."""

    async def report(self) -> OrphanReport:
        """Which there are. Changes nothing; may raise OrphansError."""
        ...

    async def sweep(self, order: SweepOrder) -> Swept:
        """Delete them, one after the other. May raise OrphansError and SweepRefusedError."""
        ...
