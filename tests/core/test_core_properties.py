"""One user for a long time: any messages in any order, with a clock that also jumps, against a simple model.

The model knows what the contract promises – who owes what, since when, until when – and not how it is decided.
"""

from fractions import Fraction

from builders import GENERATION, HOUR, MASTER, NOW, POLICY, User, lab, worker_nodes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import UNSET, UnsetType, structs

from labsessions.core.codec import decode, encode
from labsessions.core.machine import is_retry, wake_at
from labsessions.core.messages import (
    Abandon,
    AttemptEnded,
    AttemptFailed,
    AttemptStarted,
    Clean,
    Create,
    Created,
    Current,
    Delete,
    Ended,
    Event,
    Message,
    Refusal,
    Show,
    Stuck,
    Update,
    Updated,
    Wake,
)
from labsessions.core.model import LabChanges, State
from labsessions.core.projection import public, row

SPREAD = structs.replace(POLICY, spread=0.1)
WORKERS = ("w1", "w2", "w3")

minutes = st.sampled_from([0.05, 1, 1e-05, 5, 90.5])
workers = st.lists(st.sampled_from([*WORKERS, MASTER]), max_size=3)
confirmations = st.lists(st.sampled_from([MASTER, *WORKERS, "stranger"]), max_size=5).map(tuple)
reasons = st.sampled_from([None, "503", "timed out"])


class OneUser(RuleBasedStateMachine):
    """Says anything to one user and keeps the books beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.user = User(SPREAD)
        self.now_ms = NOW
        self.generations = 0
        self.cleans: list[Clean] = []
        self.ended: set[str] = set()
        # The books on the session that there is, if there is one.
        self.created_ms = 0
        self.minutes: float = 0
        self.owed: set[str] = set()
        self.confirmed: set[str] = set()
        self.attempts = 0
        self.not_before_ms = 0  # the next attempt may not start earlier
        self.outcome_known = True
        self.stuck = 0

    # --- what may happen ----------------------------------------------------------------------------------

    @rule(duration=minutes, ids=workers)
    def create(self, duration: float, ids: list[str]) -> None:
        """A POST; the ids are the same each time, the generation never is."""
        generation = f"{GENERATION[:-8]}{self.generations:08x}"
        existed = self.user.state.session is not None
        reply = self.say(Create(generation, lab(duration=duration, worker_nodes=worker_nodes(*ids))))
        if existed:
            assert reply is Refusal.EXISTS
            return
        self.generations += 1
        self.created_ms, self.minutes = self.now_ms, duration
        self.owed, self.confirmed = {MASTER, *ids}, set()
        self.attempts, self.stuck, self.outcome_known = 0, 0, True
        self.not_before_ms = self.deadline_ms

    @rule(duration=st.just(UNSET) | minutes, ids=st.just(UNSET) | workers)
    def update(self, duration: float | UnsetType, ids: list[str] | UnsetType) -> None:
        """A PUT of a duration, of workers, of both, or of something else."""
        nodes = UNSET if ids is UNSET else worker_nodes(*ids)
        reply = self.say(Update(LabChanges(duration=duration, worker_nodes=nodes, terminal_url="t")))
        if self.attempts or not self.alive:
            assert reply is (Refusal.BEING_CLEANED if self.alive else Refusal.NOT_FOUND)
            return
        if duration is not UNSET:
            self.minutes = duration
        if ids is not UNSET:
            self.owed |= set(ids)
        self.not_before_ms = self.deadline_ms

    @rule()
    def delete(self) -> None:
        """A DELETE ends whatever there is."""
        reply = self.say(Delete())
        assert (reply is Refusal.NOT_FOUND) is not isinstance(reply, Current)
        assert not self.alive

    @rule()
    def show(self) -> None:
        """A GET."""
        before = self.user.state
        reply = self.say(Show())
        expected = Refusal.NOT_FOUND if before.session is None else Current(before.session)
        assert reply == expected
        assert self.user.state is before

    @rule()
    def wake(self) -> None:
        """A wake-up starts exactly one attempt if it is due, and nothing if it isn't."""
        attempts, due = len(self.cleans), self.alive and self.now_ms >= self.not_before_ms
        self.say(Wake())
        assert len(self.cleans) == attempts + due

    @precondition(lambda self: self.alive)
    @rule(offset_ms=st.sampled_from([-1, 0, 0, 0, 1, HOUR]))
    def wake_around_the_instant(self, offset_ms: int) -> None:
        """The clock reaches the instant that was asked for, or just about; then the wake-up comes, twice."""
        self.now_ms = self.user.due_ms + offset_ms
        self.wake()
        self.wake()

    @rule(by_ms=st.sampled_from([1, 999, 5_000, HOUR, -1, -5_000, -HOUR]))
    def let_time_pass(self, by_ms: int) -> None:
        """The wall clock goes on, or is set back."""
        self.now_ms += by_ms

    @precondition(lambda self: self.cleans)
    @rule(data=st.data(), confirmed=confirmations, error=reasons)
    def any_outcome(self, data: st.DataObject, confirmed: tuple[str, ...], error: str | None) -> None:
        """An outcome of any attempt ever asked for: of now, of before, of a session long gone, doubled."""
        clean = data.draw(st.sampled_from(self.cleans))
        self.end_attempt(AttemptEnded(clean.generation, clean.attempt, confirmed, error))

    @precondition(lambda self: self.cleans)
    @rule(confirmed=confirmations, error=reasons)
    def newest_outcome(self, confirmed: tuple[str, ...], error: str | None) -> None:
        """The outcome that is waited for."""
        clean = self.cleans[-1]
        self.end_attempt(AttemptEnded(clean.generation, clean.attempt, confirmed, error))

    @precondition(lambda self: self.cleans)
    @rule()
    def success(self) -> None:
        """The newest attempt confirms all that it was asked for."""
        clean = self.cleans[-1]
        self.end_attempt(AttemptEnded(clean.generation, clean.attempt, clean.vms, None))

    @rule()
    def restart(self) -> None:
        """The service is killed: what is stored is all that is left."""
        self.user.state = decode(encode(self.user.state))

    # --- the books ----------------------------------------------------------------------------------------

    def end_attempt(self, ended: AttemptEnded) -> None:
        """Tell an outcome; note what of it must count."""
        before, own = self.user.state, self.alive and ended.generation == self.user.session.generation
        awaited = own and ended.attempt == self.attempts and not self.outcome_known
        if own and self.attempts:
            self.confirmed |= set(ended.confirmed) & self.owed
        over = own and self.confirmed == self.owed
        if awaited and not over:
            self.outcome_known = True
            self.not_before_ms = self.now_ms + SPREAD.retry_after_ms(ended.generation)
        self.say(ended)

        assert self.alive is (before.session is not None and not over)
        if not own:
            assert self.user.state is before

    def say(self, message: Message) -> object:
        """Say it, and hold what follows from it against the books."""
        before = self.user.state
        decision = self.user.say(message, self.now_ms)
        for effect in decision.effects:
            self.check_effect(before, effect)
        for event in decision.events:
            self.check_event(event)

        after = decision.state
        assert (after is before) is (after == before)
        assert not (decision.events and after is before), "a fact without a change"
        assert (before.session is not None and after.session is None) is any(
            isinstance(event, Ended) for event in decision.events
        )
        if before.session and after.session and before.session.generation == after.session.generation:
            assert after.session.version == before.session.version + (after is not before)
        return decision.reply

    def check_effect(self, before: State, effect: Clean | Abandon) -> None:
        """Nothing early, nothing twice, nothing that isn't owed."""
        assert before.session is not None
        assert effect.generation == before.session.generation
        assert effect.generation not in self.ended
        if isinstance(effect, Abandon):
            assert before.session.cleanup is not None
            return
        assert self.now_ms >= self.not_before_ms
        assert self.now_ms >= self.deadline_ms or self.attempts, "a first attempt before the deadline"
        assert effect.attempt == self.attempts + 1
        assert set(effect.vms) == self.owed - self.confirmed
        assert len(set(effect.vms)) == len(effect.vms) > 0
        self.attempts, self.outcome_known = effect.attempt, False
        self.not_before_ms = self.now_ms + SPREAD.backstop_ms
        self.cleans.append(effect)

    def check_event(self, event: Event) -> None:
        """Facts fit the books; nothing is ever said of a session after its end."""
        generation = event.session.generation
        assert generation not in self.ended
        match event:
            case Ended(session, reason, at_ms):
                self.ended.add(generation)
                assert at_ms == self.now_ms
                assert (reason == "expired") is (session.pending == ())
            case Stuck(session):
                self.stuck += 1
                assert session.cleanup is not None
                assert session.cleanup.attempts == SPREAD.stuck_after
            case AttemptStarted(session) | AttemptFailed(session):
                assert session.cleanup is not None
            case Created(session) | Updated(session):
                assert session.cleanup is None

    @property
    def alive(self) -> bool:
        """Whether there is a session."""
        return self.user.state.session is not None

    @property
    def deadline_ms(self) -> int:
        """Creation + duration, rounded up, by exact arithmetic of its own."""
        return self.created_ms - (-Fraction(repr(self.minutes)) * 60_000).__floor__()

    # --- what always holds --------------------------------------------------------------------------------

    @invariant()
    def stored_woken_and_shown_together(self) -> None:
        """Session, wake-up, row and stored bytes are there together or not at all."""
        state = self.user.state
        assert {wake_at(state) is None, encode(state) is None, row(state) is None} == {not self.alive}
        assert decode(encode(state)) == state

    @invariant()
    def the_session_fits_the_books(self) -> None:
        """Deadline, VMs, confirmations, attempts and the next instant are what the contract says."""
        if not self.alive:
            return
        session = self.user.session
        assert session.generation not in self.ended
        assert session.expires_ms == self.deadline_ms
        assert session.vms[0] == MASTER
        assert set(session.vms) == self.owed
        assert set(session.pending) == self.owed - self.confirmed
        assert self.user.due_ms == self.not_before_ms
        assert is_retry(self.user.state) is (self.attempts > 0)
        assert (session.cleanup is None) is (self.attempts == 0)
        if session.cleanup is not None:
            assert session.cleanup.attempts == self.attempts
            assert session.cleanup.in_flight is not self.outcome_known
            assert session.pending, "nothing is owed, but the session is still there"

    @invariant()
    def stuck_is_said_once(self) -> None:
        """The label is there exactly if it was said, and it was said at most once."""
        if self.alive:
            assert self.stuck == (self.user.session.status == "stuck")

    @invariant()
    def all_views_agree(self) -> None:
        """Row, public session and status tell the same; no time left is no negative time."""
        shown = row(self.user.state)
        if shown is None:
            return
        body = public(self.user.session, self.now_ms)
        assert shown["status"] == body["status"] == self.user.session.status
        assert (shown["status"] == "active") is (self.attempts == 0)
        assert shown["attempts"] == body.get("attempts", 0) == self.attempts
        assert shown["next_attempt_at"] == body.get("next_attempt_at")
        assert shown["expires_at"] == body["expires_at"]
        assert body["remaining_seconds"] == max(0, self.deadline_ms - self.now_ms) / 1000


TestOneUser = OneUser.TestCase
TestOneUser.settings = settings(derandomize=True, deadline=None, max_examples=150, stateful_step_count=40)
