"""The promises of the contract as checks over plain values. Each raises BrokenError with its number, or returns.

1. A session, an obligation or an answer to remember exists exactly if one wake-up is armed for its user; no answer is
   remembered for ever.
2. No cleanup call before the deadline in force, not by a millisecond; nor any warning before its time. Each is given
   once per deadline, and before the cleanup begins.
3. Once the faults are over, every due session is gone in time, and each of its VMs was confirmed. In time: the longest
   pause of the circuit breaker may be part of it.
4. After a confirmed cleanup or an acknowledged delete no further call is started for that session, and none ever
   touches a newer session of the same user, even one with the same ids; nothing is asked for twice.
5. Every answer that a client saw is true, and stays true after any crash; nothing happens that nobody asked for. Of one
   key comes one session, and whoever asks again is told of that one.
6. The stored wake-up, the row of `labs_sessions` and the private state always agree.
7. No actor's trouble moves another's deadline, or costs it a request.
8. The outcome of a session stands in the history exactly once, and so among the stored events.

With `cleanup.manual_delete = "ensure"` a session that was deleted by hand goes on as an obligation: 2, 3 and 4 hold for
it as for a session, and no VM that the user's session names is any obligation's.

*The deadline in force* is the session's expiry until its cleanup has begun, then the instant of its next attempt. It
is read off the wall clock, whatever that does: an attempt may start only if the clock has shown the instant at some
time since it was stored. So a clock that is set forward makes sessions due, and one that is set back afterwards
neither undoes an attempt nor repeats it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

import msgspec

from actors.ids import ActorId
from actors.storage import Column, DueAlarm, Lane
from labsessions.core.messages import Clean, ExtendBy, ExtendUntil
from labsessions.core.model import Answered, Lab, Session
from labsessions.simulation.books import Book, End
from labsessions.simulation.trace import BrokenError

# From CONTRACT §3.4: the spread makes the interval longer by at most a tenth, and never shorter.
WIDEST: Final = Fraction(11, 10)


def due_ms(session: Session) -> int:
    """The deadline in force of a session."""
    return session.expires_ms if session.cleanup is None else session.cleanup.retry_ms


def wake_ms(part: Session) -> int:
    """When a part of a user's state is to be attended to: before its deadline, if it is to be warned of."""
    return due_ms(part) - part.leads_ms[0] if part.leads_ms else due_ms(part)


def first_due(session: Session | None, debts: tuple[Session, ...]) -> Session | None:
    """Which part of a user's state its wake-up is for. While an attempt is open, other obligations wait for its end."""
    running = [part for part in (session, *debts) if part is not None and part.cleanup and part.cleanup.in_flight]
    waiting = [] if session is None else [session]
    waiting += [debt for debt in debts if not running or debt in running]
    return min(waiting, key=wake_ms, default=None)


def vms_of(lab: Lab) -> list[str]:
    """The VMs that a lab names, as the front end sees it."""
    return [lab.lab_request_id, *(node["worker_lab_request_id"] for node in lab.worker_nodes or ())]


def deadline_ms(created_ms: int, minutes: float, factor: float = 1) -> int:
    """Creation plus duration, times the time factor, rounded up to the millisecond, in exact arithmetic."""
    return created_ms - (-Fraction(repr(minutes)) * 60_000 * Fraction(repr(factor))).__floor__()


def extended_ms(session: Session, message: ExtendBy | ExtendUntil, now_ms: int, limit_minutes: float) -> int:
    """The deadline after a request for more or less time: no later than the limit, and no earlier than now."""
    end_ms, factor = max(session.expires_ms, now_ms), session.lab.time_factor
    match message:
        case ExtendUntil(instant_ms=wanted_ms):
            pass
        case ExtendBy(minutes=minutes):
            more_ms = deadline_ms(0, abs(minutes), factor)
            wanted_ms = end_ms + more_ms if minutes > 0 else session.expires_ms - more_ms
    if wanted_ms > end_ms:
        return min(wanted_ms, max(session.expires_ms, deadline_ms(session.created_ms, limit_minutes, factor)))
    return min(session.expires_ms, max(wanted_ms, now_ms, session.created_ms + 1))


def armed_exactly_if_stored(cells: Collection[ActorId], armed: Collection[ActorId]) -> None:
    """Invariant 1 over the whole disk; `cells` and `armed` know their members by hash."""
    for actor_id in cells:
        if actor_id not in armed:
            raise BrokenError(1, f"{actor_id.name} has a session and no wake-up")
    if len(cells) != len(armed):
        raise BrokenError(1, f"{len(armed)} wake-ups are armed for {len(cells)} sessions")


def alarm_agrees(
    session: Session | None, debts: tuple[Session, ...], alarm: DueAlarm, answered: tuple[Answered, ...] = ()
) -> None:
    """Invariant 6: the wake-up is that of the part which is due first, and waits among retries only if it is one.

    Where only answers to requests with keys are left, it comes when the last one lapses.
    """
    part, user = first_due(session, debts), alarm.actor_id.name
    if part is None and not answered:
        raise BrokenError(6, f"a wake-up is armed for {user}, who has nothing")
    due = max(told.until_ms for told in answered) if part is None else wake_ms(part)
    cleanup = None if part is None else part.cleanup
    if alarm.due_ms != due if alarm.deferrals == 0 else alarm.due_ms < due:
        raise BrokenError(6, f"{user} is due at {due}, but its wake-up is armed for {alarm.due_ms}")
    active = session is not None and (session.cleanup is None or session.cleanup.attempts == 0)
    retry = not active and cleanup is not None and cleanup.attempts > 0
    if alarm.lane is not (Lane.NOTICE if part is None or part.leads_ms else Lane.RETRY if retry else Lane.FIRST):
        raise BrokenError(6, f"the wake-up of {user} is in lane {alarm.lane.name}")


def owed_vms_agree(shown: Collection[tuple[Column, ...]], owed: Collection[tuple[str, str]]) -> None:
    """Invariant 6 for `owed_vms`, over the whole disk: generation and VM of each that is owed, and no other."""
    if set(shown) != set(owed):
        raise BrokenError(6, f"owed_vms shows {sorted(map(str, shown))}, owed are {sorted(map(str, owed))}")


def all_agree(
    session: Session, alarm: DueAlarm, row: Mapping[str, Column] | None, debts: tuple[Session, ...] = ()
) -> None:
    """Invariant 6 for one user who has a session: wake-up and row tell what the state tells."""
    alarm_agrees(session, debts, alarm)
    lab, cleanup = session.lab, session.cleanup
    if row is None:
        raise BrokenError(6, f"{lab.user_id} has a session and no row")
    expected: dict[str, Any] = {
        "id": lab.id,
        "user_id": lab.user_id,
        "generation": session.generation,
        "version": session.version,
        "duration": lab.duration,
        "lab_request_id": lab.lab_request_id,
        "terminal_url": lab.terminal_url,
        "attempts": 0 if cleanup is None else cleanup.attempts,
        "last_error": None if cleanup is None else cleanup.last_error,
    }
    for column, value in expected.items():
        if row[column] != value:
            raise BrokenError(6, f"{lab.user_id}'s row has {column} {row[column]!r}, its state {value!r}")
    instants = (("expires_at", session.expires_ms), ("next_attempt_at", None if cleanup is None else cleanup.retry_ms))
    for column, instant in instants:
        if _instant_ms(row[column]) != instant:
            raise BrokenError(6, f"{lab.user_id}'s row has {column} {row[column]!r}, its state {instant}")
    nodes = row["worker_nodes"]
    if (None if nodes is None else msgspec.json.decode(str(nodes))) != lab.worker_nodes:
        raise BrokenError(6, f"{lab.user_id}'s row has other workers than its state")
    if (row["status"] == "active") is not (cleanup is None):
        raise BrokenError(6, f"{lab.user_id}'s row says {row['status']!r}")


def not_early(user: str, due: int, latest_wall_ms: int) -> None:
    """Invariant 2: an attempt that starts is due by the latest that the wall clock has shown since it was stored."""
    if latest_wall_ms < due:
        raise BrokenError(2, f"an attempt for {user} starts {due - latest_wall_ms} ms before its time")


def not_woken_early(user: str, early_ms: int) -> None:
    """Invariant 2: nobody is even woken before the alarm that was read for it is due."""
    if early_ms > 0:
        raise BrokenError(2, f"{user} is woken {early_ms} ms before its time")


def retried_in_time(user: str, retry_ms: int, earliest_ms: int, latest_ms: int) -> None:
    """Invariants 2 and 3: the next attempt is armed for neither too early nor too late an instant."""
    if retry_ms < earliest_ms:
        raise BrokenError(2, f"the next attempt for {user} is armed {earliest_ms - retry_ms} ms too early")
    if retry_ms > latest_ms:
        raise BrokenError(3, f"the next attempt for {user} is armed {retry_ms - latest_ms} ms too late")


def all_confirmed(user: str, owed: Collection[str], confirmed: Collection[str]) -> None:
    """Invariant 3: what ended as cleaned was confirmed by the backend, VM by VM."""
    if missing := [vm for vm in owed if vm not in confirmed]:
        raise BrokenError(3, f"{user}'s session ended as cleaned, but nobody has confirmed {', '.join(missing)}")


def may_call(
    *, user: str, generation: str, attempt: int, current: Session | None, ended_ms: int | None, elapsed_ms: int
) -> None:
    """Invariants 2, 4 and 5 at the start of a call: it belongs to an attempt of the current session that is stored.

    `ended_ms` is since when the session of the call must be left alone, None if it hasn't ended.
    """
    if current is None or current.generation != generation:
        if ended_ms is None:
            raise BrokenError(5, f"a call for a session of {user} that is not stored")
        if current is not None:
            raise BrokenError(4, f"a call of an ended session touches {user}'s newer one")
        if elapsed_ms > ended_ms:
            raise BrokenError(4, f"a call for {user} starts {elapsed_ms - ended_ms} ms after the session's end")
    elif current.cleanup is None:
        raise BrokenError(2, f"a call for {user} before its cleanup is stored")
    elif current.cleanup.attempts < attempt:
        raise BrokenError(5, f"a call for {user} before attempt {attempt} is stored: a crash would forget it")


def may_call_for_debt(*, clean: Clean, debt: Session | None, book: Book, over_ms: int, elapsed_ms: int) -> None:
    """Invariants 4 and 5 for an obligation: its call belongs to its open attempt, and names no VM of the session.

    `over_ms`: since when the obligation is over, if there is none (`debt` None).
    """
    user, current = clean.user_id, book.session
    if debt is None:
        if elapsed_ms > over_ms:
            raise BrokenError(4, f"a call for {user} starts {elapsed_ms - over_ms} ms after the obligation's end")
    elif debt.cleanup is None or debt.cleanup.attempts < clean.attempt:
        raise BrokenError(5, f"a call for an obligation of {user} before attempt {clean.attempt} is stored")
    elif (not debt.cleanup.in_flight or debt.cleanup.attempts != clean.attempt) and elapsed_ms > book.stored_ms:
        raise BrokenError(4, f"a call for {user} belongs to an attempt that is over")
    touched = {*clean.vms, *((clean.master,) if clean.services else ())}
    if current is not None and touched & set(current.vms) and elapsed_ms > book.named_ms:
        raise BrokenError(4, f"a call of an obligation touches {user}'s newer session")


def prompt(user: str, late_ms: int, bound_ms: float) -> None:
    """Invariant 7: a first attempt waits for others no longer than their share of the slots."""
    if late_ms > bound_ms:
        raise BrokenError(7, f"the first attempt for {user} is {late_ms} ms late, allowed are {bound_ms:.0f} ms")


def gone(user: str, session: Session | None, generation: str, bound_ms: int, debts: tuple[Session, ...] = ()) -> None:
    """Invariant 3: without faults the session, or obligation, was to be gone by now."""
    if any(part is not None and part.generation == generation for part in (session, *debts)):
        raise BrokenError(3, f"{user}'s session is still there {bound_ms} ms after the faults are over")


def recorded_once(history: Mapping[tuple[Column, ...], Mapping[str, Column]], ends: Mapping[str, End]) -> None:
    """Invariant 8: the history has a line for each session that has ended, the very one of that time, and no other."""
    for generation, end in ends.items():
        if history.get((end.line["seq"],)) is not end.line:
            raise BrokenError(8, f"the outcome of {generation} was written again, or has vanished")
    if len(history) != len(ends):
        raise BrokenError(8, f"{len(history)} outcomes for {len(ends)} sessions that have ended")


def told_once(told: Mapping[str, int], ends: Mapping[str, End]) -> None:
    """Invariant 8 for the stored events: each session that has ended is told of once, and no other."""
    if told != dict.fromkeys(ends, 1):
        wrong = {generation for generation, _ in told.items() ^ dict.fromkeys(ends, 1).items()}
        raise BrokenError(8, f"the ends of {', '.join(sorted(wrong))} are not told of once each")


def _instant_ms(text: Column) -> int | None:
    return None if text is None else round(datetime.fromisoformat(str(text)).timestamp() * 1000)
