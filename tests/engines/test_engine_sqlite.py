"""The SessionManager on a real file: one transaction, rows that operators can query, and messages as envelopes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from builders import GENERATION, NOW, OTHER_GENERATION, POLICY, User, lab, worker_nodes
from msgspec import structs

from actors.mailbox import Mailbox
from actors.runtime import Runtime
from actors.schema import Schema
from actors.sqlite import open_store
from actors.testing import ManualClock
from labsessions.core.messages import AttemptEnded, Clean, Create, Current, Delete, Keyed, Refusal, Show, Update
from labsessions.core.model import LabChanges, State
from labsessions.core.projection import HISTORY_COLUMNS, ROW_COLUMNS, history, row
from labsessions.engines import embedded
from labsessions.engines.tables import projected, schema


class NoCleaner:
    """For stories that end before the deadline."""

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        raise AssertionError(f"nothing is due, but {effect} was asked for")


@asynccontextmanager
async def engine(path: Path) -> AsyncIterator[embedded.EmbeddedEngine]:
    """An engine on the file at `path`."""
    store = await open_store(path, (schema(),))
    runtime = Runtime(store, ManualClock())
    runtime.start()
    try:
        yield embedded.EmbeddedEngine(runtime, NoCleaner(), POLICY)
    finally:
        await runtime.stop(0)


def query(path: Path, sql: str) -> list[dict[str, Any]]:
    """What an operator sees with `sqlite3`."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(found) for found in database.execute(sql)]


async def test_the_row_follows_the_session_while_the_service_runs(tmp_path: Path) -> None:
    """labs_sessions shows a session from the answer to its POST to its end, all columns by the contract's names."""
    path = tmp_path / "db"
    async with engine(path) as sessions:
        created = await sessions.ask("user-1", Create(GENERATION, lab(worker_nodes=worker_nodes("w1"))))
        assert isinstance(created, Current)
        (shown,) = query(path, "SELECT * FROM labs_sessions")
        assert shown == row(State(session=created.session))
        await sessions.ask("user-1", Update(LabChanges(duration=90.5, terminal_url="wss://new")))
        (shown,) = query(path, "SELECT * FROM labs_sessions")
        assert (shown["duration"], shown["terminal_url"], shown["version"]) == (90.5, "wss://new", 2)
        await sessions.ask("user-1", Delete())
        assert query(path, "SELECT * FROM labs_sessions") == []
        (ended,) = query(path, "SELECT * FROM session_history")
        assert (ended["user_id"], ended["end_reason"], ended["lateness_ms"]) == ("user-1", "deleted", None)


async def test_the_history_keeps_every_session_of_a_user(tmp_path: Path) -> None:
    """A line for each generation, written in the transaction that ended it."""
    path = tmp_path / "db"
    async with engine(path) as sessions:
        for generation in (GENERATION, OTHER_GENERATION):
            await sessions.ask("user-1", Create(generation, lab()))
            await sessions.ask("user-1", Delete())
    assert [ended["generation"] for ended in query(path, "SELECT * FROM session_history")] == [
        GENERATION,
        OTHER_GENERATION,
    ]


async def test_sessions_are_there_after_a_restart(tmp_path: Path) -> None:
    """What was acknowledged is on disk, with its wake-up."""
    path = tmp_path / "db"
    async with engine(path) as sessions:
        before = await sessions.ask("user-1", Create(GENERATION, lab()))
    async with engine(path) as sessions:
        assert await sessions.ask("user-1", Show()) == before
    assert isinstance(before, Current)
    assert query(path, "SELECT due_ms, lane FROM actor_cells") == [{"due_ms": before.session.expires_ms, "lane": 0}]


async def test_a_request_reaches_the_actor_as_a_pykka_envelope(tmp_path: Path) -> None:
    """The mailbox is the one door: what HTTP asks arrives in it as an envelope with a future for the reply."""
    seen: list[object] = []

    class ObservedMailbox(Mailbox):
        __slots__ = ()

        def put(self, envelope: Any, /) -> None:
            seen.append((type(envelope).__module__, envelope.message, envelope.reply_to is not None))
            super().put(envelope)

    class Observed(embedded.SessionManager):
        @staticmethod
        def _create_actor_inbox() -> Mailbox:
            return ObservedMailbox()

    store = await open_store(tmp_path / "db", (schema(),))
    runtime = Runtime(store, ManualClock())
    try:
        sessions = embedded.EmbeddedEngine(runtime, NoCleaner(), POLICY, manager=Observed)
        await sessions.ask("user-1", Show())
    finally:
        await runtime.stop(0)
    assert seen == [("pykka._envelope", Show(), True)]


def test_the_columns_are_those_of_the_rows() -> None:
    """The statements list the columns in the order in which the rows give the values."""
    user = User().create()
    shown = row(user.state)
    assert shown is not None
    assert tuple(shown) == ROW_COLUMNS
    decision = user.say(Delete(), user.session.created_ms)
    (ended,) = decision.events
    assert tuple(history(ended)) == HISTORY_COLUMNS  # type: ignore[arg-type]
    assert len(projected("user-1", decision.state, decision.events, NOW)) == 3


async def test_an_answer_to_a_key_is_durable_with_what_was_done(tmp_path: Path) -> None:
    """After a crash between commit and answer, whoever asks again is told of the session that there is."""
    path = tmp_path / "db"
    async with engine(path) as sessions:  # whose answer nobody has heard
        first = await sessions.ask("user-1", Keyed("k", "d", Create(GENERATION, lab())))
    async with engine(path) as sessions:
        again = await sessions.ask("user-1", Keyed("k", "d", Create(OTHER_GENERATION, lab())))
        assert isinstance(first, Current)
        assert again == structs.replace(first, replayed=True)
        await sessions.ask("user-1", Delete())
    async with engine(path) as sessions:
        assert await sessions.ask("user-1", Keyed("k", "d", Create(OTHER_GENERATION, lab()))) == again
        assert await sessions.ask("user-1", Show()) is Refusal.NOT_FOUND
    assert query(path, "SELECT generation FROM session_history") == [{"generation": GENERATION}]
    assert first.at_ms is not None
    assert query(path, "SELECT due_ms FROM actor_cells") == [{"due_ms": first.at_ms + POLICY.keys_kept_ms}]


async def test_of_requests_with_one_key_at_once_one_is_done(tmp_path: Path) -> None:
    """The mailbox takes them one after the other, each after the commit of the last."""
    async with engine(tmp_path / "db") as sessions:
        asked = [Keyed("k", "d", Create(generation, lab())) for generation in (GENERATION, OTHER_GENERATION)]
        replies = await asyncio.gather(*(sessions.ask("user-1", message) for message in asked))
    assert [(reply.session.generation, reply.replayed) for reply in replies if isinstance(reply, Current)] == [
        (GENERATION, False),
        (GENERATION, True),
    ]


async def test_the_history_of_a_file_is_numbered_in_its_order(tmp_path: Path) -> None:
    """A file from before the lines had numbers keeps each line, the older ones first."""
    path = tmp_path / "labs.db"
    before = Schema("labsessions", schema().steps[:5])
    await (await open_store(path, (before,))).close()
    lines = [(f"g{number}", f"u{number % 2}", *"ilvce", f"t{9 - number}", "expired", 1, 0, "") for number in (3, 1, 2)]
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executemany(f"INSERT INTO session_history VALUES ({','.join('?' * 12)})", lines)  # noqa: S608 - marks
    await (await open_store(path, (schema(),))).close()
    numbered = query(path, "SELECT * FROM session_history ORDER BY seq")
    assert [tuple(line.values()) for line in numbered] == [(seq, *line) for seq, line in enumerate(lines, start=1)]
    assert [*numbered[0]] == ["seq", *HISTORY_COLUMNS]
