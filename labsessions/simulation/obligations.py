"""Obligations that become durable, watched from outside: each needs a delete, and ends confirmed or taken over."""

from labsessions.core.messages import Forget
from labsessions.core.model import Session
from labsessions.simulation import invariants, operators
from labsessions.simulation.books import Book, Books
from labsessions.simulation.trace import BrokenError


def moved(books: Books, book: Book, old: Session | None, session: Session | None, debts: tuple[Session, ...]) -> None:
    """The user's obligations become `debts`, in the transaction that made the session `session` of `old`."""
    before = {debt.generation: debt for debt in book.debts}
    after = {debt.generation: debt for debt in debts}
    named = set() if session is None else set(session.vms)
    if twice := [vm for debt in debts for vm in debt.vms if vm in named]:
        raise BrokenError(4, f"{book.user}'s {twice} belong to the session and to an obligation")
    ended = None if old is None or (session and session.generation == old.generation) else old
    by_hand = ended is not None and books.ends[ended.generation].reason == "deleted"
    if by_hand and ended is not None and books.policy.owed_after_ms is not None and ended.generation not in after:
        raise BrokenError(3, f"{book.user}'s session was deleted, and its VMs are forgotten")
    for generation, debt in after.items():
        if generation in before:
            _went_on(books, book, before[generation], debt, named)
        elif not by_hand or ended is None or ended.generation != generation:
            raise BrokenError(5, f"{book.user} has an obligation of a session that nobody has deleted")
        else:
            _began(books, book, ended, debt)
    for generation, debt in before.items():
        if generation not in after:
            _over(books, book, debt, named)


def _began(books: Books, book: Book, session: Session, debt: Session) -> None:
    grace_ms = books.policy.owed_after_ms
    if grace_ms is None or debt.deleted_ms is None or debt.due_ms != debt.deleted_ms + grace_ms:
        raise BrokenError(2, f"an obligation of {book.user} is due at {debt.due_ms}, which is not when the grace ends")
    if debt.vms != session.vms or debt.pending != session.pending or debt.in_flight:
        raise BrokenError(3, f"an obligation of {book.user} is not what was left of the session")
    books.counts["obligations"] += 1


def _went_on(books: Books, book: Book, was: Session, now: Session, named: set[str]) -> None:
    if was == now or was.cleanup is None or now.cleanup is None:
        return
    heard = books.heard.get(now.generation, {})
    if unheard := [vm for vm in now.cleanup.confirmed if vm not in heard]:
        raise BrokenError(3, f"{book.user}'s {unheard} are stored as confirmed, but the backend has not said so")
    if lost := [vm for vm in was.vms if vm not in now.vms and vm not in named]:
        raise BrokenError(3, f"{book.user}'s {lost} are owed no more, and nobody has named them")
    if now.cleanup.attempts == was.cleanup.attempts + 1:
        invariants.not_early(book.user, was.due_ms, max(book.latest_wall_ms, books.wall_ms()))
    elif now.cleanup.attempts != was.cleanup.attempts:
        raise BrokenError(4, f"the attempts of {book.user}'s obligation are not counted one by one")
    else:
        operators.retried(books, book, was.cleanup, now.cleanup)


def _over(books: Books, book: Book, debt: Session, named: set[str]) -> None:
    heard = books.heard.get(debt.generation, {})
    if not operators.wanted(book, Forget):
        invariants.all_confirmed(book.user, [vm for vm in debt.vms if vm not in named], heard)
    books.settled[debt.generation] = books.elapsed_ms()
    books.counts["obligations over"] += 1
