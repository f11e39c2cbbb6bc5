"""Routes about VMs that the backend lists and nobody here speaks of: which there are, and their deletion."""

from typing import Any, Final

from aiohttp import web

from labsessions.core.audit import DONE, Entry
from labsessions.core.projection import iso
from labsessions.http.admin.endpoints_orphans import (
    CHANGED,
    EXAMPLES,
    HELD,
    MOST_SHOWN,
    NONE_KNOWN,
    ORDER,
    REPORT,
    RUNNING,
    SCHEMAS,
    SWEEP,
    UNAVAILABLE,
    UNKNOWN,
)
from labsessions.http.admin.operator import operator
from labsessions.http.errors import Problem, RefusedError
from labsessions.http.groups import RouteGroup
from labsessions.http.options import ApiOptions
from labsessions.http.wire import success
from labsessions.inventory import (
    ListedVm,
    OrphanReport,
    Orphans,
    OrphansError,
    SweepOrder,
    SweepRefusal,
    SweepRefusedError,
    Swept,
    SweptVm,
)
from labsessions.ports import Audit

_MS_PER_MINUTE: Final = 60_000
_ACTION: Final = "sweep_orphans"


class OrphanRoutes:
    """Handlers; without `orphans` they answer that the backend's list is not known."""

    def __init__(self, orphans: Orphans | None, audit: Audit, options: ApiOptions) -> None:
        self._known = orphans
        self._audit = audit
        self._body_seconds = options.body_seconds

    def group(self) -> RouteGroup:
        """The routes, to be served and described."""
        return RouteGroup(((REPORT, self.report), (SWEEP, self.sweep)), schemas=SCHEMAS, examples=EXAMPLES)

    async def report(self, _: web.Request) -> web.Response:
        """GET …/orphans: the oldest first."""
        try:
            found = await self._orphans.report()
        except OrphansError as error:
            raise _unknown(error) from error
        return success(_reported(found), "Orphans retrieved successfully")

    async def sweep(self, request: web.Request) -> web.Response:
        """POST …/orphans/sweep: what was done, or what would be. In the audit before anything is done, and after."""
        orphans = self._orphans
        body = await ORDER.read(request, self._body_seconds)
        order, reason = _order(body, operator(request)), body.pop("reason", None)
        swept = await self._told(orphans, order) if order.dry_run else await self._noted(orphans, order, reason, body)
        return success(_ended(swept, dry_run=order.dry_run), "Sweep ended")

    async def _noted(self, orphans: Orphans, order: SweepOrder, reason: str | None, body: dict[str, Any]) -> Swept:
        async def note(outcome: str, **detail: Any) -> None:
            detail = {**body, **detail}
            await self._audit.note(Entry(who=order.by, action=_ACTION, outcome=outcome, reason=reason, detail=detail))

        await note("begun")
        try:
            swept = await self._told(orphans, order)
        except RefusedError as refused:
            await note(refused.problem.code)
            raise
        deleted = [each.vm.lab_request_id for each in swept.done if each.deleted]
        failed = [each.vm.lab_request_id for each in swept.done if each.error is not None]
        await note(DONE, deleted=deleted, failed=failed, stopped=swept.stopped)
        return swept

    async def _told(self, orphans: Orphans, order: SweepOrder) -> Swept:
        """RefusedError for what it raises."""
        try:
            return await orphans.sweep(order)
        except OrphansError as error:
            raise _unknown(error) from error
        except SweepRefusedError as refused:
            raise RefusedError(_refusal(refused)) from refused

    @property
    def _orphans(self) -> Orphans:
        if self._known is None:
            raise RefusedError(UNAVAILABLE)
        return self._known


def _order(body: dict[str, Any], by: str) -> SweepOrder:
    only = body.get("lab_request_ids")
    return SweepOrder(
        min_age_ms=round(body["min_age_minutes"] * _MS_PER_MINUTE),
        most=body["max"],
        dry_run=body["dry_run"],
        expected=body.get("expected"),
        unknown_age=body.get("unknown_age", False),
        only=None if only is None else frozenset(only),
        none_known=body.get("none_known", False),
        by=by,
    )


def _unknown(error: OrphansError) -> RefusedError:
    return RefusedError(UNKNOWN.saying(f"{UNKNOWN.text}: {error}"))


def _refusal(refused: SweepRefusedError) -> Problem:
    match refused.reason:
        case SweepRefusal.RUNNING:
            return RUNNING
        case SweepRefusal.CHANGED:
            return CHANGED.saying(f"{CHANGED.text}: there are {refused.detail}")
        case SweepRefusal.NONE_KNOWN:
            words = f"{NONE_KNOWN.text} (of {refused.detail}): is this the right data folder, and the right backend?"
            return NONE_KNOWN.saying(f"{words} With 'none_known' it is done all the same")
        case SweepRefusal.HELD:
            return HELD.saying(f"{HELD.text}: {refused.detail}")


def _reported(found: OrphanReport) -> dict[str, Any]:
    return {
        "listed": found.listed,
        "known": found.known,
        "total": len(found.orphans),
        "orphans": [_vm(vm, found.at_ms) for vm in found.orphans[:MOST_SHOWN]],
    }


def _ended(swept: Swept, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "matched": swept.matched,
        "deleted": sum(each.deleted for each in swept.done),
        "failed": sum(each.error is not None for each in swept.done),
        "stopped": swept.stopped,
        "vms": [_vm(vm, swept.at_ms) for vm in swept.chosen]
        if dry_run
        else [{**_vm(each.vm, swept.at_ms), **_outcome(each)} for each in swept.done],
    }


def _vm(vm: ListedVm, now_ms: int) -> dict[str, Any]:
    return {
        "lab_request_id": vm.lab_request_id,
        "created_at": None if vm.created_ms is None else iso(vm.created_ms),
        "age_seconds": None if vm.created_ms is None else (now_ms - vm.created_ms) / 1000,
        "user_id": vm.user_id,
    }


def _outcome(each: SweptVm) -> dict[str, Any]:
    if each.error is not None:
        return {"outcome": "failed", "error": each.error}
    return {"outcome": "deleted" if each.deleted else "kept", "error": None}
