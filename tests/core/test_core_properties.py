"""One user for a long time: any messages in any order, with a clock that also jumps, against a simple model.

The model knows what the contract promises – who owes what, since when, until when – and not how it is decided.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from builders import GENERATION, HOUR, MASTER, MINUTE, NOW, POLICY, User, lab, worker_nodes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import UNSET, UnsetType, structs
from strategies import seeded

from labsessions.core.codec import decode, encode
from labsessions.core.machine import is_retry, wake_at
from labsessions.core.messages import (
    Abandon,
    Affected,
    AttemptEnded,
    AttemptFailed,
    AttemptStarted,
    Clean,
    Create,
    Created,
    Current,
    Delete,
    Ended,
    EndNow,
    Event,
    ExtendBy,
    Extended,
    ExtendUntil,
    Forget,
    Forgotten,
    Message,
    Owed,
    Refusal,
    RetryNow,
    Settled,
    Show,
    Stuck,
    TakenOver,
    Update,
    Updated,
    Wake,
)
from labsessions.core.model import LabChanges
from labsessions.core.projection import public, row

# Longer than any duration of a POST or PUT, so that only extensions meet the limit.
LIMIT = 100 * MINUTE
SPREAD = structs.replace(POLICY, spread=0.1, max_total_minutes=100)
WORKERS = ("w1", "w2", "w3")

minutes = st.sampled_from([0.05, 1, 1e-05, 5, 90.5])
masters = st.sampled_from([MASTER, MASTER, "m2"])
workers = st.lists(st.sampled_from([*WORKERS, MASTER]), max_size=3)
confirmations = st.lists(st.sampled_from([MASTER, "m2", *WORKERS, "stranger"]), max_size=5).map(tuple)
reasons = st.sampled_from([None, "503", "timed out"])


GRACE = 7_000


@dataclass(eq=False)
class Part:
    """The books on a session or an obligation: who is owed, what was confirmed, when it may be tried."""

    generation: str
    master: str
    owed: set[str]
    not_before_ms: int
    confirmed: set[str] = field(default_factory=set)
    attempts: int = 0
    outcome_known: bool = True
    stuck: int = 0
    ended: bool = False
    """By an operator."""

    @property
    def cleaning(self) -> bool:
        """Whether its cleanup has begun."""
        return self.ended or self.attempts > 0


class OneUser(RuleBasedStateMachine):
    """Says anything to one user and keeps the books beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.user = User(SPREAD)
        self.now_ms = NOW
        self.generations = 0
        self.cleans: list[Clean] = []
        self.ended: set[str] = set()
        self.ended_now: set[str] = set()
        self.running: str | None = None
        """The generation whose attempt the engine runs now."""
        # The books on the session that there is, if there is one, and on the obligations, the oldest first.
        self.created_ms = 0
        self.minutes: float = 0
        self.part: Part | None = None
        self.debts: list[Part] = []

    # --- what may happen ----------------------------------------------------------------------------------

    @rule(duration=minutes, ids=workers, master=masters)
    def create(self, duration: float, ids: list[str], master: str) -> None:
        """A POST; the ids are often the same, the generation never is."""
        generation = f"{GENERATION[:-8]}{self.generations:08x}"
        existed = self.part is not None
        if not existed:
            self.generations += 1
            self.created_ms, self.minutes = self.now_ms, duration
            self.part = Part(generation, master, {master, *ids}, self.deadline_ms)
            self.take_over({master, *ids})
        new = lab(duration=duration, lab_request_id=master, worker_nodes=worker_nodes(*ids))
        reply = self.say(Create(generation, new))
        assert (reply is Refusal.EXISTS) is existed

    @rule(duration=st.just(UNSET) | minutes, ids=st.just(UNSET) | workers)
    def update(self, duration: float | UnsetType, ids: list[str] | UnsetType) -> None:
        """A PUT of a duration, of workers, of both, or of something else."""
        nodes = UNSET if ids is UNSET else worker_nodes(*ids)
        message = Update(LabChanges(duration=duration, worker_nodes=nodes, terminal_url="t"))
        if self.part is None or self.part.cleaning:
            assert self.say(message) is (Refusal.BEING_CLEANED if self.part else Refusal.NOT_FOUND)
            return
        if duration is not UNSET:
            self.minutes = duration
        if ids is not UNSET:
            self.part.owed |= set(ids)
            self.take_over(set(ids))
        self.part.not_before_ms = self.deadline_ms
        self.say(message)

    @rule(by_minutes=st.sampled_from([1e-05, 0.05, 5, 60, 600, -0.05, -5, -60]))
    def extend_by(self, by_minutes: float) -> None:
        """More time counts from the deadline, or from now if that has passed; less counts from the deadline."""
        end_ms = max(self.deadline_ms, self.now_ms) if by_minutes > 0 else self.deadline_ms
        magnitude_ms = -(-Fraction(repr(abs(by_minutes))) * 60_000).__floor__()
        wanted_ms = end_ms + (magnitude_ms if by_minutes > 0 else -magnitude_ms)
        self.extend(ExtendBy(by_minutes), wanted_ms)

    @rule(offset_ms=st.sampled_from([-HOUR, -1, 0, 1, 5_000, HOUR]), limit=st.booleans())
    def extend_until(self, offset_ms: int, *, limit: bool) -> None:
        """An instant around now, or around the limit."""
        wanted_ms = offset_ms + (self.created_ms + LIMIT if limit else self.now_ms)
        self.extend(ExtendUntil(wanted_ms), wanted_ms)

    def extend(self, message: ExtendBy | ExtendUntil, wanted_ms: int) -> None:
        """Say it; it is refused, or the deadline is `wanted_ms` as far as the limit and the time allow."""
        before, limit_ms = self.deadline_ms, self.created_ms + LIMIT
        if self.part is None or self.part.cleaning:
            assert self.say(message) is (Refusal.BEING_CLEANED if self.part else Refusal.NOT_FOUND)
            return
        longer = wanted_ms > max(before, self.now_ms)
        if longer and max(before, self.now_ms) >= limit_ms:
            assert self.say(message) is Refusal.LIMIT_REACHED
            return
        after = min(wanted_ms, limit_ms) if longer else min(before, max(wanted_ms, self.now_ms, self.created_ms + 1))
        self.part.not_before_ms = after
        reply = self.say(message)
        assert reply == Extended(self.user.session, after - before, partial=longer and after < wanted_ms)
        self.minutes = self.user.session.lab.duration
        assert self.deadline_ms == after

    @rule()
    def delete(self) -> None:
        """A DELETE ends whatever there is; what becomes of the VMs is what the operator has chosen."""
        part, self.part = self.part, None
        if part is not None and self.user.policy.owed_after_ms is not None:
            part.outcome_known, part.not_before_ms = True, self.now_ms + GRACE
            self.debts.append(part)
        reply = self.say(Delete())
        assert (reply is Refusal.NOT_FOUND) is (part is None)

    @rule()
    def end_now(self) -> None:
        """An operator ends the session: it is due now, however far the clock was set back."""
        part = self.part
        if part is None or part.cleaning:
            assert self.say(EndNow()) is (Refusal.BEING_CLEANED if part else Refusal.NOT_FOUND)
            return
        deadline_ms = min(self.deadline_ms, max(self.now_ms, self.created_ms + 1))
        part.ended, part.not_before_ms = True, self.now_ms
        self.ended_now.add(part.generation)
        self.say(EndNow())
        self.minutes = self.user.session.lab.duration
        assert self.deadline_ms == deadline_ms

    @rule()
    def retry_now(self) -> None:
        """An operator wants the next attempt now, of the session that is being cleaned or of what is owed."""
        waiting = [self.part] if self.part and self.part.cleaning else self.debts
        reply = self.say(RetryNow())
        if not waiting:
            assert reply is (Refusal.NOTHING_WAITS if self.part else Refusal.NOT_FOUND)
        elif not all(part.outcome_known for part in waiting):
            assert reply is Refusal.ATTEMPT_RUNNING
        else:
            assert isinstance(reply, Affected)
            assert [part.generation for part in reply.parts] == [part.generation for part in waiting]
            for part in waiting:
                part.not_before_ms = min(part.not_before_ms, self.now_ms)

    @precondition(lambda self: self.parts)
    @rule(session_id=st.sampled_from([None, "session-1", "another"]))
    def forget_all(self, session_id: str | None) -> None:
        """An operator gives up what is there; all have the same id."""
        reply = self.say(Forget(session_id))
        if session_id == "another":
            assert reply is Refusal.CHANGED
            return
        assert isinstance(reply, Affected)
        assert [part.generation for part in reply.parts] == [part.generation for part in self.parts]
        self.part, self.debts = None, []
        assert self.running is None, "a call would follow"

    @rule(owed_after_ms=st.sampled_from([None, GRACE, GRACE]))
    def change_the_setting(self, owed_after_ms: int | None) -> None:
        """Another release or another setting; what was decided before stands."""
        self.user.policy = structs.replace(SPREAD, owed_after_ms=owed_after_ms)

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
        """A wake-up starts exactly one attempt if any may start and is due, and nothing else."""
        attempts, due = len(self.cleans), [part for part in self.may_start() if self.now_ms >= part.not_before_ms]
        self.say(Wake())
        assert len(self.cleans) == attempts + bool(due)

    @precondition(lambda self: self.part or self.debts)
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
        self.running = None

    # --- the books ----------------------------------------------------------------------------------------

    def end_attempt(self, ended: AttemptEnded) -> None:
        """Tell an outcome; note what of it must count."""
        before = self.user.state
        part = next((part for part in self.parts if part.generation == ended.generation), None)
        if part is None:
            self.say(ended)
            assert self.user.state is before
            return
        awaited = ended.attempt == part.attempts and not part.outcome_known
        if awaited and self.running == part.generation:
            self.running = None
        if part.attempts or part in self.debts:
            part.confirmed |= set(ended.confirmed) & part.owed
        if part.confirmed == part.owed:
            self.forget(part)
        elif awaited:
            part.outcome_known = True
            part.not_before_ms = self.now_ms + SPREAD.retry_after_ms(ended.generation)
        self.say(ended)

    def take_over(self, named: set[str]) -> None:
        """The session names VMs: no obligation has them any more."""
        for part in list(self.debts):
            if part.owed & named:
                part.owed -= named
                part.confirmed -= named
                if not part.outcome_known:
                    part.outcome_known, part.not_before_ms = True, self.now_ms
                if part.owed == part.confirmed:
                    self.debts.remove(part)

    def forget(self, part: Part) -> None:
        """It is over."""
        if part is self.part:
            self.part = None
        else:
            self.debts.remove(part)

    @property
    def parts(self) -> list[Part]:
        """The session, if there is one, and the obligations."""
        return [*([self.part] if self.part else []), *self.debts]

    def may_start(self) -> list[Part]:
        """What may be tried once it is due: the session at any time, an obligation if no other attempt is open."""
        first = [self.part] if self.part else []
        open_ones = [part for part in self.parts if not part.outcome_known]
        return first + [part for part in self.debts if open_ones in ([], [part])]

    def say(self, message: Message) -> object:
        """Say it, and hold what follows from it against the books."""
        before = self.user.state
        decision = self.user.say(message, self.now_ms)
        for event in decision.events:
            self.check_event(event)
        for effect in decision.effects:
            self.check_effect(effect)

        after = decision.state
        assert (after is before) is (after == before)
        assert not (decision.events and after is before), "a fact without a change"
        assert (before.session is not None and after.session is None) is any(
            isinstance(event, Ended) for event in decision.events
        )
        if before.session and after.session and before.session.generation == after.session.generation:
            assert after.session.version == before.session.version + (after.session != before.session)
        return decision.reply

    def check_effect(self, effect: Clean | Abandon) -> None:
        """Nothing early, nothing twice, nothing that isn't owed, and never somebody else's attempt abandoned."""
        if isinstance(effect, Abandon):
            assert self.running in (None, effect.generation)
            self.running = None
            return
        assert self.running in (None, effect.generation), "two attempts at once"
        (part,) = [part for part in self.may_start() if part.generation == effect.generation]
        assert self.now_ms >= part.not_before_ms
        if part is not self.part and self.part is not None:
            assert self.now_ms < self.part.not_before_ms, "the session goes first"
        assert effect.attempt == part.attempts + 1
        assert set(effect.vms) == part.owed - part.confirmed
        assert len(set(effect.vms)) == len(effect.vms) > 0
        assert effect.services is (part.master in part.owed)
        for other in self.debts:
            if other is not part and not other.outcome_known:
                other.outcome_known, other.not_before_ms = True, self.now_ms
        part.attempts, part.outcome_known = effect.attempt, False
        part.not_before_ms = self.now_ms + SPREAD.backstop_ms
        self.cleans.append(effect)
        self.running = effect.generation

    def check_event(self, event: Event) -> None:
        """Facts fit the books; nothing is ever said of a session after its end."""
        generation = event.session.generation
        assert generation not in self.ended
        match event:
            case Ended(session, reason, at_ms):
                assert at_ms == self.now_ms
                cleaned = "ended_by_operator" if generation in self.ended_now else "expired"
                assert (reason == cleaned) is (session.pending == ())
                if reason != "deleted":
                    self.ended.add(generation)
            case Forgotten(session):
                assert session.pending
                self.ended.add(generation)
            case Settled(session, at_ms):
                assert (at_ms, session.pending) == (self.now_ms, ())
                self.ended.add(generation)
            case Stuck(session):
                (part,) = [part for part in self.parts if part.generation == generation]
                part.stuck += 1
                assert session.cleanup is not None
                # Of an obligation an attempt may have been abandoned, which is no failure: then it is a later one.
                over = session.cleanup.attempts - SPREAD.stuck_after
                assert over == 0 if session.deleted_ms is None else over >= 0
            case AttemptStarted(session) | AttemptFailed(session) | Owed(session):
                assert session.cleanup is not None
            case TakenOver(session, vms):
                assert vms
                assert not set(vms) & set(session.vms)
            case Created(session):
                assert session.cleanup is None
            case Updated(session):
                assert (session.cleanup is not None) is (generation in self.ended_now)

    @property
    def deadline_ms(self) -> int:
        """Creation + duration, rounded up, by exact arithmetic of its own."""
        return self.created_ms - (-Fraction(repr(self.minutes)) * 60_000).__floor__()

    # --- what always holds --------------------------------------------------------------------------------

    @invariant()
    def stored_woken_and_shown_together(self) -> None:
        """Wake-up and stored bytes are there together or not at all, row and session likewise."""
        state = self.user.state
        assert {wake_at(state) is None, encode(state) is None} == {not self.parts}
        assert (row(state) is None) is (self.part is None)
        assert decode(encode(state)) == state

    @invariant()
    def the_state_fits_the_books(self) -> None:
        """VMs, confirmations, attempts and the next instant of each part are what the contract says."""
        state = self.user.state
        stored = [*([state.session] if state.session else []), *state.owed]
        assert [session.generation for session in stored] == [part.generation for part in self.parts]
        for session, part in zip(stored, self.parts, strict=True):
            assert session.generation not in self.ended
            assert set(session.vms) == part.owed
            assert set(session.pending) == part.owed - part.confirmed
            assert session.due_ms == part.not_before_ms
            assert session.in_flight is not part.outcome_known
            assert part.stuck == (session.status == "stuck"), "said once, exactly where the label is"
            assert (session.cleanup is None) is (not part.cleaning and part is self.part)
            assert (session.deleted_ms is None) is (part is self.part)
            if session.cleanup is not None:
                assert session.cleanup.attempts == part.attempts
                assert session.pending, "nothing is owed, but the part is still there"
        if state.session is not None and self.part is not None:
            assert state.session.expires_ms == self.deadline_ms
            assert state.session.vms[0] == self.part.master

    @invariant()
    def the_wake_up_is_that_of_the_first_due(self) -> None:
        """In the lane of retries only if it is one, and no first attempt of the session could wait there."""
        due = sorted(self.may_start(), key=lambda part: part.not_before_ms)
        assert wake_at(self.user.state) == (due[0].not_before_ms if due else None)
        active = self.part is not None and not self.part.attempts
        assert is_retry(self.user.state) is (bool(due) and not active and due[0].attempts > 0)

    @invariant()
    def no_vm_belongs_to_two(self) -> None:
        """What the session names is no obligation's, and no VM is owed twice; one attempt at most is open."""
        vms = [vm for part in self.parts for vm in part.owed]
        assert len(vms) == len(set(vms))
        assert sum(not part.outcome_known for part in self.parts) <= 1

    @invariant()
    def all_views_agree(self) -> None:
        """Row, public session and status tell the same; no time left is no negative time."""
        shown = row(self.user.state)
        if shown is None:
            return
        body = public(self.user.session, self.now_ms, self.user.policy)
        assert shown["status"] == body["status"] == self.user.session.status
        assert self.part is not None
        assert (shown["status"] == "active") is not self.part.cleaning
        assert shown["attempts"] == body.get("attempts", 0) == self.part.attempts
        assert shown["next_attempt_at"] == body.get("next_attempt_at")
        assert shown["expires_at"] == body["expires_at"]
        assert body["remaining_seconds"] == max(0, self.deadline_ms - self.now_ms) / 1000


TestOneUser = OneUser.TestCase
TestOneUser.settings = settings(seeded, max_examples=150, stateful_step_count=40)
