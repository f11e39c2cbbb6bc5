"""What is an orphan, what is swept, and above all what never is: over a real file and a backend that the test moves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from builders import GENERATION, MASTER, NOW, OTHER_GENERATION, POLICY, WORKERS, lab, worker_nodes
from msgspec import structs

from actors.ids import ActorId
from actors.runtime import Runtime
from actors.sqlite import SqliteStore, open_store
from actors.storage import Prune, Write
from actors.testing import ManualClock
from labsessions import log_lines
from labsessions.core.messages import AttemptEnded, Clean, Create, Delete, Update
from labsessions.core.model import LabChanges
from labsessions.core.policy import Policy
from labsessions.engines.embedded import NAMESPACE, EmbeddedEngine
from labsessions.engines.tables import EVENTS, schema
from labsessions.inventory import (
    ListedVm,
    OrphanReport,
    OrphansError,
    SweepOrder,
    SweepRefusal,
    SweepRefusedError,
    Swept,
)
from labsessions.orphans import OrphanHunt
from labsessions.orphans.sweep import FAILURES_IN_A_ROW
from labsessions.repository import Repository

MINUTE = 60_000
HOUR = 60 * MINUTE
ENSURE: Policy = structs.replace(POLICY, owed_after_ms=HOUR)


def vm(name: str, age_ms: int | None = 2 * HOUR, user: str | None = None) -> ListedVm:
    """A VM of this age."""
    return ListedVm(name, None if age_ms is None else NOW - age_ms, user)


def order(**changes: Any) -> SweepOrder:
    """All that is an hour old, for real, whatever is known."""
    return SweepOrder(HOUR, most=100, dry_run=False, none_known=True, by="olga")._replace(**changes)


class World:
    """An engine on a file, the backend's list, and the calls that delete. `before_delete` runs before each deletion."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = ManualClock(NOW)
        self.runtime = Runtime(store, self.clock)
        self.engine = EmbeddedEngine(self.runtime, self, ENSURE)
        self.record = Repository(store.query, self.clock.now_ms)
        self.list: list[ListedVm] | Exception = []
        self.services: list[str] = []
        self.deleted: list[tuple[str, str]] = []
        self.fails: dict[str, str] = {}
        self.held: str | None = None
        self.after_listing: Callable[[], Awaitable[object]] | None = None
        self.before_delete: Callable[[], Awaitable[object]] | None = None
        self.hunt = OrphanHunt(self, self, store.query, self.record.span, self.clock.now_ms, lambda: self.held)

    async def clean(self, effect: Clean) -> AttemptEnded:
        """See `ports.Cleaner`."""
        raise AssertionError(f"nothing is due, but {effect} was asked for")

    async def listed(self) -> list[ListedVm]:
        """See `inventory.Inventory`."""
        if isinstance(self.list, Exception):
            raise self.list
        found = list(self.list)
        if self.after_listing is not None:
            await self.after_listing()
        return found

    async def delete_services(self, master: str, seconds: float) -> str | None:
        """See `inventory.VmDeleter`."""
        assert seconds > 0
        self.services.append(master)
        return "no such lab"

    async def delete_vm(self, vm: str, user_id: str, seconds: float) -> str | None:
        """See `inventory.VmDeleter`."""
        assert seconds > 0
        if vm in self.fails:
            return self.fails[vm]
        self.deleted.append((vm, user_id))
        if self.before_delete is not None:  # of the next one
            await self.before_delete()
        return None

    async def create(self, user: str, generation: str = GENERATION, **members: Any) -> None:
        """Start a session."""
        await self.engine.ask(user, Create(generation, lab(user_id=user, **members)))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """On a new file."""
    world = World(await open_store(tmp_path / "db", (schema(),)))
    world.runtime.start()
    yield world
    await world.runtime.stop(0)


def names(found: OrphanReport | Swept) -> list[str]:
    """The VMs that are orphans, or that were chosen."""
    vms = found.orphans if isinstance(found, OrphanReport) else found.chosen
    return [each.lab_request_id for each in vms]


# --- the report ------------------------------------------------------------------------------------------


async def test_what_nobody_speaks_of_is_an_orphan_the_oldest_first(world: World) -> None:
    """Those of unknown age last; the counts are of the whole list."""
    await world.create("ann")
    world.list = [vm("new", MINUTE), vm("x", None), vm(MASTER), vm("old", 9 * HOUR, "bob")]
    report = await world.hunt.report()
    assert (names(report), report.listed, report.known, report.at_ms) == (["old", "new", "x"], 4, 1, NOW)
    assert world.deleted == []


async def test_all_vms_of_sessions_and_obligations_are_kept(world: World) -> None:
    """Master and workers, workers that a PUT has dropped, and VMs of deleted sessions that are still owed."""
    await world.create("ann", worker_nodes=worker_nodes(*WORKERS))
    await world.engine.ask("ann", Update(LabChanges(worker_nodes=worker_nodes("vm-worker-3"))))
    await world.create("bob", OTHER_GENERATION, lab_request_id="vm-bob")
    await world.engine.ask("bob", Delete())
    world.list = [vm(name) for name in (MASTER, *WORKERS, "vm-worker-3", "vm-bob", "vm-nobody")]
    assert names(await world.hunt.report()) == ["vm-nobody"]


async def test_all_sessions_are_looked_at_whatever_their_number(world: World) -> None:
    """More than one page of them."""
    users = [f"user-{n:03}" for n in range(401)]
    for user in users:
        await world.create(user, lab_request_id=f"vm-{user}")
    world.list = [vm(f"vm-{user}") for user in users]
    report = await world.hunt.report()
    assert (report.orphans, report.known) == ([], 401)


async def test_a_list_that_cannot_be_read_is_an_error_and_nothing_is_deleted(world: World) -> None:
    """It is never an empty one."""
    world.list = OrphansError("the backend's list: HTTP 503")
    with pytest.raises(OrphansError, match="HTTP 503"):
        await world.hunt.report()
    with pytest.raises(OrphansError, match="HTTP 503"):
        await world.hunt.sweep(order())
    assert world.deleted == []


async def test_a_state_that_cannot_be_read_may_have_any_vm(world: World) -> None:
    """So nobody knows what an orphan is; the error names the user."""
    await world.runtime.commit(Write(ActorId(NAMESPACE, "eve"), cell=b"garbage", alarm=None))
    world.list = [vm("x")]
    with pytest.raises(OrphansError, match="state of user eve"):
        await world.hunt.sweep(order())
    assert world.deleted == []


# --- what is never swept ---------------------------------------------------------------------------------


async def test_a_session_that_begins_while_the_list_is_read_keeps_its_vm(world: World) -> None:
    """Our states are read after the list."""
    world.list = [vm(MASTER), vm("x")]
    world.after_listing = lambda: world.create("ann")
    swept = await world.hunt.sweep(order())
    assert (names(swept), world.deleted) == (["x"], [("x", "unknown")])


@pytest.mark.parametrize("pruned", [False, True], ids=["by its events", "though its events are deleted already"])
async def test_a_session_that_begins_during_the_sweep_keeps_its_vm(*, world: World, pruned: bool) -> None:
    """It is looked again right before each deletion; the outcome says that the VM is an orphan no more."""

    async def begin() -> None:
        world.before_delete = None
        await world.create("ann")
        if pruned:
            newest = (await world.record.span()).newest
            await world.create("bob", OTHER_GENERATION, lab_request_id="vm-bob")
            await world.runtime.commit(Prune(EVENTS, newest))

    world.list = [vm("first", 3 * HOUR), vm(MASTER), vm("last", HOUR)]
    world.before_delete = begin
    swept = await world.hunt.sweep(order())
    assert [name for name, _ in world.deleted] == ["first", "last"]
    assert [(each.vm.lab_request_id, each.deleted, each.error) for each in swept.done] == [
        ("first", True, None),
        (MASTER, False, None),
        ("last", True, None),
    ]


async def test_a_worker_that_joins_during_the_sweep_is_kept(world: World) -> None:
    """A PUT is an event as well."""

    async def join() -> None:
        world.before_delete = None
        await world.engine.ask("ann", Update(LabChanges(worker_nodes=worker_nodes("late"))))

    await world.create("ann")
    world.list = [vm("first", 3 * HOUR), vm("late")]
    world.before_delete = join
    await world.hunt.sweep(order())
    assert [name for name, _ in world.deleted] == ["first"]


@pytest.mark.parametrize(
    ("age_ms", "swept"), [(HOUR - 1, []), (HOUR, ["x"]), (HOUR + 1, ["x"]), (-HOUR, []), (None, [])]
)
async def test_no_vm_younger_than_told_and_none_of_unknown_age(
    world: World, age_ms: int | None, swept: list[str]
) -> None:
    """Not a millisecond; nor one that the backend says is of tomorrow."""
    world.list = [vm("x", age_ms)]
    assert names(await world.hunt.sweep(order())) == swept
    assert [name for name, _ in world.deleted] == swept


async def test_vms_of_unknown_age_are_swept_if_told_to(world: World) -> None:
    """After those whose age is known."""
    world.list = [vm("x", None), vm("y"), vm("young", MINUTE)]
    await world.hunt.sweep(order(unknown_age=True))
    assert [name for name, _ in world.deleted] == ["y", "x"]


@pytest.mark.parametrize(("most", "swept"), [(1, ["a"]), (2, ["a", "b"]), (3, ["a", "b", "c"]), (4, ["a", "b", "c"])])
async def test_no_more_than_the_cap_the_oldest_first(world: World, most: int, swept: list[str]) -> None:
    """How many there were in all is said."""
    world.list = [vm("c", 2 * HOUR), vm("a", 4 * HOUR), vm("b", 3 * HOUR)]
    result = await world.hunt.sweep(order(most=most))
    assert ([name for name, _ in world.deleted], result.matched) == (swept, 3)


async def test_only_those_that_were_named_and_still_are_orphans(world: World) -> None:
    """What a preview has shown, and nothing that came since."""
    await world.create("ann")
    world.list = [vm("a"), vm("b"), vm(MASTER), vm("young", MINUTE)]
    result = await world.hunt.sweep(order(only=frozenset({"b", MASTER, "young", "elsewhere"})))
    assert (names(result), result.matched) == (["b"], 1)


# --- refusals --------------------------------------------------------------------------------------------


async def test_a_dry_run_only_says_what_would_be_done(world: World) -> None:
    """No call is made, whatever else would refuse it."""
    world.list, world.held = [vm("a"), vm("b")], "paused"
    result = await world.hunt.sweep(order(dry_run=True, most=1, expected=7, none_known=False))
    assert (names(result), result.matched, result.done, world.deleted) == (["a"], 2, [], [])


async def refusal(world: World, **changes: Any) -> tuple[SweepRefusal, str]:
    """Why this sweep is not begun."""
    with pytest.raises(SweepRefusedError) as refused:
        await world.hunt.sweep(order(**changes))
    assert world.deleted == []
    return refused.value.reason, refused.value.detail


async def test_another_number_than_expected_is_refused(world: World) -> None:
    """One more, one less; the very number is admitted."""
    world.list = [vm("a"), vm("b"), vm("young", MINUTE)]
    for expected in (1, 3):
        assert await refusal(world, expected=expected) == (SweepRefusal.CHANGED, "2")
    assert len((await world.hunt.sweep(order(expected=2))).done) == 2


async def test_where_not_one_vm_is_known_the_sweep_is_refused(world: World) -> None:
    """A wrong data folder would make an orphan of every VM. One that is known is enough."""
    world.list = [vm("a"), vm(MASTER)]
    assert await refusal(world, none_known=False) == (SweepRefusal.NONE_KNOWN, "2")
    await world.create("ann")
    assert [each.vm.lab_request_id for each in (await world.hunt.sweep(order(none_known=False))).done] == ["a"]


async def test_nothing_is_listed_and_nothing_is_done(world: World) -> None:
    """That is no reason to refuse."""
    assert (await world.hunt.sweep(order(none_known=False))).done == []


async def test_while_deletions_are_held_none_is_begun(world: World) -> None:
    """And one that is under way ends; it says why."""
    world.list, world.held = [vm("a", 3 * HOUR), vm("b")], "paused"
    assert await refusal(world) == (SweepRefusal.HELD, "paused")
    world.held = None

    async def hold() -> None:
        world.held = "the backend is down"

    world.before_delete = hold
    swept = await world.hunt.sweep(order())
    assert ([name for name, _ in world.deleted], swept.stopped) == (["a"], "the backend is down")


async def test_one_sweep_at_a_time(world: World) -> None:
    """A second one is refused while the first is under way, and admitted afterwards."""
    heard: list[SweepRefusal] = []

    async def another() -> None:
        with pytest.raises(SweepRefusedError) as refused:
            await world.hunt.sweep(order())
        heard.append(refused.value.reason)

    world.list, world.before_delete = [vm("a")], another
    await world.hunt.sweep(order())
    world.before_delete = None
    await world.hunt.sweep(order())
    assert heard == [SweepRefusal.RUNNING]


# --- deleting --------------------------------------------------------------------------------------------


async def test_the_two_calls_of_a_cleanup_are_made_for_each(world: World) -> None:
    """Services first, which may fail; the VM's owner if the backend knows it."""
    world.list = [vm("a", 3 * HOUR, "ann"), vm("b")]
    with structlog.testing.capture_logs() as logged:
        swept = await world.hunt.sweep(order())
    assert (world.services, world.deleted) == (["a", "b"], [("a", "ann"), ("b", "unknown")])
    assert [each.deleted for each in swept.done] == [True, True]
    assert [(line["event"], line.get("lab"), line["by"]) for line in logged] == [
        (log_lines.ORPHAN_DELETED, "a", "olga"),
        (log_lines.ORPHAN_DELETED, "b", "olga"),
        (log_lines.SWEPT, None, "olga"),
    ]
    assert (logged[-1]["matched"], logged[-1]["deleted"], logged[-1]["failed"]) == (2, 2, 0)


@pytest.mark.parametrize(("failing", "tried"), [(FAILURES_IN_A_ROW - 1, 5), (FAILURES_IN_A_ROW, FAILURES_IN_A_ROW)])
async def test_some_failures_in_a_row_end_the_sweep(world: World, failing: int, tried: int) -> None:
    """One less is a matter of single VMs: the rest is done, and the next row is counted from its beginning."""
    world.list = [vm(f"vm-{n}", 9 * HOUR - n) for n in range(5)]
    world.fails = {f"vm-{n}": "HTTP 500" for n in range(failing)} | {"vm-4": "HTTP 500"}
    with structlog.testing.capture_logs() as logged:
        swept = await world.hunt.sweep(order())
    assert len(swept.done) == tried
    assert (swept.stopped is None) == (failing < FAILURES_IN_A_ROW)
    assert [each.error for each in swept.done[:failing]] == ["HTTP 500"] * failing
    assert logged[0]["event"] == log_lines.ORPHAN_FAILED
