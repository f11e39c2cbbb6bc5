"""A run: lives of the process one after the other under one schedule, and an end without faults."""

import logging
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import structlog

from actors.storage import Lane
from actors.testing import EPOCH_MS, DeadlockError, MemoryDisk, run_virtual
from labsessions.engines.embedded import GRACE_SECONDS
from labsessions.simulation import invariants, warnings
from labsessions.simulation.backend import HEALTHY_SECONDS, Backend
from labsessions.simulation.books import Books, Capacity
from labsessions.simulation.journal import SETTLE_MS, Journal
from labsessions.simulation.ledger import Ledger
from labsessions.simulation.process import Process
from labsessions.simulation.profiles import PROFILES, Profile, Settings, draw_settings
from labsessions.simulation.releases import rewrite
from labsessions.simulation.schedule import CLOCK_STEPS_MS, Schedule
from labsessions.simulation.store import LONGEST_LAG_SECONDS
from labsessions.simulation.trace import BrokenError, Trace, ViolationError

# From a deadline to a stored attempt there are so many operations of the store, one after the other: reading alarms
# (twice, each there and back), a cell, mail that came before, and the commit.
OPERATIONS: Final = 15
LAG_MS: Final = LONGEST_LAG_SECONDS * 1000
# The services, the master, its ids of other sessions, and the workers.
MOST_CALLS: Final = 6
NEVER_COMMITS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Result:
    """What a run was: the same seed and steps give the same digest."""

    seed: int
    profile: str
    digest: str
    counts: Counter[str]


def simulate(seed: int, steps: int) -> Result:
    """Run `steps` steps of the schedule of `seed`, then end without faults. ViolationError if an invariant breaks."""
    simulation = _Simulation(seed, steps)
    try:
        with _silence():
            return simulation.run()
    except BrokenError as broken:
        tail = simulation.trace.tail()
        raise ViolationError(seed=seed, steps=steps, step=simulation.step, broken=broken, tail=tail) from None


def profile_of(seed: int) -> Profile:
    """The faults that a seed draws: consecutive seeds go through the profiles in order."""
    return PROFILES[seed % len(PROFILES)]


class _Simulation:
    def __init__(self, seed: int, steps: int) -> None:
        self.seed = seed
        self.steps = steps
        self.step = 0
        self.trace = Trace()
        # Streams of their own: how many calls there are must not change what the users do.
        self.rng = Random(f"{seed} schedule")  # noqa: S311 - repeatable on purpose
        self.profile = profile_of(seed)
        self.since_ms, self.wall_ms = 0, EPOCH_MS
        self.latest_wall_ms = EPOCH_MS
        self.worst_ms = 0
        self.finished = False
        self.disk = MemoryDisk()
        self.books = Books(elapsed_ms=lambda: self.since_ms, wall_ms=lambda: self.wall_ms)
        self.ledger = Ledger(self.books)
        self.journal = Journal(self.books, self.disk)
        rng = Random(f"{seed} backend")  # noqa: S311
        self.store_rng = Random(f"{seed} store")  # noqa: S311
        self.backend = Backend(rng, self.profile, self.ledger, self.trace, self.books.counts)
        self.schedule = Schedule(self.rng, self.profile, self.books, self.backend, self.disk)

    def run(self) -> Result:
        while not self.finished:
            try:
                run_virtual(self._life())
            except DeadlockError as error:
                raise BrokenError(7, f"everything stands still: {error}") from None
            self.books.counts["processes"] += 1
        self.books.counts["steps"] = self.step
        return Result(self.seed, self.profile.name, self.trace.digest(), self.books.counts)

    async def _life(self) -> None:
        settings = draw_settings(self.rng, self.profile, len(self.schedule.users))
        process = self._boot(settings)
        while self.step < self.steps and not process.dead:
            self.step += 1
            await self.schedule.step(process)
            self._check(process)
        if not process.dead:
            await self._end(process, settings)
            self.finished = True
        self._note_the_clock(process)
        downtime_ms = self.rng.choice((0, 1, 1_000, 30_000, 600_000))
        stepped_ms = self.rng.choice(CLOCK_STEPS_MS) if self.rng.random() < self.profile.clock_steps else 0
        self.since_ms = process.elapsed_ms() + downtime_ms
        self.wall_ms = process.clock.now_ms() + downtime_ms + stepped_ms
        await process.fade()
        if not self.finished and self.rng.random() < self.profile.another_release:
            self.trace.note(self.since_ms, "another release")
            self.books.counts["starts on cells of another release"] += 1
            rewrite(self.rng, self.disk, self.books)

    def _boot(self, settings: Settings) -> Process:
        process = Process(
            disk=self.disk,
            wall_ms=self.wall_ms,
            since_ms=self.since_ms,
            settings=settings,
            rng=self.store_rng,
            backend=self.backend,
            books=self.books,
            journal=self.journal,
            ledger=self.ledger,
            trace=self.trace,
        )
        self.trace.note(self.since_ms, "start of a process", self.wall_ms, settings)
        policy, books = settings.policy, self.books
        books.elapsed_ms, books.wall_ms, books.policy = process.elapsed_ms, process.clock.now_ms, policy
        books.capacity = self._capacity(settings)
        books.clock_changes()
        self.worst_ms = max(
            self.worst_ms, policy.attempt_limit_ms + math.ceil(policy.retry_interval_ms * invariants.WIDEST)
        )
        process.start()
        return process

    def _capacity(self, settings: Settings) -> Capacity:
        limits, users = settings.limits, len(self.schedule.users)
        # A batch with a row or a cell that fails is repeated one by one.
        one_by_one = users if self.profile.row_fails or self.profile.unreadable else 0
        lag_ms = (OPERATIONS + one_by_one) * LAG_MS
        # A slot is free after `slow_after_seconds` if there is a place beside the slots, else when its attempt is over.
        roomy = limits.slow_slots >= 2 * users
        attempt_ms = lag_ms + settings.policy.attempt_limit_ms + GRACE_SECONDS * 1000
        return Capacity(
            slots=limits.slots,
            held_ms=limits.slow_after_seconds * 1000 if roomy else attempt_ms,
            pace_ms=1000 / limits.rate_per_second if limits.rate_per_second else 0.0,
            lag_ms=lag_ms,
        )

    def _check(self, process: Process) -> None:
        if process.broken is not None:
            raise process.broken
        self._note_the_clock(process)
        if not process.dead:
            process.look()
        self.journal.check()

    def _note_the_clock(self, process: Process) -> None:
        self.latest_wall_ms = max(self.latest_wall_ms, process.clock.now_ms())

    # --- the end ------------------------------------------------------------------------------------------

    async def _end(self, process: Process, settings: Settings) -> None:
        """No more faults, no more requests: what is due is gone in time, and in the end everything."""
        self.trace.note(process.elapsed_ms(), "no more faults")
        process.mend()
        process.configured = True
        process.store.die_before(NEVER_COMMITS)
        self.backend.healthy = True
        await process.let_pass(0.1)  # for requests that are still under way
        while not process.deliveries.settled():
            await process.let_pass(0.5)
        # A clock that was set back is right again, so that no stored instant is further away than it was meant to be.
        if (behind_ms := self.latest_wall_ms - process.clock.now_ms()) > 0:
            process.step_clock(behind_ms)
        now_ms = process.clock.now_ms()
        due = [
            (book, book.session)
            for book in self.books.users.values()
            if book.session is not None and (book.session.cleanup is not None or book.session.expires_ms <= now_ms)
        ]
        bound_ms = process.held_ms() + self.worst_ms + self._queue_ms(settings) + _probing_ms(settings)
        deferred_ms = [alarm.due_ms - now_ms for alarm in self.disk.armed.values() if alarm.deferrals]
        bound_ms += max([0, *deferred_ms])
        await self._let_pass(process, bound_ms)
        for book, session in due:
            invariants.gone(book.user, book.session, session.generation, bound_ms)
        while self.disk.armed:
            first = min(self.disk.armed.values(), key=lambda alarm: (alarm.due_ms, alarm.actor_id))
            book = self.books.of(first.actor_id.name)
            part = invariants.first_due(book.session, book.debts)
            generation = "" if part is None else part.generation
            bound_ms = max(0, first.due_ms - process.clock.now_ms()) + self._queue_ms(settings)
            await self._let_pass(process, bound_ms)
            if first.lane is Lane.NOTICE:
                warnings.gone(book.user, first, self.disk.armed.get(first.actor_id), bound_ms)
            else:
                invariants.gone(book.user, book.session, generation, bound_ms, book.debts)
        await process.stop(0)
        self._check(process)

    def _queue_ms(self, settings: Settings) -> int:
        """How long it may take, without faults, until it is everybody's turn: one by one, after an outage."""
        limits = settings.limits
        users = len(self.schedule.users) + sum(len(book.debts) for book in self.books.users.values())
        calls_ms = (
            users
            * (MOST_CALLS * HEALTHY_SECONDS * 1000 + OPERATIONS * LAG_MS)
            / (1 if settings.breaker.failures else limits.retry_slots)
        )
        paced_ms = 2 * users / limits.rate_per_second * 1000 if limits.rate_per_second else 0
        return math.ceil(calls_ms + paced_ms) + SETTLE_MS

    async def _let_pass(self, process: Process, ms: int) -> None:
        await process.let_pass(ms / 1000)
        if process.dead:
            raise BrokenError(7, "the process has died without a fault")
        self._check(process)


def _probing_ms(settings: Settings) -> int:
    """How long an outage may be felt after its end: the longest pause, and a probe that still hangs."""
    if not settings.breaker.failures:
        return 0
    hanging_ms = settings.policy.attempt_limit_ms + GRACE_SECONDS * 1000
    return math.ceil(settings.breaker.longest_pause_seconds * 1000 + hanging_ms)


@contextmanager
def _silence() -> Iterator[None]:
    """Nobody reads the log lines of a simulation, and rendering them would take most of its time."""
    before, disabled = structlog.get_config(), logging.root.manager.disable
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        structlog.configure(**before)
