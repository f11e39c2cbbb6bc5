"""The front door of operators over a real file, its clock in the test's hands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from http_driven import SESSIONS, START_MS, Api, DrivenReadiness, lab_body
from pytest_aiohttp import AiohttpClient

from actors.runtime import Runtime
from actors.sqlite import SqliteStore, open_store
from actors.testing import ManualClock
from labsessions.core.messages import AttemptEnded, Clean
from labsessions.core.policy import Policy
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.engines.tables import schema
from labsessions.feed import Feed
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.group_read import read_group
from labsessions.operators.overview import ServiceOverview
from labsessions.repository import EventTail, Repository, StoredSurvey

ADMIN = "/api/v1/admin"


class AdminWorld:
    """The service's parts; its backend confirms everything, unless `error` says otherwise."""

    def __init__(self, store: SqliteStore, folder: Path) -> None:
        self.clock = ManualClock(START_MS)
        self.store = store
        self.runtime = Runtime(store, self.clock)
        self.feed = Feed()
        self.error: str | None = None
        self.engine = EmbeddedEngine(self.runtime, self, Policy(), announce=self.feed.announce)
        self.record = Repository(store.query, self.clock.now_ms, self.feed)
        self.survey = StoredSurvey(store.query, store.query, self.clock.now_ms)
        self.tail = EventTail(store.query, self.record.span, self.feed)
        self.readiness = DrivenReadiness()
        self.overview = ServiceOverview(self.runtime, store.query, self.readiness, folder, "1.2.3")
        self.api: Api

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        confirmed = effect.vms if self.error is None else ()
        return AttemptEnded(effect.generation, effect.attempt, confirmed, self.error)

    async def serve(self, client: AiohttpClient, options: ApiOptions) -> Self:
        """Open the front door."""
        group = read_group(self.survey, self.overview, self.tail, self.clock.now_ms, options)
        app = make_app(self.engine, self.readiness, options, record=self.record, groups=(group,))
        self.api = await client(app)
        return self

    async def create(self, user_id: str = "ada", **changes: Any) -> None:
        """Start a session."""
        assert (await self.api.post(SESSIONS, json=lab_body(user_id=user_id, **changes))).status == 201

    async def extend(self, user_id: str = "ada") -> None:
        """One event more."""
        assert (await self.api.post(f"{SESSIONS}/{user_id}/extend", json={"minutes": 1})).status == 200

    async def delete(self, user_id: str = "ada") -> None:
        """End the session by hand."""
        assert (await self.api.delete(f"{SESSIONS}/{user_id}")).status == 200

    async def get(self, path: str) -> dict[str, Any]:
        """What a route of operators answers."""
        async with self.api.get(f"{ADMIN}{path}") as answer:
            assert answer.status == 200, await answer.text()
            return dict((await answer.json())["data"])


@asynccontextmanager
async def admin_world(folder: Path, client: AiohttpClient, options: ApiOptions) -> AsyncIterator[AdminWorld]:
    """A service on a new file."""
    store = await open_store(folder / "db", (schema(),))
    world = AdminWorld(store, folder)
    world.runtime.start()
    try:
        yield await world.serve(client, options)
    finally:
        await world.runtime.stop(0)
