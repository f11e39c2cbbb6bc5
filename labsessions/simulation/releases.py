"""Cells as another release would have left them: an older one that lacked some members, or one that is yet to come.

A start on such cells is an upgrade, or the way back from one. Nothing is lost by it: what the service reads must be
what was stored (the journal holds the next decision against that).
"""

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec

from actors.testing import MemoryDisk
from labsessions.simulation.books import Books

# Members that came after the first release, each with the value that says as much as its absence.
ADDED: Final[dict[str, dict[str, Any]]] = {
    "state": {"owed": [], "answered": []},
    "session": {"deleted_ms": None, "leads_ms": []},
    "lab": {"time_factor": 1},
    "cleanup": {"reason": "expired"},
}


def rewrite(rng: Random, disk: MemoryDisk, books: Books) -> None:
    """Another release was there in between, and has left every cell in its own form."""
    for actor_id, cell in disk.cells.items():
        books.of(actor_id.name).cell = disk.cells[actor_id] = of_another_release(rng, cell)


def of_another_release(rng: Random, cell: bytes) -> bytes:
    """The cell as an older or a newer release would have stored the same state."""
    document = msgspec.json.decode(cell)
    older = rng.random() < 0.5  # noqa: PLR2004 - one or the other
    for kind, members in _objects(document["state"]):
        if older:
            for name, nothing in ADDED[kind].items():
                if name in members and members[name] == nothing:
                    del members[name]
        else:
            members["of_a_newer_release"] = {"kind": kind, "values": [1, None]}
    return msgspec.json.encode(document)


def _objects(state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    parts = [part for part in (state["session"], *state.get("owed", ())) if part is not None]
    yield "state", state
    for part in parts:
        yield "session", part
        yield "lab", part["lab"]
        if part["cleanup"] is not None:
            yield "cleanup", part["cleanup"]
