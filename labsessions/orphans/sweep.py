"""Compares the backend's list with what is kept here, and deletes what nobody speaks of – only when told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiolimiter import AsyncLimiter

from labsessions import log_lines
from labsessions.inventory import (
    Inventory,
    ListedVm,
    OrphanReport,
    SweepOrder,
    SweepRefusal,
    SweepRefusedError,
    Swept,
    SweptVm,
    VmDeleter,
)
from labsessions.orphans.kept import KeptVms, Query
from labsessions.ports import Span

# So many a second at most, as nobody waits for it; cleanups, for which somebody may, have the backend to themselves.
PER_SECOND: Final = 5
CALL_SECONDS: Final = 30.0
# For the backend, where nobody knows whose VM it is.
NOBODY: Final = "unknown"
# As many failures in a row are no matter of single VMs.
FAILURES_IN_A_ROW: Final = 3

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class OrphanHunt:
    """`inventory.Orphans`. `query` and `span` read what is stored, `held` says why no VM may be deleted now, if so."""

    def __init__(
        self,
        inventory: Inventory,
        deleter: VmDeleter,
        query: Query,
        span: Callable[[], Awaitable[Span]],
        now_ms: Callable[[], int],
        held: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._inventory = inventory
        self._deleter = deleter
        self._query = query
        self._span = span
        self._now_ms = now_ms
        self._held = held
        self.seen: int | None = None
        """How many orphans there were when it was last looked."""
        self._sweeping = asyncio.Lock()
        self._pace = AsyncLimiter(PER_SECOND, 1)

    async def report(self) -> OrphanReport:
        """See `inventory.Orphans`."""
        report, _ = await self._look()
        return report

    async def sweep(self, order: SweepOrder) -> Swept:
        """See `inventory.Orphans`."""
        if self._sweeping.locked():
            raise SweepRefusedError(SweepRefusal.RUNNING)
        async with self._sweeping:
            report, kept = await self._look()
            matching = [vm for vm in report.orphans if _is_meant(vm, order, report.at_ms)]
            chosen = matching[: order.most]
            if order.dry_run:
                return Swept(report.at_ms, len(matching), chosen, [])
            self._admit(order, report, len(matching))
            done, stopped = await self._delete(chosen, kept, order.by)
            swept = Swept(report.at_ms, len(matching), chosen, done, stopped)
        _log.warning(
            log_lines.SWEPT,
            by=order.by,
            matched=swept.matched,
            deleted=sum(each.deleted for each in done),
            failed=sum(each.error is not None for each in done),
            stopped=stopped,
        )
        return swept

    async def _look(self) -> tuple[OrphanReport, KeptVms]:
        """The list first, then our states: a session that begins in between has its VM on the list, and is found."""
        at_ms = self._now_ms()
        listed = await self._inventory.listed()
        kept = KeptVms(self._query, self._span, frozenset(vm.lab_request_id for vm in listed))
        await kept.read()
        orphans = await asyncio.to_thread(_not_kept, listed, kept)
        self.seen = len(orphans)
        return OrphanReport(at_ms, len(listed), len(kept), orphans), kept

    def _admit(self, order: SweepOrder, report: OrphanReport, matched: int) -> None:
        if (held := self._held()) is not None:
            raise SweepRefusedError(SweepRefusal.HELD, held)
        if order.expected not in (None, matched):
            raise SweepRefusedError(SweepRefusal.CHANGED, str(matched))
        # An empty or a foreign data folder, or another platform's backend, would make an orphan of every VM.
        if report.listed and not report.known and not order.none_known:
            raise SweepRefusedError(SweepRefusal.NONE_KNOWN, str(report.listed))

    async def _delete(self, chosen: list[ListedVm], kept: KeptVms, by: str) -> tuple[list[SweptVm], str | None]:
        done: list[SweptVm] = []
        in_a_row = 0
        for vm in chosen:
            async with self._pace:
                await kept.refresh()  # right before: it may belong to a session by now
            if (held := self._held()) is not None:
                return done, held
            error = None if vm.lab_request_id in kept else await self._delete_one(vm, by)
            done.append(SweptVm(vm, deleted=error is None and vm.lab_request_id not in kept, error=error))
            in_a_row = 0 if error is None else in_a_row + 1
            if in_a_row == FAILURES_IN_A_ROW:
                return done, f"{FAILURES_IN_A_ROW} deletions in a row have failed: {error}"
        return done, None

    async def _delete_one(self, vm: ListedVm, by: str) -> str | None:
        """The two calls of a cleanup; what the first one says counts as little as there."""
        await self._deleter.delete_services(vm.lab_request_id, CALL_SECONDS)
        error = await self._deleter.delete_vm(vm.lab_request_id, vm.user_id or NOBODY, CALL_SECONDS)
        if error is None:
            _log.warning(log_lines.ORPHAN_DELETED, lab=vm.lab_request_id, user=vm.user_id, by=by)
        else:
            _log.error(log_lines.ORPHAN_FAILED, lab=vm.lab_request_id, user=vm.user_id, by=by, reason=error)
        return error


def _not_kept(listed: list[ListedVm], kept: KeptVms) -> list[ListedVm]:
    orphans = [vm for vm in listed if vm.lab_request_id not in kept]
    return sorted(orphans, key=lambda vm: (vm.created_ms is None, vm.created_ms or 0, vm.lab_request_id))


def _is_meant(vm: ListedVm, order: SweepOrder, now_ms: int) -> bool:
    if order.only is not None and vm.lab_request_id not in order.only:
        return False
    if vm.created_ms is None:
        return order.unknown_age
    return now_ms - vm.created_ms >= order.min_age_ms
