"""What becomes durable, watched from outside: each change needs a cause, and all tables must agree after it."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, structs

from actors.alarms import FIRST_BACKOFF_MS
from actors.ids import ActorId
from actors.storage import Column, Deferral, Operation
from actors.testing import MemoryDisk
from labsessions.core.codec import decode
from labsessions.core.messages import Create, Delete, ExtendBy, ExtendUntil, Forget, Keyed, Update
from labsessions.core.model import Cleanup, LabChanges, Session
from labsessions.simulation import invariants, obligations, operators, warnings
from labsessions.simulation.books import Book, Books, End, Made, Request
from labsessions.simulation.store import actor_of
from labsessions.simulation.trace import BrokenError

# After a disturbance it may take this long until all is served again: the recheck of the alarms and a little.
SETTLE_MS: Final = 31_000
# Writes of one user's row in a second that fail or change nothing: more than all that its clients may ask for in that
# time, and that stale wake-ups may lead to; the service itself tries again once a second.
MOST_IN_VAIN: Final = 60


class Journal:
    """Looks at the disk after each transaction, and at all of it after each step. Raises BrokenError."""

    def __init__(self, books: Books, disk: MemoryDisk) -> None:
        self._books = books
        self._disk = disk
        self._told: Counter[str] = Counter()
        self._looked_at = 0
        self._outcomes: dict[str, dict[str, Column]] = {}
        self._recorded = 0
        self._agreed: dict[ActorId, tuple[object, object, object]] = {}

    def committed(self, operations: Sequence[Operation]) -> None:
        """A transaction is durable."""
        for operation in operations:
            book = self._books.of(actor_of(operation).name)
            if isinstance(operation, Deferral):
                self._put_off(book, operation)
                continue
            old, cell = book.session, self._disk.cells.get(actor_of(operation))
            state, book.cell = decode(cell), cell
            new = state.session
            if new == old and state.owed == book.debts and state.answered == book.answered:
                self._in_vain(book, "changes nothing")
                continue
            if new != old:
                self._moved(book, old, new)
                book.states.append(new)
            book.answered = state.answered
            if book.debts or state.owed or new is None:
                obligations.moved(self._books, book, old, new, state.owed)
                book.debts = state.owed
            book.stored_troubles = book.troubles
            book.stored_ms, book.stored_wall_ms = self._books.elapsed_ms(), self._books.wall_ms()
            book.latest_wall_ms = book.stored_wall_ms

    def refused(self, operations: Sequence[Operation], *, poisoned: bool) -> None:
        """A transaction has failed; one with a single operation is that user's own trouble."""
        if not poisoned:
            self._books.disturbed()
        if len(operations) == 1:
            book = self._books.of(actor_of(operations[0]).name)
            book.troubles += 1
            self._in_vain(book, "fails")

    def check(self) -> None:
        """Invariants 1, 6 and 8 over the whole disk; 7 for those who are waiting."""
        disk = self._disk
        for book in self._books.users.values():
            if book.session is not None:
                self._prompt(book, book.session)
        invariants.armed_exactly_if_stored(disk.cells, disk.armed)
        rows = disk.tables.get("labs_sessions", {})
        sessions = sum(book.session is not None for book in self._books.users.values())
        if len(rows) != sessions:
            raise BrokenError(6, f"{len(rows)} rows for {sessions} sessions")
        owed = [
            (debt.generation, vm) for book in self._books.users.values() for debt in book.debts for vm in debt.pending
        ]
        invariants.owed_vms_agree(disk.tables.get("owed_vms", {}), owed)
        for actor_id, cell in disk.cells.items():
            alarm, row = disk.armed[actor_id], rows.get((actor_id.name,))
            agreed = self._agreed.get(actor_id)
            if agreed is None or agreed[0] is not cell or agreed[1] is not alarm or agreed[2] is not row:
                book = self._books.of(actor_id.name)
                if book.cell is not cell:
                    raise BrokenError(6, f"{actor_id} is stored, and nobody has seen it written")
                if book.session is None:
                    invariants.alarm_agrees(None, book.debts, alarm, book.answered)
                else:
                    invariants.all_agree(book.session, alarm, row, book.debts)
                self._agreed[actor_id] = (cell, alarm, row)
        invariants.recorded_once(disk.tables.get("session_history", {}), self._books.ends)
        self._count_ends()
        invariants.told_once(self._told, self._books.ends)

    def _count_ends(self) -> None:
        """Of the events that are new since the last look."""
        newest = self._disk.numbers.get("session_events", 0)
        for number in range(self._looked_at + 1, newest + 1):
            event = self._disk.tables["session_events"][(number,)]
            if event["type"] == "session.ended":
                self._told[str(event["generation"])] += 1
        self._looked_at = newest

    def _outcome(self, generation: str) -> dict[str, Column] | None:
        """The line of the history for a session, if there is one by now."""
        newest = self._disk.numbers.get("session_history", 0)
        for number in range(self._recorded + 1, newest + 1):
            line = self._disk.tables["session_history"][(number,)]
            self._outcomes[str(line["generation"])] = line
        self._recorded = newest
        return self._outcomes.pop(generation, None)

    # --- what a change may be -----------------------------------------------------------------------------

    def _put_off(self, book: Book, deferral: Deferral) -> None:
        alarm, until_ms = deferral.alarm, deferral.until_ms
        if self._disk.armed.get(alarm.actor_id) != alarm._replace(due_ms=until_ms, deferrals=alarm.deferrals + 1):
            return  # another one is armed by now, so that the store has passed over it
        if book.troubles == book.stored_troubles and not book.spoiled:
            raise BrokenError(7, f"the wake-up of {book.user} is put off, though nothing of its own has failed")
        longest_ms = max(FIRST_BACKOFF_MS, self._books.policy.retry_interval_ms)
        invariants.retried_in_time(book.user, until_ms, 0, max(book.latest_wall_ms, self._books.wall_ms()) + longest_ms)

    def _in_vain(self, book: Book, what: str) -> None:
        now_ms = self._books.elapsed_ms()
        if now_ms >= book.trying_ms + 1000:
            book.trying_ms, book.tries = now_ms, 0
        book.tries += 1
        if book.tries > MOST_IN_VAIN:
            raise BrokenError(7, f"{book.user}'s row is written again and again, which {what}")

    def _moved(self, book: Book, old: Session | None, new: Session | None) -> None:
        if new is None:
            if old is not None:
                self._ended(book, old)
        elif old is None:
            self._created(book, new)
        elif old.generation != new.generation:
            raise BrokenError(4, f"{book.user}'s session is replaced by another one")
        elif new == structs.replace(old, leads_ms=new.leads_ms):
            warnings.given(old, new, max(book.latest_wall_ms, self._books.wall_ms()))
            self._books.counts["warnings"] += 1
        elif new.version <= old.version:
            raise BrokenError(5, f"{book.user}'s session goes back from version {old.version} to {new.version}")
        elif old.cleanup is None and new.cleanup is not None and new.cleanup.attempts == 0:
            operators.ended_now(self._books, book, old, new)
        elif new.lab != old.lab or new.expires_ms != old.expires_ms:
            self._updated(book, old, new)
        elif new.cleanup is None:
            raise BrokenError(5, f"{book.user}'s session changes, and nobody has asked for it")
        else:
            self._cleaned_on(book, old, old.cleanup, new.cleanup)

    def _created(self, book: Book, new: Session) -> None:
        if new.generation in self._books.ends:
            raise BrokenError(4, f"{book.user}'s session has come back from the dead")
        for request in book.pending:
            created = request.message
            if (
                isinstance(created, Create)
                and created.generation == new.generation
                and created.lab == structs.replace(new.lab, duration=created.lab.duration)
            ):
                break
        else:
            raise BrokenError(5, f"{book.user} has a session that nobody asked for")
        expires_ms = invariants.deadline_ms(new.created_ms, created.lab.duration, new.lab.time_factor)
        shown_ms = invariants.deadline_ms(new.created_ms, new.lab.duration)
        if not expires_ms == new.expires_ms == shown_ms or new.cleanup is not None:
            raise BrokenError(2, f"{book.user}'s session has the wrong deadline")
        if request.keyed is not None:
            self._made(book, request.keyed, new)
        warnings.to_come(new, new.created_ms, self._books.policy)
        _apply(book, request, new)
        book.named_ms = self._books.elapsed_ms()
        book.owed, book.confirmed = dict.fromkeys(invariants.vms_of(new.lab)), {}
        self._books.counts["sessions"] += 1

    def _made(self, book: Book, keyed: Keyed, new: Session) -> None:
        made, books = book.made.get(keyed.key), self._books
        if made is not None and max(books.highest_wall_ms, books.wall_ms()) < made.until_ms:
            raise BrokenError(5, f"a second session of {book.user} has come of one key")
        book.made[keyed.key] = Made(keyed.digest, new, new.created_ms + books.policy.keys_kept_ms)

    def _updated(self, book: Book, old: Session, new: Session) -> None:
        if old.cleanup is not None or new.cleanup is not None:
            raise BrokenError(5, f"{book.user}'s session is changed while it is being cleaned")
        warnings.after_update(old, new, self._books.policy)
        if self._extended(book, old, new):
            self._books.counts["extensions"] += 1
            return
        for request in book.pending:
            update = request.message
            if isinstance(update, Update) and new.lab == structs.replace(old.lab, **_given(update.changes)):
                break
        else:
            raise BrokenError(5, f"{book.user}'s session changes, and nobody has asked for it")
        if new.expires_ms != invariants.deadline_ms(old.created_ms, new.lab.duration):
            raise BrokenError(2, f"{book.user}'s updated session has the wrong deadline")
        _apply(book, request, new)
        book.named_ms = self._books.elapsed_ms()
        book.owed.update(dict.fromkeys(invariants.vms_of(new.lab)))
        self._books.counts["updates"] += 1

    def _extended(self, book: Book, old: Session, new: Session) -> bool:
        """Whether somebody has asked for the deadline that is stored. Who it was cannot be told, nor need it be."""
        limit_minutes = self._books.policy.max_total_minutes
        return (
            new.lab == structs.replace(old.lab, duration=new.lab.duration)
            and new.expires_ms == invariants.deadline_ms(old.created_ms, new.lab.duration)
            and any(
                new.expires_ms == invariants.extended_ms(old, request.message, new.updated_ms, limit_minutes)
                for request in book.pending
                if isinstance(request.message, ExtendBy | ExtendUntil)
            )
        )

    def _ended(self, book: Book, old: Session) -> None:
        line = self._outcome(old.generation)
        if line is None:
            raise BrokenError(8, f"{book.user}'s session has ended without an outcome in the history")
        reason = str(line["end_reason"])
        cleaned = operators.BY_OPERATOR if old.generation in self._books.ended_now else "expired"
        cause = Forget if reason == operators.FORGOTTEN else Delete
        if reason == cleaned:
            invariants.all_confirmed(book.user, book.owed, book.confirmed)
        elif not any(isinstance(request.message, cause) for request in book.pending):
            raise BrokenError(5, f"{book.user}'s session has ended as {reason}, and nobody has asked for it")
        self._books.ends[old.generation] = End(reason, self._books.elapsed_ms(), line)
        self._books.counts[reason] += 1

    def _cleaned_on(self, book: Book, old: Session, was: Cleanup | None, now: Cleanup) -> None:
        if unheard := [vm for vm in now.confirmed if vm not in book.confirmed]:
            raise BrokenError(3, f"{book.user}'s {unheard} are stored as confirmed, but the backend has not said so")
        attempts = 0 if was is None else was.attempts
        if was is not None and (forgotten := [vm for vm in was.confirmed if vm not in now.confirmed]):
            raise BrokenError(4, f"the confirmation of {book.user}'s {forgotten} is forgotten")
        if now.attempts == attempts + 1:
            self._attempt_stored(book, old, now)
        elif now.attempts != attempts:
            raise BrokenError(4, f"{book.user}'s attempts go from {attempts} to {now.attempts}")
        elif was is not None and was.in_flight and not now.in_flight:
            self._failure_stored(book, old.generation, now)
        elif was is not None:
            operators.retried(self._books, book, was, now)

    def _attempt_stored(self, book: Book, old: Session, now: Cleanup) -> None:
        books = self._books
        if old.leads_ms:
            raise BrokenError(2, f"the cleanup for {book.user} begins, and warnings are still to come")
        wall_ms, due_ms = books.wall_ms(), invariants.due_ms(old)
        latest_ms = max(book.latest_wall_ms, wall_ms)
        invariants.not_early(book.user, due_ms, latest_ms)
        # An attempt whose outcome never comes is over after its limit, and repeated after the interval.
        backstop_ms = books.policy.attempt_limit_ms + books.policy.retry_interval_ms
        invariants.retried_in_time(book.user, now.retry_ms, due_ms + backstop_ms, latest_ms + backstop_ms)
        self._prompt(book, old)

    def _prompt(self, book: Book, session: Session) -> None:
        """A first attempt that is due waits only for others, from when all was well with everything else."""
        if session.cleanup is not None or book.spoiled or book.troubles != book.stored_troubles:
            return
        books = self._books
        now_ms = books.elapsed_ms()
        due_ms = now_ms - (books.wall_ms() - session.expires_ms)
        since_ms = max(due_ms, book.stored_ms, books.disturbed_ms + SETTLE_MS)
        if now_ms > since_ms:
            bound_ms = books.capacity.longest_wait_ms(books.served_since(since_ms))
            invariants.prompt(book.user, now_ms - since_ms, bound_ms)

    def _failure_stored(self, book: Book, generation: str, now: Cleanup) -> None:
        books = self._books
        outcome = books.outcomes.get((generation, now.attempts))
        if outcome is None:
            raise BrokenError(5, f"a failure of {book.user}'s attempt {now.attempts} is stored that nobody has told")
        if forgotten := [vm for vm in outcome.confirmed if vm in book.owed and vm not in now.confirmed]:
            raise BrokenError(4, f"the confirmation of {book.user}'s {forgotten} is not stored")
        interval_ms = books.policy.retry_interval_ms
        earliest_ms = outcome.wall_ms + interval_ms if outcome.epoch == books.epoch else 0
        latest_ms = max(book.latest_wall_ms, books.wall_ms()) + int(interval_ms * invariants.WIDEST)
        invariants.retried_in_time(book.user, now.retry_ms, earliest_ms, latest_ms)


def _apply(book: Book, request: Request, new: Session) -> None:
    request.applied = new
    book.pending.remove(request)


def _given(changes: LabChanges) -> dict[str, object]:
    members = changes.__struct_fields__
    return {name: value for name in members if (value := getattr(changes, name)) is not UNSET}
