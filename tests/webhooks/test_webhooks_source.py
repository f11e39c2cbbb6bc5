"""What endpoints are told of, on a real file: pages in order, what is pruned, dead letters as they were kept."""

from pathlib import Path

from actors.ids import ActorId
from actors.sqlite import open_store
from actors.storage import Append, Prune, Write
from labsessions.core.record import EVENT_COLUMNS
from labsessions.engines.tables import EVENTS, schema
from labsessions.webhooks.source import PAGE, Extent, Letter, StoredSource

NOBODY = ActorId("Webhook", "nobody")


async def test_events_and_extent(tmp_path: Path) -> None:
    """Page by page after a number; nothing was ever stored, something is, all is pruned."""
    store = await open_store(tmp_path / "db", (schema(),))
    source = StoredSource(store.query)
    assert (await source.extent(), await source.events(0)) == (Extent(0, 0), [])
    rows = [Append(EVENTS, ("at", "ada", "g", "s", "session.created", "{}"))] * (PAGE + 5)
    await store.apply([Write(NOBODY, None, None, rows)])
    assert [row["seq"] for row in await source.events(3)] == list(range(4, PAGE + 4))
    assert (await source.events(PAGE + 4))[0] == {
        "seq": PAGE + 5,
        **dict(zip(EVENT_COLUMNS, rows[0].values, strict=True)),
    }
    await store.apply([Prune(EVENTS, 7)])
    assert await source.extent() == Extent(7, PAGE + 5)
    await store.apply([Prune(EVENTS, PAGE + 5)])
    assert await source.extent() == Extent(PAGE + 5, PAGE + 5)
    await store.close()


async def test_dead_letters(tmp_path: Path) -> None:
    """Kept, changed, gone; each endpoint has its own."""
    store = await open_store(tmp_path / "db", (schema(),))
    source = StoredSource(store.query)
    letters = [
        Letter("ops", seq, f"msg_{seq}", "session.stuck", "at", "{}", 9, "then", "HTTP 400") for seq in (3, 1, 2)
    ]
    other = letters[0]._replace(endpoint="other")
    await store.apply([Write(NOBODY, None, None, [letter.kept() for letter in (*letters, other)])])
    assert [letter.seq for letter in await source.letters("ops", 0)] == [1, 2, 3]
    assert await source.letters("ops", 1, 1) == [letters[2]]
    assert await source.letter_counts() == {"ops": 3, "other": 1}
    changed = letters[0]._replace(attempts=10)
    await store.apply([Write(NOBODY, None, None, [changed.kept(), letters[1].gone()])])
    assert await source.letters("ops", 0) == [letters[2], changed]
    assert await source.letters("other", 0) == [other]
    await store.close()
