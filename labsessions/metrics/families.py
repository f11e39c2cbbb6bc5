"""Every metric: its name, its type, what it means, its labels. The page `metrics.md` has the same as a table.

Names begin with `lab_`, units are base units. No label has a user's id in it, and each has few values.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client.core import Metric

from actors.stats import Histogram


class Kind(Enum):
    """How a metric behaves; the text is Prometheus's word for it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


_SUFFIXES: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.GAUGE: ("",),
    Kind.COUNTER: ("_total",),
    Kind.HISTOGRAM: ("_bucket", "_count", "_sum"),
    Kind.INFO: ("_info",),
}


class Family(NamedTuple):
    """A metric; `name` is without the ending that its samples have by its kind."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def sample_names(self) -> tuple[str, ...]:
        """What its samples are called, and so what queries name."""
        return tuple(f"{self.name}{suffix}" for suffix in _SUFFIXES[self.kind])

    def empty(self) -> Metric:
        """The family without samples."""
        return Metric(self.name, self.help, self.kind.value)

    def of(self, values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        """The family with a sample for each tuple of label values. Not for histograms."""
        metric = self.empty()
        (name,) = self.sample_names
        for labels, value in values:
            metric.add_sample(name, dict(zip(self.labels, labels, strict=True)), value)
        return metric

    def one(self, value: float) -> Metric:
        """The family without labels, with its one sample."""
        return self.of([((), value)])

    def distributions(self, values: Iterable[tuple[tuple[str, ...], Histogram]]) -> Metric:
        """The family, a histogram, with the samples for each tuple of label values."""
        metric = self.empty()
        bucket, count, total = self.sample_names
        for values_of_labels, histogram in values:
            labels = dict(zip(self.labels, values_of_labels, strict=True))
            below = list(accumulate(histogram.counts))
            for bound, number in zip((*histogram.bounds, float("inf")), below, strict=True):
                le = "+Inf" if bound == float("inf") else str(float(bound))
                metric.add_sample(bucket, {**labels, "le": le}, number)
            metric.add_sample(count, labels, below[-1])
            metric.add_sample(total, labels, histogram.total)
        return metric


_G, _C, _H = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM

# --- sessions and their cleanups ---------------------------------------------------------------------------

SESSIONS = Family("lab_sessions", _G, "Sessions there are, by state: active, cleaning, stuck.", ("state",))
OVERDUE = Family("lab_overdue_sessions", _G, "Sessions whose deadline has passed and that are not cleaned up yet.")
OLDEST_OVERDUE = Family("lab_oldest_overdue_seconds", _G, "How long ago the first of their deadlines passed; 0: none.")
OBLIGATIONS = Family(
    "lab_owed_vms", _G, "VMs of deleted sessions of which the service makes sure, by state.", ("state",)
)
CREATED = Family("lab_sessions_created", _C, "Sessions created.")
ENDED = Family("lab_sessions_ended", _C, "Sessions that have ended, by reason.", ("reason",))
LATENESS = Family("lab_delete_lateness_seconds", _H, "From a session's deadline to the confirmation of its last VM.")
ATTEMPTS_STARTED = Family("lab_delete_attempts_started", _C, "Cleanup attempts begun, of sessions and of owed VMs.")
ATTEMPTS = Family(
    "lab_delete_attempts",
    _C,
    "Cleanup attempts that have ended, by outcome: confirmed, failed, abandoned.",
    ("outcome",),
)
STUCK = Family("lab_stuck", _C, "How often a session, or the VMs of a deleted one, have been labelled as stuck.")

# --- the lab backend ---------------------------------------------------------------------------------------

BACKEND = Family(
    "lab_backend_request_seconds",
    _H,
    "Calls to the lab backend with their quick retries, by route, and status or kind of error.",
    ("route", "code"),
)
BREAKER = Family(
    "lab_backend_breaker_state", _G, "1 for the state of the circuit breaker, 0 for the others.", ("state",)
)

# --- the scheduler -----------------------------------------------------------------------------------------

HEARTBEAT = Family(
    "lab_scheduler_heartbeat_timestamp_seconds",
    _G,
    "When the dispatcher of wake-ups was in order; 0: it has ended.",
)
UNDELIVERABLE = Family("lab_undeliverable_wakeups", _G, "Wake-ups that could not be delivered when last tried.")
SLOTS = Family("lab_slots_in_use", _G, "Slots for cleanup attempts that are taken.")
SLOTS_LIMIT = Family("lab_slots", _G, "Slots for cleanup attempts that there are (cleanup.concurrency).")
EFFECTS = Family("lab_attempts_running", _G, "Cleanup attempts that run, in slots and beside them.")
RESIDENT = Family("lab_resident_actors", _G, "Sessions in memory.")
PAUSED = Family("lab_paused", _G, "1 while an operator has paused cleanups, else 0.")
CLOCK_HELD = Family("lab_clock_held", _G, "1 while wake-ups wait as the clock was set far forward, else 0.")
CLOCK_STEPS = Family("lab_clock_steps", _C, "How often the machine's clock was seen to be set, forward or back.")
CLOCK_STEP = Family("lab_clock_step_seconds", _G, "By how much the clock was set last; less than 0: back; 0: never.")
LAG = Family("lab_event_loop_lag_seconds", _H, "How late the event loop serves a timer, sampled twice a second.")

# --- the store ---------------------------------------------------------------------------------------------

COMMIT_SECONDS = Family("lab_commit_seconds", _H, "Transactions of the one writer, each with all that waited for it.")
COMMIT_SIZE = Family("lab_commit_operations", _H, "Writes of actors in a transaction.")
COMMIT_FAILURES = Family("lab_commit_failures", _C, "Transactions that have failed; none of it was acknowledged.")
READABLE = Family("lab_store_readable", _G, "1 if the store has answered, else 0; then what only it knows lacks.")
FREE = Family("lab_store_free_bytes", _G, "Room for the data on its file system.")
BACKUP = Family("lab_backup_timestamp_seconds", _G, "When the last backup was made; 0: never, as far as is known.")

# --- requests, and the process -----------------------------------------------------------------------------

REQUESTS = Family(
    "lab_http_requests", _C, "Requests, by method, route and status, without streams.", ("method", "route", "code")
)
REQUEST_SECONDS = Family(
    "lab_http_request_seconds", _H, "From a request to its answer, by method and route.", ("method", "route")
)
BUILD = Family("lab_build", Kind.INFO, "Always 1: the release and the Python that it runs on.", ("version", "python"))
STARTED = Family("lab_start_timestamp_seconds", _G, "When the process began to serve.")

# --- parts that may be absent: then they have no samples ---------------------------------------------------

ORPHANS = Family("lab_suspected_orphans", _G, "VMs that the backend lists and no session or obligation names.")
DELIVERIES = Family(
    "lab_webhook_deliveries", _C, "Attempts to deliver a webhook, by endpoint and outcome.", ("endpoint", "outcome")
)
DEAD_LETTERS = Family("lab_webhook_dead_letters", _G, "Events given up, by endpoint.", ("endpoint",))
WEBHOOK_LAG = Family("lab_webhook_lag_events", _G, "Events an endpoint has still to be told of.", ("endpoint",))

FAMILIES: Final[tuple[Family, ...]] = tuple(each for each in list(globals().values()) if isinstance(each, Family))
"""All of them, in the order above."""
