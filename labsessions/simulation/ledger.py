"""What clients and the backend see, watched from outside: each answer must be true, each call allowed."""

from itertools import pairwise

from labsessions.core.messages import (
    AttemptEnded,
    Clean,
    Create,
    Current,
    Delete,
    ExtendBy,
    Extended,
    ExtendUntil,
    Keyed,
    Operated,
    Refusal,
    Reply,
    Show,
    Update,
)
from labsessions.core.model import Session
from labsessions.simulation import invariants, operators
from labsessions.simulation.books import ACKNOWLEDGED_MS, Book, Books, ClientMessage, Outcome, Request
from labsessions.simulation.trace import BrokenError


class Ledger:
    """Hears of requests, replies, attempts and calls. Raises BrokenError for what must not be."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._attempts: dict[tuple[str, int], None] = {}

    def asked(self, user: str, message: ClientMessage | Keyed | Operated) -> Request:
        """A client asks, or an operator."""
        book = self._books.of(user)
        keyed = message if isinstance(message, Keyed) else None
        inner = message.message if isinstance(message, Keyed | Operated) else message
        request = Request(user, inner, len(book.states) - 1, book.troubles, keyed=keyed)
        if not isinstance(message, Show):
            book.pending.append(request)
        return request

    def replied(self, request: Request, reply: Reply) -> None:
        """A client has its answer: it must tell what was durable at some time since the question (invariant 5)."""
        book = self._books.of(request.user)
        _settle(book, request)
        seen = book.states[request.since :]
        if request.keyed is not None and (reply is Refusal.KEY_REUSED or _is_replay(reply)):
            self._books.counts["keys known"] += 1
            true = _tells_of_key(book, request.keyed, reply)
        elif isinstance(request.message, ExtendBy | ExtendUntil):
            true = _tells_of_extension(seen, reply)
        elif isinstance(request.message, operators.Action):
            true = operators.told(self._books, request, seen, reply)
        else:
            true = self._is_true(book, request, seen, reply)
        if not true:
            raise BrokenError(5, f"{request.user} was told what is not stored: {reply} to {request.message}")

    def _is_true(self, book: Book, request: Request, seen: list[Session | None], reply: Reply) -> bool:
        match request.message, reply:
            case Show(), Current(session):
                true = session in seen
            case ((Create() | Update()), Current(session)):
                true = session == request.applied
                if book.session is not None and book.session.generation == session.generation:
                    book.named_ms = ACKNOWLEDGED_MS
            case Delete(), Current(session):
                end = self._books.ends.get(session.generation)
                true = end is not None and end.reason == "deleted" and not end.claimed and session in book.states
                if end is not None:
                    end.claimed, end.elapsed_ms = True, ACKNOWLEDGED_MS
            case Create(), Refusal.EXISTS:
                true = any(state is not None for state in seen)
            case Update(), Refusal.BEING_CLEANED:
                true = _was_cleaned(seen)
            case ((Show() | Update() | Delete()), Refusal.NOT_FOUND):
                true = None in seen
            case _:
                true = False
        return true

    def failed(self, request: Request, *, stopping: bool) -> None:
        """A client has an error of the service: nothing has happened, and for a reason of its own (invariants 5, 7)."""
        book = self._books.of(request.user)
        _settle(book, request)
        if request.applied is not None:
            raise BrokenError(5, f"{request.user} was told of a failure, but it is stored: {request.message}")
        if not stopping and not book.spoiled and book.troubles == request.troubles:
            raise BrokenError(7, f"a request of {request.user} fails, though nothing of its own has failed")

    def died(self) -> None:
        """The process is dead: what is pending will never be, and the next one finds a medium that is well."""
        for book in self._books.users.values():
            book.pending.clear()
            book.mend()

    def attempt_started(self, clean: Clean) -> None:
        """The effect of an attempt starts: once, for what the state says is still owed."""
        self._may_call(clean)
        key = (clean.generation, clean.attempt)
        if key in self._attempts:
            raise BrokenError(4, f"attempt {clean.attempt} for {clean.user_id} is made twice")
        self._attempts[key] = None
        self._books.counts["attempts"] += 1
        book = self._books.of(clean.user_id)
        debt = _debt(book, clean)
        if debt is not None and debt.in_flight and set(clean.vms) != set(debt.pending):
            raise BrokenError(3, f"the attempt for {clean.user_id} asks for {clean.vms}, owed are {debt.pending}")
        session = book.session
        if session is None or session.generation != clean.generation or session.cleanup is None:
            return
        confirmed = session.cleanup.confirmed
        if again := [vm for vm in clean.vms if vm in confirmed]:
            raise BrokenError(4, f"{clean.user_id}'s {again} are asked for again, though stored as confirmed")
        if forgotten := [vm for vm in book.owed if vm not in clean.vms and vm not in confirmed]:
            raise BrokenError(3, f"the attempt for {clean.user_id} forgets {forgotten}")

    def call_started(self, clean: Clean) -> None:
        """A call leaves the service."""
        self._books.counts["calls"] += 1
        self._may_call(clean)

    def vm_confirmed(self, clean: Clean, vm: str) -> None:
        """The backend has said that a VM is gone, and was heard."""
        book = self._books.of(clean.user_id)
        self._books.heard.setdefault(clean.generation, {})[vm] = None
        if book.session is not None and book.session.generation == clean.generation:
            book.confirmed[vm] = None

    def attempt_ended(self, ended: AttemptEnded) -> None:
        """An attempt has its outcome, which goes to the mailbox now."""
        outcome = Outcome(self._books.wall_ms(), self._books.epoch, ended.confirmed)
        self._books.outcomes[ended.generation, ended.attempt] = outcome

    def _may_call(self, clean: Clean) -> None:
        book, over_ms = self._books.of(clean.user_id), self._books.settled.get(clean.generation)
        debt = _debt(book, clean)
        if debt is not None or over_ms is not None:
            elapsed_ms = self._books.elapsed_ms()
            invariants.may_call_for_debt(clean=clean, debt=debt, book=book, over_ms=over_ms or 0, elapsed_ms=elapsed_ms)
            return
        end = self._books.ends.get(clean.generation)
        invariants.may_call(
            user=clean.user_id,
            generation=clean.generation,
            attempt=clean.attempt,
            current=book.session,
            ended_ms=None if end is None else end.elapsed_ms,
            elapsed_ms=self._books.elapsed_ms(),
        )


def _debt(book: Book, clean: Clean) -> Session | None:
    return next((debt for debt in book.debts if debt.generation == clean.generation), None)


def _is_replay(reply: Reply) -> bool:
    return isinstance(reply, Current | Extended) and reply.replayed


def _tells_of_key(book: Book, keyed: Keyed, reply: Reply) -> bool:
    """Known: the key has made a session, which is the one told of; or by other words, and the client is told so."""
    made = book.made.get(keyed.key)
    if made is None:
        return False
    if reply is Refusal.KEY_REUSED:
        return made.digest != keyed.digest
    return made.digest == keyed.digest and isinstance(reply, Current) and reply.session == made.session


def _was_cleaned(seen: list[Session | None]) -> bool:
    return any(state is not None and state.cleanup is not None for state in seen)


def _tells_of_extension(seen: list[Session | None], reply: Reply) -> bool:
    """Granted: the session got just so much time, or, if that is none, was as it is told. Refused: for a reason."""
    match reply:
        case Extended(session=session, granted_ms=0):
            return session in seen
        case Extended(session=session, granted_ms=granted_ms):
            changes = ((old, new) for old, new in pairwise(seen) if old is not None and new == session)
            return any(session.expires_ms - old.expires_ms == granted_ms for old, _ in changes)
        case Refusal.LIMIT_REACHED:
            return any(state is not None and state.cleanup is None for state in seen)
        case Refusal.BEING_CLEANED:
            return _was_cleaned(seen)
        case _:
            return reply is Refusal.NOT_FOUND and None in seen


def _settle(book: Book, request: Request) -> None:
    if request in book.pending:
        book.pending.remove(request)
