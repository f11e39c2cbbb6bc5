"""Fault profiles: how likely each kind of trouble is in a run. The seed draws one, and the settings of each process."""

from dataclasses import dataclass
from random import Random
from typing import Final

from actors.admission import Limits
from actors.breaker import BreakerLimits
from actors.clock_guard import GuardLimits
from actors.runtime import Residency
from labsessions.core.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Chances are per step of the schedule; the backend's are per call, the outcomes' per attempt."""

    name: str
    users: tuple[int, int] = (4, 24)
    # The backend: a call fails, hangs (its answer is lost, or comes too late); all of it is down for a while.
    fails: float = 0.0
    hangs: float = 0.0
    outage: float = 0.0
    # An outcome is lost on its way, told twice, or an earlier one is told again.
    outcome_lost: float = 0.0
    outcome_again: float = 0.0
    stale_wake: float = 0.02
    # The medium: commits fail, wait, or fail for one user only; a cell can't be read.
    commits_fail: float = 0.0
    commits_wait: float = 0.0
    row_fails: float = 0.0
    unreadable: float = 0.0
    alarms_fail: float = 0.0
    # The process: is killed, dies at a commit, is stopped; the client goes away without waiting for its answer.
    killed: float = 0.0
    dies_at_commit: float = 0.0
    stopped: float = 0.005
    client_gone: float = 0.0
    unconfigured: float = 0.0  # of the processes
    another_release: float = 0.1  # of the starts: the cells are as another release would have left them
    clock_steps: float = 0.0
    guarded: float = 0.1  # of the processes: steps of the clock may hold wake-ups back
    operators: float = 0.0  # an operator ends a session, wants a retry, or gives one up
    herd: float = 0.0  # many users at once, with the same deadline


PROFILES: Final = (
    Profile(name="calm"),
    Profile(
        name="backend",
        fails=0.3,
        hangs=0.15,
        outage=0.02,
        outcome_lost=0.03,
        outcome_again=0.1,
        stale_wake=0.06,
        operators=0.1,
    ),
    Profile(
        name="storage",
        fails=0.1,
        commits_fail=0.06,
        commits_wait=0.04,
        row_fails=0.04,
        unreadable=0.03,
        alarms_fail=0.03,
    ),
    Profile(
        name="crashes",
        fails=0.15,
        hangs=0.1,
        killed=0.04,
        dies_at_commit=0.04,
        stopped=0.02,
        client_gone=0.03,
        operators=0.1,
    ),
    Profile(name="clock", fails=0.1, hangs=0.05, clock_steps=0.06, guarded=0.5, stopped=0.02, stale_wake=0.06),
    Profile(name="herd", users=(30, 60), fails=0.2, hangs=0.2, herd=0.03, outage=0.02, killed=0.01),
    Profile(
        name="everything",
        fails=0.2,
        hangs=0.1,
        outage=0.01,
        outcome_lost=0.02,
        outcome_again=0.05,
        stale_wake=0.04,
        commits_fail=0.03,
        commits_wait=0.02,
        row_fails=0.02,
        unreadable=0.02,
        alarms_fail=0.01,
        killed=0.02,
        dies_at_commit=0.02,
        stopped=0.01,
        client_gone=0.02,
        unconfigured=0.1,
        clock_steps=0.02,
        guarded=0.3,
        herd=0.01,
        operators=0.05,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may change from one start to the next."""

    policy: Policy
    limits: Limits
    breaker: BreakerLimits
    residency: Residency
    guard: GuardLimits | None
    call_timeout_seconds: float
    configured: bool


def draw_settings(rng: Random, profile: Profile, users: int) -> Settings:
    """The settings of one process.

    The places beside the slots suffice for all `users`, each of whom may need another one for a moment while the last
    one is given back; or there are few or none.
    """
    return Settings(
        policy=Policy(
            max_total_minutes=rng.choice((43_200, 90, 60, 5)),
            retry_interval_ms=rng.choice((2_000, 5_000, 30_000, 300_000)),
            attempt_limit_ms=rng.choice((1_000, 5_000, 20_000, 60_000)),
            spread=rng.choice((0.0, 0.05, 0.1)),
            stuck_after=rng.choice((1, 2, 3, 12)),
            keys_kept_ms=rng.choice((3_000, 60_000, 600_000)),
            owed_after_ms=rng.choice((None, None, 0, 3_000, 60_000)),
            warn_before_ms=rng.choice(((), (3_000,), (20_000, 3_000, 1), (300_000, 60_000))),
        ),
        limits=Limits(
            slots=rng.choice((1, 2, 3, 8, 64)),
            slow_after_seconds=rng.choice((0.05, 0.5)),
            slow_slots=rng.choice((2 * users, 2 * users, 2 * users, 2, 0)),
            rate_per_second=rng.choice((0.0, 0.0, 0.0, 5.0, 50.0)),
        ),
        breaker=BreakerLimits(
            failures=rng.choice((0, 0, 1, 2, 5)),
            pause_seconds=rng.choice((0.5, 5.0)),
            longest_pause_seconds=rng.choice((5.0, 60.0)),
        ),
        residency=Residency(idle_seconds=rng.choice((0.5, 10.0)), max_resident=rng.choice((1, 3, 10_000))),
        guard=_draw_guard(rng, profile),
        call_timeout_seconds=rng.choice((0.5, 15.0)),
        configured=rng.random() >= profile.unconfigured,
    )


def _draw_guard(rng: Random, profile: Profile) -> GuardLimits | None:
    limits = GuardLimits(step_seconds=rng.choice((30.0, 600.0)), hold_seconds=rng.choice((20.0, 900.0)))
    return limits if rng.random() < profile.guarded else None
