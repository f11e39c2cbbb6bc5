"""Ready-made values of the domain for tests: labs, messages, and states reached by really deciding them.

Nothing here tests anything, and no state is built by hand that `decide` could not have reached.
"""

from typing import Any, Self

from msgspec import structs

from labsessions.core.decision import Decision
from labsessions.core.machine import decide, wake_at
from labsessions.core.messages import AttemptEnded, Clean, Create, Effect, Message, Wake
from labsessions.core.model import Cleanup, Lab, Session, State
from labsessions.core.policy import Policy

NOW = 1_764_000_000_123
MINUTE = 60_000
HOUR = 60 * MINUTE

GENERATION = "00000000-0000-4000-8000-000000000000"
OTHER_GENERATION = "11111111-1111-4111-8111-111111111111"

MASTER = "vm-master"
WORKERS = ("vm-worker-1", "vm-worker-2")

# No spread, so that instants in tests are round; stuck soon, so that few steps get there.
POLICY = Policy(retry_interval_ms=300_000, attempt_limit_ms=60_000, spread=0.0, stuck_after=3)


def worker_nodes(*ids: str) -> list[dict[str, Any]]:
    """What a client sends as `worker_nodes` for the VMs `ids`."""
    return [{"name": f"node-{vm}", "worker_lab_request_id": vm, "network_id": "net-1", "netbird_ip": ""} for vm in ids]


def lab(**members: Any) -> Lab:
    """A lab of one hour with only a master; `members` are `Lab`'s attributes by their Python names."""
    return structs.replace(_LAB, **members)


_LAB = Lab(
    id="session-1",
    lab_id="lab-1",
    lab_title="Kubernetes from scratch",
    lab_group_id="group-1",
    module_id="module-1",
    duration=60,
    activated_at="2026-11-23T10:00:00.000Z",
    counter_id="counter-1",
    config_id="config-1",
    worker_config_id="worker-config-1",
    lab_request_id=MASTER,
    user_id="user-1",
    terminal_url="https://terminal.test/1",
    validation=0,
    vm={"name": "master", "network_id": "net-1", "netbird_ip": "100.64.0.1"},
)


class User:
    """One user as the runtime keeps it: what is said to it is decided on, and the new state kept.

    Use it to reach a state by the way a real one is reached: `User().create(duration=1).expire().fail()`.
    """

    def __init__(self, policy: Policy = POLICY) -> None:
        self.state = State()
        self.policy = policy
        self.effects: list[Effect] = []

    def say(self, message: Message, now_ms: int) -> Decision:
        """Decide on `message` at `now_ms`, keep the state and the effects, hand back the decision."""
        decision = decide(self.state, message, now_ms, self.policy)
        self.state = decision.state
        self.effects.extend(decision.effects)
        return decision

    def create(self, generation: str = GENERATION, now_ms: int = NOW, **members: Any) -> Self:
        """Start `lab(**members)`."""
        self.say(Create(generation, lab(**members)), now_ms)
        return self

    def expire(self) -> Self:
        """Deliver the wake-up on time, whatever it is for: a deadline, a retry or the backstop."""
        self.say(Wake(), self.due_ms)
        return self

    def fail(self, *confirmed: str, error: str = "backend said 503", after_ms: int = 1_000) -> Self:
        """The attempt in flight fails `after_ms` after its start, though some VMs were `confirmed`."""
        now_ms = self.cleanup.retry_ms - self.policy.backstop_ms + after_ms
        self.say(self.outcome(*confirmed, error=error), now_ms)
        return self

    def outcome(self, *confirmed: str, error: str | None = None) -> AttemptEnded:
        """The outcome of the newest attempt, as an effect would report it."""
        clean = self.newest_clean
        return AttemptEnded(clean.generation, clean.attempt, confirmed, error)

    @property
    def newest_clean(self) -> Clean:
        """The cleanup that was asked for last."""
        return [effect for effect in self.effects if isinstance(effect, Clean)][-1]

    @property
    def session(self) -> Session:
        """The session, which must exist."""
        assert self.state.session is not None
        return self.state.session

    @property
    def cleanup(self) -> Cleanup:
        """The cleanup under way, which must exist."""
        assert self.session.cleanup is not None
        return self.session.cleanup

    @property
    def due_ms(self) -> int:
        """When the user wants to be woken, which must be set."""
        due_ms = wake_at(self.state)
        assert due_ms is not None
        return due_ms


def active() -> User:
    """A session of one hour, created `NOW`."""
    return User().create()


def in_flight() -> User:
    """Cleaning, the first attempt under way since the deadline."""
    return active().expire()


def waiting() -> User:
    """Cleaning, the first attempt failed a second after its start, the second one not due yet."""
    return in_flight().fail()


def stuck() -> User:
    """Cleaning for so many attempts that it is labelled stuck."""
    return waiting().expire().fail().expire().fail()
