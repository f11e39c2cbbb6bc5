"""The schedule: what users do and what goes wrong in a step, and how far time moves after it. All drawn by the seed."""

from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import UNSET, structs

from actors.testing import MemoryDisk
from labsessions.core.messages import (
    Create,
    Delete,
    EndNow,
    ExtendBy,
    ExtendUntil,
    Forget,
    Keyed,
    Operated,
    RetryNow,
    Show,
    Update,
)
from labsessions.core.model import Lab, LabChanges
from labsessions.simulation.backend import Backend
from labsessions.simulation.books import Books, ClientMessage
from labsessions.simulation.process import Process
from labsessions.simulation.profiles import Profile

# Minutes: seconds for most, because what happens around a deadline is what matters; 1e-05 is less than a millisecond.
DURATIONS: Final = (1e-05, 0.05, 0.05, 0.1, 0.25, 0.333, 0.5, 1, 1, 2, 5, 5.0, 60)
TIME_FACTORS: Final = (1, 1, 1, 1, 1.5, 1.33, 10)
MORE_MINUTES: Final = (1e-05, 0.05, 0.05, 0.25, 1, 5, 60, -1e-05, -0.05, -0.25, -1, -60)
UNTIL_MS: Final = (-60_000, -1, 0, 1, 5_000, 60_000, 3_600_000)
CLOCK_STEPS_MS: Final = (-3_600_000, -60_000, -5_000, -1, 1, 5_000, 60_000, 3_600_000)
KINDS: Final = ("create", "update", "extend", "delete", "show")
KEYED: Final = 0.4  # of the creates
NEW_KEYS: Final = 0.3  # of those
OTHER_WORDS: Final = 0.1  # of the rest
STOP_SECONDS: Final = (0.0, 0.5, 6.0)
WORKERS: Final = 3
# Where sessions wait for their turn: a far deadline would let them be tried a thousand times in one step.
LONGEST_QUEUE_SECONDS: Final = 20.0
MOST_TURNS: Final = 12  # of the loop: more than a request takes from its arrival to its answer


class _Asked(NamedTuple):
    key: str
    digest: str
    lab: Lab


class Schedule:
    """Draws the steps of one run."""

    def __init__(self, rng: Random, profile: Profile, books: Books, backend: Backend, disk: MemoryDisk) -> None:
        self.users = [f"u{number}" for number in range(rng.randint(*profile.users))]
        self._rng = rng
        self._profile = profile
        self._books = books
        self._backend = backend
        self._disk = disk
        self._number = 0
        self._asked: dict[str, _Asked] = {}
        self._mend_in: int | None = None
        self._up_in = 0

    async def step(self, process: Process) -> None:
        """Some requests, perhaps trouble, and then time passes."""
        for _ in range(self._rng.choice((0, 1, 1, 2, 4))):
            self._request(process, self._rng.choice(self.users))
        self._disturbances(process)
        self._medium(process)
        await self._move(process)
        if not process.dead:
            await self._end_of_life(process)

    # --- users --------------------------------------------------------------------------------------------

    def _request(self, process: Process, user: str) -> None:
        session = self._books.of(user).session
        weights = (80, 5, 2, 5, 10, 2) if session is None else (10, 30, 10, 12, 20, 18)
        (kind,) = self._rng.choices((*KINDS, "burst"), weights)
        if kind == "burst":
            for _ in range(self._rng.randint(2, 4)):
                process.ask(user, self._message(self._rng.choice(KINDS), user))
        else:
            process.ask(user, self._message(kind, user))
        self._books.counts["requests"] += 1

    def _message(self, kind: str, user: str) -> ClientMessage | Keyed:
        if kind == "create":
            return self._keyed(user, self._create(user, self._rng.choice(DURATIONS)))
        if kind == "update":
            return self._update(user)
        if kind == "extend":
            until = ExtendUntil(self._books.wall_ms() + self._rng.choice(UNTIL_MS))
            return self._rng.choice((ExtendBy(self._rng.choice(MORE_MINUTES)), until))
        return Delete() if kind == "delete" else Show()

    def _create(self, user: str, minutes: float) -> Create:
        # Mostly the same ids again: only the generation tells such sessions apart.
        again = self._rng.random() < 0.8  # noqa: PLR2004 - mostly
        self._number += 1
        suffix = "" if again else f"-{self._number}"
        return Create(
            str(UUID(int=self._rng.getrandbits(128), version=4)),
            Lab(
                id=f"session-{user}{suffix}",
                lab_id="lab",
                lab_title="Lab",
                lab_group_id="group",
                module_id="module",
                duration=minutes,
                activated_at="2026-01-01T00:00:00.000Z",
                counter_id="counter",
                config_id="config",
                worker_config_id="worker-config",
                lab_request_id=f"vm-{user}{suffix}",
                user_id=user,
                terminal_url=f"https://terminal.test/{self._number}",
                validation=0,
                vm={"name": "master"},
                worker_nodes=self._rng.choice((None, self._workers(user))),
                time_factor=self._rng.choice(TIME_FACTORS),
            ),
        )

    def _keyed(self, user: str, create: Create) -> Create | Keyed:
        """Some have a key: a new one, or that of an earlier request, mostly with the same words."""
        if self._rng.random() >= KEYED:
            return create
        before = self._asked.get(user)
        if before is None or self._rng.random() < NEW_KEYS:
            self._number += 1
            again = Keyed(f"key-{self._number}", "words", create)
        elif self._rng.random() < OTHER_WORDS:
            again = Keyed(before.key, "other words", create)
        else:
            create = structs.replace(create, lab=before.lab)
            again = Keyed(before.key, before.digest, create)
        self._asked[user] = _Asked(again.key, again.digest, create.lab)
        return again

    def _update(self, user: str) -> Update:
        self._number += 1
        return Update(
            LabChanges(
                duration=self._rng.choice((UNSET, self._rng.choice(DURATIONS))),
                terminal_url=f"https://terminal.test/{self._number}",
                worker_nodes=self._rng.choice((UNSET, self._workers(user))),
            )
        )

    def _action(self, user: str) -> EndNow | RetryNow | Forget:
        """What an operator does; most sessions have the id that it names."""
        forget = Forget(self._rng.choice((None, f"session-{user}")))
        return self._rng.choice((EndNow(), EndNow(), RetryNow(), RetryNow(), RetryNow(), forget))

    def _workers(self, user: str) -> list[dict[str, Any]]:
        numbers = self._rng.sample(range(WORKERS), self._rng.randint(0, WORKERS))
        return [{"name": f"n{number}", "worker_lab_request_id": f"vm-{user}-w{number}"} for number in numbers]

    # --- trouble ------------------------------------------------------------------------------------------

    def _happens(self, chance: float, fault: str) -> bool:
        if chance and self._rng.random() < chance:
            self._books.counts[f"fault: {fault}"] += 1
            return True
        return False

    def _disturbances(self, process: Process) -> None:
        rng, profile = self._rng, self._profile
        if self._happens(profile.herd, "herd"):
            minutes = rng.choice(DURATIONS)
            for user in self.users:
                process.ask(user, self._create(user, minutes))
        if self._happens(profile.stale_wake, "stale wake-up"):
            process.tell(rng.choice(self.users), None)
        if self._backend.outcomes and self._happens(profile.outcome_again, "outcome told again"):
            process.tell(*rng.choice(self._backend.outcomes[-20:]))
        if self._happens(profile.outage, "backend down"):
            self._backend.down, self._up_in = True, rng.randint(3, 20)
        elif self._up_in > 0:
            self._up_in -= 1
            self._backend.down = self._up_in > 0
        if self._happens(profile.operators, "operator"):
            user = rng.choice(self.users)
            process.ask(user, Operated("operator", None, self._action(user)))
        if self._happens(profile.client_gone, "client gone"):
            process.client_goes(rng.randrange(1000))
        if process.deliveries.settled() and self._happens(profile.clock_steps, "clock step"):
            process.step_clock(rng.choice(CLOCK_STEPS_MS))

    def _medium(self, process: Process) -> None:
        rng, profile, store = self._rng, self._profile, process.store
        if self._mend_in is not None:
            self._mend_in -= 1
            if self._mend_in <= 0:
                self._mend_in = None
                process.mend()
        if self._happens(profile.commits_fail, "commits fail"):
            store.fail(rng.randint(1, 6))
        if self._happens(profile.commits_wait, "commits wait"):
            store.hold()
            self._mend_in = rng.randint(1, 3)
        if self._happens(profile.row_fails, "row cannot be written"):
            process.spoil(rng.choice(self.users), reading=False)
            self._mend_in = rng.randint(1, 10)
        if self._happens(profile.unreadable, "cell cannot be read"):
            process.spoil(rng.choice(self.users), reading=True)
            self._mend_in = rng.randint(1, 10)
        if self._happens(profile.alarms_fail, "alarms cannot be read"):
            store.blind = True
            self._mend_in = rng.randint(1, 3)
        if self._happens(profile.dies_at_commit, "death at a commit"):
            rng.choice((store.die_before, store.die_after))(rng.randint(1, 12))

    async def _end_of_life(self, process: Process) -> None:
        rng, profile = self._rng, self._profile
        if self._happens(profile.killed, "killed"):
            await process.turns(rng.randrange(MOST_TURNS))
            process.kill()
        elif self._happens(profile.stopped, "stopped"):
            await process.stop(rng.choice(STOP_SECONDS))

    # --- time ---------------------------------------------------------------------------------------------

    async def _move(self, process: Process) -> None:
        rng = self._rng
        kind = rng.random()
        if kind < 0.15:  # noqa: PLR2004 - shares, here and below
            await process.turns(rng.randrange(MOST_TURNS))
        elif kind < 0.25:  # noqa: PLR2004
            await process.let_pass(0.001)
        elif kind < 0.8:  # noqa: PLR2004
            await self._to_the_next_instant(process)
        elif kind < 0.93:  # noqa: PLR2004
            await process.let_pass(rng.uniform(0, 5))
        else:
            await process.let_pass(rng.uniform(0, self._books.policy.retry_interval_ms * 1.1 / 1000))

    async def _to_the_next_instant(self, process: Process) -> None:
        """To a wake-up, or a millisecond before or after it; there the actor may hear a wake-up of ours, too."""
        rng, now_ms = self._rng, process.clock.now_ms()
        coming = [alarm for alarm in self._disk.armed.values() if alarm.due_ms > now_ms]
        if not coming:
            await process.let_pass(rng.uniform(0, 0.5))
            return
        alarm = min(coming, key=lambda alarm: (alarm.due_ms, alarm.actor_id))
        seconds = (alarm.due_ms + rng.choice((-1, 0, 0, 0, 1)) - now_ms) / 1000
        overdue = len(coming) < len(self._disk.armed)
        await process.let_pass(min(seconds, LONGEST_QUEUE_SECONDS) if overdue else seconds)
        if rng.random() < 0.1:  # noqa: PLR2004 - now and then
            process.tell(alarm.actor_id.name, None)
            await process.turns(rng.randrange(MOST_TURNS))
