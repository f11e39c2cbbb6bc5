"""What operators do, watched from outside: nothing is done in their name, and what they are told is true."""

from itertools import pairwise
from typing import Final

from labsessions.core.messages import Affected, Current, EndNow, Forget, Refusal, Reply, RetryNow
from labsessions.core.model import Cleanup, Session
from labsessions.simulation import invariants
from labsessions.simulation.books import ACKNOWLEDGED_MS, Book, Books, Request
from labsessions.simulation.trace import BrokenError

BY_OPERATOR: Final = "ended_by_operator"
FORGOTTEN: Final = "forgotten"
Action = EndNow | RetryNow | Forget


def wanted(book: Book, action: type[Action]) -> bool:
    """Whether an operator waits for such an action on the user."""
    return any(isinstance(request.message, action) for request in book.pending)


def ended_now(books: Books, book: Book, old: Session, new: Session) -> None:
    """The session's cleanup has begun, without an attempt: the deadline is now, or was before."""
    if not wanted(book, EndNow):
        raise BrokenError(5, f"{book.user}'s session ends now, and nobody has asked for it")
    expires_ms = min(old.expires_ms, max(new.updated_ms, old.created_ms + 1))
    shown_ms = invariants.deadline_ms(new.created_ms, new.lab.duration)
    if not expires_ms == new.expires_ms == shown_ms or new.leads_ms:
        raise BrokenError(2, f"{book.user}'s session has the wrong deadline after its end by an operator")
    at_ms = new.updated_ms
    begun = Cleanup(attempts=0, in_flight=False, retry_ms=at_ms, started_ms=at_ms, reason=BY_OPERATOR)
    if new.cleanup != begun:
        raise BrokenError(6, f"{book.user}'s session was ended by an operator, and is not due")
    books.ended_now[new.generation] = None
    books.counts["ends by operators"] += 1


def retried(books: Books, book: Book, was: Cleanup, now: Cleanup) -> None:
    """A retry that nobody has failed for has another instant: an earlier one, as somebody wants it."""
    if was.in_flight or now.retry_ms == was.retry_ms:
        return
    if now.retry_ms > was.retry_ms or not wanted(book, RetryNow):
        raise BrokenError(
            2, f"the next attempt for {book.user} is moved to {now.retry_ms}, and nobody has asked for it"
        )
    books.counts["retries by operators"] += 1


def told(  # noqa: PLR0911 - one for each answer
    books: Books, request: Request, seen: list[Session | None], reply: Reply
) -> bool:
    """Whether an operator was told the truth; from then on nothing is called for what was forgotten."""
    if reply is Refusal.NOT_FOUND:
        return None in seen
    match request.message, reply:
        case EndNow(), Current(session):
            return any(old is not None and old.cleanup is None and new == session for old, new in pairwise(seen))
        case EndNow(), Refusal.BEING_CLEANED:
            return any(state is not None and state.cleanup is not None for state in seen)
        case RetryNow(), Affected(parts):
            return all(not part.in_flight and (part.deleted_ms is not None or part in seen) for part in parts)
        case RetryNow(), Refusal.NOTHING_WAITS:
            return any(state is not None and state.cleanup is None for state in seen)
        case RetryNow(), Refusal.ATTEMPT_RUNNING:
            return True  # of an obligation, perhaps, whose states are not kept
        case Forget(), Affected(parts):
            gone = [_is_gone(books, part) for part in parts]  # each of them, also after one that isn't
            return all(gone)
        case Forget(session_id), Refusal.CHANGED:
            return session_id is not None
        case _:
            return False


def _is_gone(books: Books, part: Session) -> bool:
    if part.deleted_ms is not None:
        known, books.settled[part.generation] = part.generation in books.settled, ACKNOWLEDGED_MS
        return known
    end = books.ends.get(part.generation)
    if end is None or end.reason != FORGOTTEN or end.claimed:
        return False
    end.claimed, end.elapsed_ms = True, ACKNOWLEDGED_MS
    return True
