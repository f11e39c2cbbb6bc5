"""Ways to break the code that matter, each as a replacement of one exact text, and who has to notice it.

A mutant whose old text isn't found exactly once fails the check, so this list cannot fall behind the code.
"""

from dataclasses import dataclass
from typing import Final

SIMULATOR: Final = "simulator"

MACHINE: Final = "labsessions/core/machine.py"
MODEL: Final = "labsessions/core/model.py"
POLICY: Final = "labsessions/core/policy.py"
ENGINE: Final = "labsessions/engines/embedded.py"
TABLES: Final = "labsessions/engines/tables.py"
CLEANER: Final = "labsessions/backend/cleaner.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`seen_by` is the simulator, or the part of the suite (arguments for pytest) that must fail."""

    name: str
    file: str
    old: str
    new: str
    seen_by: str = SIMULATOR


MUTANTS: Final = (
    # --- the core ---------------------------------------------------------------------------------------------
    Mutant(
        "fire 1 ms early",
        MACHINE,
        "due_ms is None or now_ms < due_ms:",
        "due_ms is None or now_ms < due_ms - 1:",
    ),
    Mutant(
        "ignore the generation",
        MACHINE,
        " or session.generation != ended.generation:",
        ":",
    ),
    Mutant(
        "forget a worker VM",
        MODEL,
        "dict.fromkeys((lab_request_id, *workers))",
        "dict.fromkeys((lab_request_id, *list(workers)[1:]))",
    ),
    Mutant(
        "forget the workers that were added later",
        MACHINE,
        "vms=tuple(dict.fromkeys(session.vms + named_vms(lab.lab_request_id, lab.worker_nodes))),",
        "vms=session.vms,",
    ),
    Mutant(
        "forget the workers that a later PUT doesn't list",
        MACHINE,
        "dict.fromkeys(session.vms + named_vms(",
        "dict.fromkeys(named_vms(",
    ),
    Mutant(
        "lose the backstop",
        MACHINE,
        "retry_ms = now_ms + policy.backstop_ms",
        "retry_ms = now_ms + policy.retry_interval_ms",
    ),
    Mutant(
        "delete without Abandon",
        MACHINE,
        "effects = () if session.cleanup is None else (Abandon(session.generation),)",
        "effects = ()",
    ),
    Mutant(
        "take the policy from the settings instead of the state",
        MACHINE,
        "    before = session.cleanup\n",
        "    before = session.cleanup\n"
        "    if before is not None and now_ms < before.started_ms + before.attempts * policy.backstop_ms:\n"
        "        return _unchanged(state)\n",
    ),
    Mutant(
        "forget a confirmation",
        MACHINE,
        "if vm in cleanup.confirmed or vm in ended.confirmed)",
        "if vm in ended.confirmed)",
    ),
    Mutant(
        "end the session with one VM confirmed",
        MACHINE,
        "if confirmed == session.vms:",
        "if confirmed:",
    ),
    Mutant(
        "let an old attempt's outcome stand for the newest",
        MACHINE,
        "if ended.attempt != cleanup.attempts or not cleanup.in_flight:",
        "if not cleanup.in_flight:",
    ),
    Mutant(
        "don't count an attempt",
        MACHINE,
        "attempts=before.attempts + 1, in_flight=True",
        "attempts=before.attempts, in_flight=True",
    ),
    Mutant(
        "retry a millisecond early",
        POLICY,
        "return self.retry_interval_ms + int(",
        "return self.retry_interval_ms - 1 + int(",
    ),
    Mutant(
        "change a session that is being cleaned",
        MACHINE,
        "    if session.cleanup is not None:\n        return _refuse(state, Refusal.BEING_CLEANED)\n",
        "",
    ),
    Mutant(
        "leave the deadline where it was",
        MACHINE,
        "expires_ms=session.created_ms + duration_ms(lab.duration),",
        "expires_ms=session.expires_ms,",
    ),
    Mutant(
        "count a new duration from the update",
        MACHINE,
        "expires_ms=session.created_ms + duration_ms(lab.duration),",
        "expires_ms=now_ms + duration_ms(lab.duration),",
    ),
    Mutant(
        "replace a session that exists",
        MACHINE,
        "    if state.session is not None:\n        return _refuse(state, Refusal.EXISTS)\n",
        "",
    ),
    Mutant(
        "round a duration down",
        MODEL,
        "to_integral_value(ROUND_CEILING)",
        "to_integral_value('ROUND_FLOOR')",
    ),
    # --- the engine -------------------------------------------------------------------------------------------
    Mutant(
        "ignore Abandon",
        ENGINE,
        "cancel_effect=any(isinstance(effect, Abandon) for effect in decision.effects),",
        "cancel_effect=False,",
    ),
    Mutant(
        "drop the alarm with the row",
        ENGINE,
        "alarm=None if due_ms is None else Alarm(due_ms, lane),",
        "alarm=None if due_ms is None or lane is Lane.RETRY else Alarm(due_ms, lane),",
    ),
    Mutant(
        "put retries among the first attempts",
        ENGINE,
        "lane = Lane.RETRY if is_retry(state) else Lane.FIRST",
        "lane = Lane.FIRST",
    ),
    Mutant(
        "leave the row of a session that has ended",
        TABLES,
        "[Remove(SESSIONS, (user_id,)) if shown is None else Put(SESSIONS, tuple(shown.values()))]",
        "[] if shown is None else [Put(SESSIONS, tuple(shown.values()))]",
    ),
    Mutant(
        "forget a projection",
        TABLES,
        "    rows += [Put(HISTORY",
        "    [Put(HISTORY",
    ),
    Mutant(
        "answer a wake-up without a write",
        ENGINE,
        "if decision.state is self._state and not woken:",
        "if decision.state is self._state:",
    ),
    # --- the cleaner ------------------------------------------------------------------------------------------
    Mutant(
        "take a failure for a confirmation",
        CLEANER,
        "            if reason is None:\n                confirmed.append(vm)",
        "            if reason != 'HTTP 503':\n                confirmed.append(vm)",
    ),
    Mutant(
        "let one VM stop the others",
        CLEANER,
        "                failed[vm] = reason\n",
        "                failed[vm] = reason\n                break\n",
        "tests/backend/test_backend_cleaner.py",
    ),
    Mutant(
        "let one call use up the time of all",
        CLEANER,
        "share = (self._deadline - self._clock()) / self._calls",
        "share = self._deadline - self._clock()",
        "tests/backend/test_backend_cleaner.py",
    ),
)
