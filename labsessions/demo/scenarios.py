"""The labs of the demo, as data: what happens to each, and what is expected of the service. No I/O."""

from typing import Final

from msgspec import Struct

# From a failed attempt to the next one: short, so that two failures fit into the demo, and long enough for an
# attempt's limit, which is half of it, to be no matter on a busy machine.
RETRY_SECONDS: Final = 3.0
RETRY_SPREAD: Final = 0.1


class Scenario(Struct, frozen=True, kw_only=True):
    """One user's lab of `minutes`, the API's unit, and what happens to it.

    `failures`: how often the backend refuses to delete the master. `deleted_by_hand` and `extended_to` (minutes
    from the creation) are what the client does when half of the time is over.
    """

    user: str
    title: str
    expected: str
    minutes: float
    workers: int = 0
    failures: int = 0
    deleted_by_hand: bool = False
    extended_to: float | None = None

    @property
    def vms(self) -> tuple[str, ...]:
        """The VMs of the lab, the master first."""
        workers = (f"{self.user}-worker-{number}" for number in range(1, self.workers + 1))
        return (f"{self.user}-vm", *workers)

    @property
    def owed(self) -> tuple[str, ...]:
        """The VMs that the service has to ask the backend for, in this order."""
        return () if self.deleted_by_hand else self.vms

    @property
    def durations_ms(self) -> tuple[int, ...]:
        """How long after the creation each deadline is that the client is to be told."""
        durations = (self.minutes,) if self.extended_to is None else (self.minutes, self.extended_to)
        return tuple(round(minutes * 60_000) for minutes in durations)

    @property
    def answers(self) -> tuple[str, ...]:
        """What the client is to be answered, from the creation to the end of the session."""
        put = ("PUT 200",) if self.extended_to is not None else ()
        delete = ("DELETE 200",) if self.deleted_by_hand else ()
        return ("POST 201", *put, *delete, "GET 404")


SCENARIOS: Final = (
    Scenario(
        user="alice",
        title="a single VM",
        expected="deleted once, not before the deadline and promptly after it",
        minutes=0.05,
    ),
    Scenario(
        user="bob",
        title="a Kubernetes lab with two workers",
        expected="master and both workers deleted, once each, in order",
        minutes=0.07,
        workers=2,
    ),
    Scenario(
        user="carol",
        title="a VM whose deletion fails twice",
        expected="listed as cleaning with the error, 3 attempts at the retry interval, deleted in the end",
        minutes=0.03,
        failures=2,
    ),
    Scenario(
        user="dave",
        title="a VM, its session deleted by hand",
        expected="the backend is never asked, even past the deadline",
        minutes=0.06,
        deleted_by_hand=True,
    ),
    Scenario(
        user="erin",
        title="a VM, its time extended by PUT",
        expected="left alone at the old deadline, deleted after the new one",
        minutes=0.05,
        extended_to=0.1,
    ),
)
