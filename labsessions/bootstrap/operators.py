"""The routes by which operators look, act and measure."""

from contextlib import AsyncExitStack
from typing import Final

from actors.breaker import BreakerState
from actors.observer import open_observer
from actors.runtime import Runtime
from actors.sqlite import SqliteStore
from labsessions import __version__, logs
from labsessions.backend import BackendInventory
from labsessions.bootstrap.inside import DATABASE, Inside
from labsessions.deployments import newest
from labsessions.http.admin.act import act_routes
from labsessions.http.admin.deployments import deployments_group
from labsessions.http.admin.group_read import read_group
from labsessions.http.admin.log import LogRoutes
from labsessions.http.admin.orphans import OrphanRoutes
from labsessions.http.admin.webhooks import webhook_routes
from labsessions.http.groups import RouteGroup
from labsessions.http.metrics import metrics_routes
from labsessions.http.options import ApiOptions
from labsessions.metrics import Parts, WebhookFigures, open_metrics
from labsessions.operators.audit import AuditLog
from labsessions.operators.overview import ServiceOverview
from labsessions.operators.pausing import Pausing
from labsessions.operators.waiting import Waiting
from labsessions.orphans import OrphanHunt
from labsessions.repository import EventTail, StoredSurvey
from labsessions.settings import Settings
from labsessions.webhooks.service import Webhooks

# What an operator's question may take, and how many may wait for their turn. None is asked by a program every second.
LONGEST_QUESTION_SECONDS: Final = 10.0
QUESTIONS_WAITING: Final = 20


async def for_operators(inside: Inside, api: ApiOptions, stack: AsyncExitStack) -> list[RouteGroup]:
    """The routes by which operators look, act and measure."""
    settings, store, runtime, now_ms = inside.settings, inside.store, inside.runtime, inside.engine.now_ms
    overview = ServiceOverview(
        runtime,
        store.query,
        inside.readiness,
        settings.data_dir,
        __version__,
        last_error=lambda: inside.cleaner.last_error,
        paused=lambda: runtime.pause.current,
    )
    survey = await _survey(settings, store, runtime, stack)
    tail = EventTail(store.query, inside.repository.span, inside.feed)
    audit = AuditLog(store.query, runtime.commit, now_ms)
    orphans = _orphans(inside)
    metrics = await stack.enter_async_context(
        open_metrics(
            version=__version__,
            tally=inside.tally,
            runtime=runtime,
            query=store.query,
            directory=inside.directory,
            parts=Parts(
                paused=lambda: runtime.pause.current is not None,
                orphans=lambda: None if orphans is None else orphans.seen,
                webhooks=lambda: _webhook_figures(inside.webhooks),
            ),
        )
    )
    return [
        read_group(survey, overview, tail, now_ms, api),
        act_routes(inside.engine, audit, Pausing(runtime.pause, audit, now_ms), Waiting(store.query), api),
        webhook_routes(inside.webhooks, audit, api.body_seconds),
        OrphanRoutes(orphans, audit, api).group(),
        deployments_group(lambda: newest(store.query)),
        LogRoutes(logs.live, api).group(),
        metrics_routes(metrics, is_open=settings.metrics.open),
    ]


async def _webhook_figures(webhooks: Webhooks) -> list[WebhookFigures]:
    return [
        WebhookFigures(each["name"], dict(webhooks.tallies[each["name"]]), each["dead_letters"], each["lag"])
        for each in await webhooks.endpoints()
    ]


async def _survey(settings: Settings, store: SqliteStore, runtime: Runtime, stack: AsyncExitStack) -> StoredSurvey:
    """What operators ask of all sessions: on a connection of its own, as some of it takes seconds."""
    observer = await stack.enter_async_context(
        open_observer(settings.data_dir / DATABASE, seconds=LONGEST_QUESTION_SECONDS, waiting=QUESTIONS_WAITING)
    )
    limit_per_second = settings.cleanup.rate_per_second or None
    return StoredSurvey(observer.query, store.query, runtime.clock.now_ms, limit_per_second)


def _orphans(inside: Inside) -> OrphanHunt | None:
    """What finds VMs that nobody speaks of; None where the backend has no list."""
    path, runtime = inside.settings.backend.list_path, inside.runtime
    if not path:
        return None

    def held() -> str | None:
        if runtime.breaker.state is not BreakerState.CLOSED:
            return "the backend is down (circuit breaker)"
        return None if runtime.pause.current is None else f"cleanups are {runtime.pause.current}"

    client = inside.client
    now_ms = runtime.clock.now_ms
    return OrphanHunt(BackendInventory(client, path), client, inside.store.query, inside.repository.span, now_ms, held)
