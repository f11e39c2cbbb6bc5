"""The wake-ups as a whole: can they be delivered, and are they on time?"""

from collections.abc import Iterator
from typing import Final

from labsessions.core.projection import iso
from labsessions.doctor.census import Census
from labsessions.doctor.findings import Finding, ok, warning

CHECK: Final = "wake-ups"
# A burst of thousands is served within this; what is older waits for something.
LATE_MS: Final = 60_000


def check(census: Census, *, held: bool | None) -> Iterator[Finding]:
    """`held`: whether a service is running on the data; None if that cannot be told."""
    if census.undeliverable:
        found = f"{census.undeliverable} cannot be delivered, e.g. {census.undeliverable_example}"
        yield warning(CHECK, found, "see delivery_error in actor_cells, and Troubleshooting")
    if census.paused is not None:
        yield warning(CHECK, f"cleanups are {census.paused}", "POST /api/v1/admin/resume lets them go on before that")
    late = census.oldest_due_ms is not None and census.now_ms - census.oldest_due_ms > LATE_MS
    if not census.due or (held and not late):
        yield ok(CHECK, f"none is overdue ({census.due} just due)" if census.due else "none is overdue")
    elif held and census.paused is not None:
        yield ok(CHECK, f"{census.due} wait for the end of the pause, the oldest since {_since(census)}")
    elif held:
        found = f"{census.due} are due, the oldest since {_since(census)}"
        yield warning(CHECK, found, "see /health/ready; raise cleanup.concurrency or cleanup.rate_per_second")
    else:
        found = f"{census.due} are due, the oldest since {_since(census)}"
        yield warning(CHECK, found, "start the service: it serves them at once, oldest first")


def _since(census: Census) -> str:
    return iso(census.oldest_due_ms or census.now_ms)
