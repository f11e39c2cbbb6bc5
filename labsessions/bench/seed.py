"""Fills a data directory with sessions as the service would have, only faster: no HTTP, no log lines, large commits.

They are decided, encoded and projected by the service's own functions and written by its own store, so what is there
afterwards is what a million POSTs would have left. The directory must not be in use.
"""

import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from actors.directory import DataDirectory
from actors.sqlite import open_store
from actors.storage import Write
from labsessions.bench.labs import lab_body
from labsessions.bootstrap import DATABASE
from labsessions.core.machine import decide
from labsessions.core.messages import Create
from labsessions.core.model import State
from labsessions.core.policy import Policy
from labsessions.engines.embedded import write_of
from labsessions.engines.tables import schema
from labsessions.http.fields import SessionFields

BATCH: Final = 5_000  # sessions in one commit: 20 MB of WAL, while a sync costs as little as it does for one
MS_PER_MINUTE: Final = 60_000
_POLICY: Final = Policy()
_FIELDS: Final = SessionFields(_POLICY.max_total_minutes, _POLICY.max_total_minutes)


class Waiting(NamedTuple):
    """A session to seed: created then, over `duration_ms` later."""

    user: str
    created_ms: int
    duration_ms: int


async def seed(data: Path, sessions: Iterable[Waiting]) -> None:
    """Write the sessions into the data directory, which is made if needed. Raises StoreError if it is in use."""
    directory = DataDirectory(data)
    directory.claim()
    try:
        store = await open_store(data / DATABASE, (schema(),))
        try:
            for batch in _batches(sessions):
                await store.apply(batch)
        finally:
            await store.close()
    finally:
        directory.release()


def _batches(sessions: Iterable[Waiting]) -> Iterator[list[Write]]:
    left = iter(sessions)
    while batch := [created(each) for each in islice(left, BATCH)]:
        yield batch


def created(waiting: Waiting) -> Write:
    """What the service writes when this session is created."""
    user, created_ms, duration_ms = waiting
    lab = _FIELDS.lab(lab_body(user, duration_ms / MS_PER_MINUTE), new_id=str(uuid.uuid4()))
    decision = decide(State(), Create(str(uuid.uuid4()), lab), created_ms, _POLICY)
    return write_of(user, decision.state, decision.events, created_ms, before=State())
