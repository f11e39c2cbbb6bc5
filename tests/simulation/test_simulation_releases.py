"""Cells of another release are other bytes that say the same, and the simulator starts on them."""

import random

import pytest
from hypothesis import given
from strategies import seeded, states

from actors.ids import ActorId
from actors.testing import MemoryDisk
from labsessions.core.codec import decode, encode
from labsessions.core.model import State
from labsessions.simulation import run_campaign
from labsessions.simulation.books import Books
from labsessions.simulation.releases import of_another_release, rewrite


@seeded
@given(states)
def test_nothing_is_lost(state: State) -> None:
    """Either way, and for any state."""
    stored = encode(state)
    if stored is not None:
        for seed in range(4):
            assert decode(of_another_release(random.Random(seed), stored)) == state  # noqa: S311


@seeded
@given(states)
def test_one_release_may_follow_another(state: State) -> None:
    """Also on cells that this one hasn't written again in between."""
    stored = encode(state)
    rng = random.Random(1)  # noqa: S311
    for _ in range(4):
        if stored is not None:
            stored = of_another_release(rng, stored)
            assert decode(stored) == state


@seeded
@given(states)
def test_the_cell_is_another_one(state: State) -> None:
    """An older release writes less, unless each later member says something; a newer one writes more."""
    stored = encode(state)
    if stored is not None:
        lengths = {len(of_another_release(random.Random(seed), stored)) for seed in range(8)}  # noqa: S311
        assert max(lengths) > len(stored) >= min(lengths)


def test_the_whole_disk_is_rewritten_and_the_books_know() -> None:
    """Or each cell would look as if somebody had written it unseen."""
    disk, books = MemoryDisk(), Books(elapsed_ms=lambda: 0, wall_ms=lambda: 0)
    cells = {ActorId("SessionManager", name): b'{"v":1,"state":{"session":null,"owed":[]}}' for name in "ab"}
    disk.cells |= cells
    rewrite(random.Random(1), disk, books)  # noqa: S311
    assert disk.cells.keys() == cells.keys()
    for actor_id, cell in disk.cells.items():
        assert cell != cells[actor_id]
        assert books.of(actor_id.name).cell is cell


@pytest.mark.slow
def test_some_processes_start_on_them() -> None:
    """Of a few seeds at least one does."""
    assert run_campaign(24, 12, 40).counts["starts on cells of another release"] > 0
