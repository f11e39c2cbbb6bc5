"""Ways to break the code that matter, each as a replacement of one exact text, and who has to notice it.

A mutant whose old text isn't found exactly once fails the check, so this list cannot fall behind the code.
"""

from dataclasses import dataclass
from typing import Final

SIMULATOR: Final = "simulator"

ATTEMPTS: Final = "labsessions/core/attempts.py"
NOTICES: Final = "actors/notices.py"
REQUESTS: Final = "labsessions/core/requests.py"
PARTS: Final = "labsessions/core/parts.py"
IDEMPOTENCY: Final = "labsessions/core/idempotency.py"
REANCHOR: Final = "labsessions/core/reanchor.py"
DEADLINE: Final = "labsessions/core/deadline.py"
MODEL: Final = "labsessions/core/model.py"
OPERATORS: Final = "labsessions/core/operators.py"
PAUSE: Final = "actors/pause.py"
POLICY: Final = "labsessions/core/policy.py"
ENGINE: Final = "labsessions/engines/embedded.py"
WARNINGS: Final = "labsessions/core/warnings.py"
TABLES: Final = "labsessions/engines/tables.py"
CLEANER: Final = "labsessions/backend/cleaner.py"
ACTOR: Final = "actors/actor.py"
ADMISSION: Final = "actors/admission.py"
ALARMS: Final = "actors/alarms.py"
BREAKER: Final = "actors/breaker.py"
BATCHES: Final = "actors/batches.py"
GUARD: Final = "actors/clock_guard.py"
EFFECTS: Final = "actors/effects.py"
MAILBOX: Final = "actors/mailbox.py"
NAMESPACE: Final = "actors/namespace.py"
SQLITE: Final = "actors/sqlite.py"
STATEMENTS: Final = "actors/statements.py"
WEBHOOK_ACTOR: Final = "labsessions/webhooks/actor.py"
WEBHOOK_COURIER: Final = "labsessions/webhooks/courier.py"
WEBHOOK_STANDING: Final = "labsessions/webhooks/standing.py"


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
        "go on with the attempt of what is given up",
        OPERATORS,
        "for part in meant if part.in_flight)",
        "for part in meant if part.deleted_ms)",
    ),
    Mutant(
        "give up more than was meant",
        OPERATORS,
        "if message.session_id in (None, part.lab.id))",
        "if True)",
        "tests/core/test_operators.py",
    ),
    Mutant(
        "end a session with an attempt of its own",
        OPERATORS,
        "Cleanup(attempts=0, in_flight=False,",
        "Cleanup(attempts=1, in_flight=False,",
    ),
    Mutant(
        "let an operator try again while an attempt runs",
        OPERATORS,
        "if any(part.in_flight for part in waiting):",
        "if False:",
        "tests/core/test_operators.py",
    ),
    Mutant(
        "forget why a session ends",
        ATTEMPTS,
        "Ended(final, noted.reason, now_ms)",
        'Ended(final, "expired", now_ms)',
    ),
    Mutant(
        "keep only what was done in the audit",
        ENGINE,
        "if decision.state is self._state and not woken and audit is None:",
        "if decision.state is self._state and not woken:",
        "tests/engines/test_engine_audit.py",
    ),
    Mutant(
        "note an action beside what it does",
        ENGINE,
        "before=self._state, audit=audit)",
        "before=self._state)",
        "tests/engines/test_engine_audit.py",
    ),
    Mutant(
        "fire 1 ms early",
        ATTEMPTS,
        "if part.due_ms <= now_ms]",
        "if part.due_ms - 1 <= now_ms]",
    ),
    Mutant(
        "ignore the generation",
        ATTEMPTS,
        "if part.generation == ended.generation), None)",
        "), None)",
    ),
    Mutant(
        "forget a worker VM",
        MODEL,
        "dict.fromkeys((lab_request_id, *workers))",
        "dict.fromkeys((lab_request_id, *list(workers)[1:]))",
    ),
    Mutant(
        "forget the workers that were added later",
        REQUESTS,
        "vms=tuple(dict.fromkeys(session.vms + named_vms(lab.lab_request_id, lab.worker_nodes))),",
        "vms=session.vms,",
    ),
    Mutant(
        "forget the workers that a later PUT doesn't list",
        REQUESTS,
        "dict.fromkeys(session.vms + named_vms(",
        "dict.fromkeys(named_vms(",
    ),
    Mutant(
        "lose the backstop",
        ATTEMPTS,
        "retry_ms = now_ms + policy.backstop_ms",
        "retry_ms = now_ms + policy.retry_interval_ms",
    ),
    Mutant(
        "delete without Abandon",
        REQUESTS,
        "effects = () if session.cleanup is None else abandon(state, session)",
        "effects = ()",
    ),
    Mutant(
        "take the policy from the settings instead of the state",
        ATTEMPTS,
        "    before = part.cleanup\n",
        "    before = part.cleanup\n"
        "    if before is not None and now_ms < before.started_ms + before.attempts * policy.backstop_ms:\n"
        "        return _unchanged(state)\n",
    ),
    Mutant(
        "forget a confirmation",
        ATTEMPTS,
        "if vm in cleanup.confirmed or vm in ended.confirmed)",
        "if vm in ended.confirmed)",
    ),
    Mutant(
        "end the session with one VM confirmed",
        ATTEMPTS,
        "if confirmed == part.vms:",
        "if confirmed:",
    ),
    Mutant(
        "let an old attempt's outcome stand for the newest",
        ATTEMPTS,
        "if ended.attempt != cleanup.attempts or not cleanup.in_flight:",
        "if not cleanup.in_flight:",
    ),
    Mutant(
        "don't count an attempt",
        ATTEMPTS,
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
        REQUESTS,
        "    if session.cleanup is not None:\n        return refuse(state, Refusal.BEING_CLEANED)\n",
        "",
    ),
    Mutant(
        "leave the deadline where it was",
        REQUESTS,
        "expires_ms = session.created_ms + duration_ms(lab.duration)",
        "expires_ms = session.expires_ms",
    ),
    Mutant(
        "count a new duration from the update",
        REQUESTS,
        "expires_ms = session.created_ms + duration_ms(lab.duration)",
        "expires_ms = now_ms + duration_ms(lab.duration)",
    ),
    Mutant(
        "replace a session that exists",
        REQUESTS,
        "    if state.session is not None:\n        return refuse(state, Refusal.EXISTS)\n",
        "",
    ),
    Mutant(
        "round a duration down",
        MODEL,
        "to_integral_value(ROUND_CEILING)",
        "to_integral_value('ROUND_FLOOR')",
    ),
    # --- extensions -------------------------------------------------------------------------------------------
    Mutant(
        "grant more than the limit",
        DEADLINE,
        "to_ms = min(wanted_ms, latest_ms(session, policy))",
        "to_ms = wanted_ms",
    ),
    Mutant(
        "grant time that has passed",
        DEADLINE,
        "end_ms = max(session.expires_ms, now_ms)",
        "end_ms = session.expires_ms",
    ),
    Mutant(
        "shorten to before now",
        DEADLINE,
        "min(max(wanted_ms, now_ms, session.created_ms + 1), session.expires_ms)",
        "min(max(wanted_ms, session.created_ms + 1), session.expires_ms)",
    ),
    Mutant(
        "forget the time factor of an extension",
        DEADLINE,
        "return end_ms + duration_ms(message.minutes, session.lab.time_factor)",
        "return end_ms + duration_ms(message.minutes)",
    ),
    Mutant(
        "forget the time factor of the limit",
        DEADLINE,
        "limit_ms = duration_ms(policy.max_total_minutes, session.lab.time_factor)",
        "limit_ms = duration_ms(policy.max_total_minutes)",
    ),
    Mutant(
        "forget the time factor of a new session",
        REQUESTS,
        "lab = stretched(message.lab)",
        "lab = message.lab",
    ),
    # --- warnings ---------------------------------------------------------------------------------------------
    Mutant(
        "begin the cleanup when a warning is due",
        ATTEMPTS,
        "    if part.leads_ms:\n        return warn(state, part, now_ms)\n",
        "",
    ),
    Mutant(
        "warn again and again",
        WARNINGS,
        "warned = structs.replace(session, leads_ms=left)",
        "warned = session",
    ),
    Mutant(
        "give all warnings with the first",
        WARNINGS,
        "warned = structs.replace(session, leads_ms=left)",
        "warned = structs.replace(session, leads_ms=())",
    ),
    Mutant(
        "warn of a deadline that is nearer than the lead time",
        WARNINGS,
        "if expires_ms - lead > now_ms)",
        "if expires_ms - lead > now_ms - 5_000)",
    ),
    Mutant(
        "warn as if the deadline had not moved",
        REQUESTS,
        "leads_ms=leads_ms(expires_ms, now_ms, policy) if moved else session.leads_ms",
        "leads_ms=session.leads_ms",
    ),
    Mutant(
        "warn when the end has come",
        WARNINGS,
        "if now_ms < session.expires_ms else ()",
        "if now_ms <= session.expires_ms else ()",
        "tests/core/test_warnings.py",
    ),
    Mutant(
        "let warnings wait for slots",
        ENGINE,
        "    if is_notice(state):\n        return Lane.NOTICE\n",
        "",
    ),
    Mutant(
        "let a million warnings begin at once",
        NOTICES,
        "        await self._turns.acquire()\n",
        "",
        "tests/actors/test_notices.py",
    ),
    # --- keys -------------------------------------------------------------------------------------------------
    Mutant(
        "forget the key with the session",
        PARTS,
        "return structs.replace(state, session=by)",
        "return structs.replace(state, session=by, answered=() if by is None else state.answered)",
    ),
    Mutant(
        "ignore what a request with a known key says",
        IDEMPOTENCY,
        "if told.digest != message.digest:",
        "if not told.digest:",
    ),
    Mutant(
        "remember keys for ever",
        IDEMPOTENCY,
        "answered=tuple(told for told in state.answered if now_ms < told.until_ms))",
        "answered=state.answered)",
    ),
    Mutant(
        "forget that a key was used",
        IDEMPOTENCY,
        "answered=(*others[1 - KEPT :], told))",
        "answered=tuple(others))",
    ),
    # --- releases and clocks that were ahead ------------------------------------------------------------------
    Mutant(
        "refuse members of a newer release",
        MODEL,
        "class State(Struct, frozen=True, kw_only=True, gc=False)",
        "class State(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True)",
    ),
    Mutant(
        "begin anew what was created a second ago",
        REANCHOR,
        "if part.created_ms <= now_ms + AHEAD_MS:",
        "if part.created_ms <= now_ms - AHEAD_MS:",
        "tests/core/test_reanchor.py",
    ),
    Mutant(
        "give a session that begins anew no time",
        REANCHOR,
        "expires_ms = now_ms + duration_ms(part.lab.duration)",
        "expires_ms = now_ms",
        "tests/core/test_reanchor.py",
    ),
    Mutant(
        "leave an attempt where a clock that was ahead has put it",
        REANCHOR,
        "if part.cleanup.retry_ms <= now_ms + policy.longest_wait_ms + AHEAD_MS:",
        "if part.cleanup.retry_ms >= now_ms:",
        "tests/core/test_reanchor.py",
    ),
    # --- obligations ------------------------------------------------------------------------------------------
    Mutant(
        "forget the VMs of a session that was deleted by hand",
        REQUESTS,
        "owed=(*state.owed, part))",
        "owed=state.owed)",
    ),
    Mutant(
        "end the grace period a millisecond early",
        REQUESTS,
        "retry_ms = now_ms + policy.owed_after_ms",
        "retry_ms = now_ms + policy.owed_after_ms - 1",
    ),
    Mutant(
        "leave a VM that the new session names to the obligation",
        PARTS,
        "vms=tuple(vm for vm in part.vms if vm not in named))",
        "vms=part.vms)",
    ),
    Mutant(
        "let an obligation's attempt go on after its VM was taken over",
        PARTS,
        "        effects += [Abandon(part.generation)] if part.in_flight else []\n",
        "",
    ),
    Mutant(
        "remove the services of a master that was taken over",
        ATTEMPTS,
        "services=part.lab.lab_request_id in part.vms,",
        "services=True,",
    ),
    Mutant(
        "abandon the attempt of another part",
        PARTS,
        "return () if others else (Abandon(part.generation),)",
        "return (Abandon(part.generation),)",
        "tests/engines/test_engine_obligations.py",
    ),
    Mutant(
        "let an obligation go before the session",
        ATTEMPTS,
        "part = due[0] if due[0] is state.session else min(due, key=lambda part: part.due_ms)",
        "part = due[-1]",
        "tests/core/test_obligations.py",
    ),
    Mutant(
        "count the attempts of an obligation from the beginning",
        REQUESTS,
        "structs.replace(session.cleanup, in_flight=False, retry_ms=retry_ms)",
        "structs.replace(session.cleanup, attempts=0, in_flight=False, retry_ms=retry_ms)",
    ),
    Mutant(
        "leave the row of a VM that is owed no more",
        TABLES,
        "    rows += [Remove(OWED, key) for key in gone if key not in owing]\n",
        "",
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
        "alarm=None if due_ms is None else Alarm(due_ms, lane_of(state)),",
        "alarm=None if due_ms is None or is_retry(state) else Alarm(due_ms, lane_of(state)),",
    ),
    Mutant(
        "put retries among the first attempts",
        ENGINE,
        "return Lane.RETRY if is_retry(state) else Lane.FIRST",
        "return Lane.FIRST",
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
        "    rows += [Append(HISTORY",
        "    [Append(HISTORY",
    ),
    Mutant(
        "answer a wake-up without a write",
        ENGINE,
        "if decision.state is self._state and not woken and audit is None:",
        "if decision.state is self._state and audit is None:",
        "tests/engines/test_engine_lifecycle.py",  # the simulator's seeds come upon it no more
    ),
    Mutant(
        "wait for a cleaner that never returns",
        ENGINE,
        "asyncio.timeout(effect.limit_ms / 1000 + GRACE_SECONDS)",
        "asyncio.timeout(None)",
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
    # --- the runtime ------------------------------------------------------------------------------------------
    Mutant(
        "skip the gate",
        ACTOR,
        "                await self._services.commit(outcome.write)\n",
        "                self._services.commit(outcome.write)\n",
    ),
    Mutant(
        "go on with what could not be stored",
        ACTOR,
        "        except BaseException:\n            self._active = False\n            raise\n",
        "        except BaseException:\n            raise\n",
    ),
    Mutant(
        "handle a message in the middle of another",
        MAILBOX,
        "            self._busy = True\n",
        "            self._busy = False\n",
    ),
    Mutant(
        "let one bad row fail the batch",
        BATCHES,
        "                for single in batch:\n                    await self._run([single])\n",
        "                for _, waiting in batch:\n                    waiting.set_exception(error)\n",
    ),
    Mutant(
        "leak the slot of a wake-up without an effect",
        ALARMS,
        "            if effect is None or alarm.lane is Lane.NOTICE:\n                slot.release()\n",
        "            if effect is None or alarm.lane is Lane.NOTICE:\n                pass\n",
    ),
    Mutant(
        "leak the slot of an effect",
        ALARMS,
        "effect.add_done_callback(lambda _: slot.release())",
        "effect.add_done_callback(lambda _: None)",
    ),
    Mutant(
        "deliver 1 ms early",
        ALARMS,
        "if self._clock.now_ms() < alarm.due_ms:",
        "if self._clock.now_ms() < alarm.due_ms - 1:",
    ),
    Mutant(
        "sleep through an earlier alarm",
        ALARMS,
        "        if due_ms < self.sleeps_until_ms:\n            self.changed.set()\n",
        "        if due_ms < 0:\n            self.changed.set()\n",
    ),
    Mutant(
        "forget an alarm that was armed during its own delivery",
        ALARMS,
        "            lane.announce(lane.delivering.pop(alarm.actor_id))\n",
        "            lane.delivering.pop(alarm.actor_id)\n",
        "tests/actors/test_alarm_races.py",
    ),
    Mutant(
        "read no more than a glance while all of it is due",
        ALARMS,
        "lane.window = WINDOW if delivered else GLANCE",
        "lane.window = GLANCE",
        "tests/actors/test_alarms.py",
    ),
    Mutant(
        "commit before the last statement of a transaction",
        SQLITE,
        "            connection.execute(*statement)\n        connection.commit()\n",
        "            if statement is of[-1]:\n                connection.commit()\n"
        "            connection.execute(*statement)\n        connection.commit()\n",
        "tests/actors/test_sqlite_store.py",
    ),
    Mutant(
        "leave out the last statement of a transaction",
        SQLITE,
        "        for statement in of:  # Python begins",
        "        for statement in of[:-1]:  # Python begins",
        "tests/actors/test_store_contract.py",
    ),
    Mutant(
        "keep what a failed transaction has written",
        SQLITE,
        "    except BaseException:\n        connection.rollback()\n        raise\n",
        "    except BaseException:\n        connection.commit()\n        raise\n",
        "tests/actors/test_store_contract.py",
    ),
    Mutant(
        "miss the alarm that is stored while the window is read",
        ALARMS,
        "        lane.sleeps_until_ms = until_ms\n",
        "        lane.sleeps_until_ms = until_ms\n        lane.changed.clear()\n",
    ),
    Mutant(
        "never look at the clock again",
        ALARMS,
        "RECHECK_SECONDS = 30.0",
        "RECHECK_SECONDS = 3e7",
    ),
    Mutant(
        "don't put off what cannot be delivered",
        ALARMS,
        "            await self._commit(Deferral(alarm, until_ms, str(error)))\n",
        "            Deferral(alarm, until_ms, str(error))\n",
    ),
    Mutant(
        "put off for ever",
        ALARMS,
        "until_ms = max(self._clock.now_ms() + backoff_ms, alarm.due_ms)",
        "until_ms = self._clock.now_ms() + 3_600_000",
    ),
    Mutant(
        "put off to before its time when the clock is set back",
        ALARMS,
        "until_ms = max(self._clock.now_ms() + backoff_ms, alarm.due_ms)",
        "until_ms = self._clock.now_ms() + backoff_ms",
        "tests/actors/test_alarm_faults.py",
    ),
    Mutant(
        "cancel an effect in name only",
        EFFECTS,
        "        if task is not None:\n            task.cancel()\n",
        "",
    ),
    Mutant(
        "deliver the result of a cancelled effect",
        EFFECTS,
        "if self.running(actor_id) is asyncio.current_task():",
        "if message is not None:",
        "tests/actors/test_effects.py",
    ),
    Mutant(
        "keep slow attempts in their slots",
        ADMISSION,
        "if self._slow < self._limits.slow_slots:",
        "if self._slow < 0:",
    ),
    Mutant(
        "give retries all slots",
        ADMISSION,
        "return max(1, self.slots // 2)",
        "return self.slots",
        "tests/actors/test_admission.py",
    ),
    Mutant(
        "let retries go first",
        ADMISSION,
        "        if self._waiting[Lane.FIRST]:\n            return Lane.FIRST\n",
        "        if self._waiting[Lane.FIRST] and not self._waiting[Lane.RETRY]:\n            return Lane.FIRST\n",
        "tests/actors/test_admission.py",
    ),
    Mutant(
        "an open breaker holds nobody back",
        ADMISSION,
        " or not self.breaker.admits(self.in_use)",
        "",
        "tests/actors/test_breaker.py",
    ),
    Mutant(
        "an open breaker never probes",
        BREAKER,
        "        self._probe_due = True\n",
        "        self._probe_due = False\n",
    ),
    Mutant(
        "the breaker waits for ever for a probe without a verdict",
        BREAKER,
        "probe == self._era:\n            self.state = BreakerState.OPEN",
        "probe == self._era:\n            self.state = BreakerState.HALF_OPEN",
    ),
    Mutant(
        "the breaker counts failures beside answers",
        BREAKER,
        "if begun != self._era or not self._limits.failures:",
        "if not self._limits.failures:",
        "tests/actors/test_breaker.py",
    ),
    Mutant(
        "deliver what got its slot after a step of the clock",
        ALARMS,
        "if not all(gate.is_open() for gate in self._gates[which]):",
        "if False:",
        "tests/actors/test_clock_guard.py",  # the simulator comes upon it too seldom
    ),
    Mutant(
        "hold warnings back in a pause",
        ALARMS,
        "Lane.NOTICE: always}",
        "Lane.NOTICE: of_work}",
        "tests/actors/test_pause.py",
    ),
    Mutant(
        "forget a pause at a restart",
        PAUSE,
        "elif self._clock.now_ms() < paused.until_ms:\n            self._hold(paused)\n",
        "elif self._clock.now_ms() < paused.until_ms:\n",
        "tests/actors/test_pause.py",
    ),
    Mutant(
        "pause a millisecond too long",
        PAUSE,
        "self._clock.now_ms() >= self._paused.until_ms",
        "self._clock.now_ms() > self._paused.until_ms",
        "tests/actors/test_pause.py",
    ),
    Mutant(
        "let an ended pause stand in the file",
        PAUSE,
        "Write(CELL, cell=None, alarm=None, rows=rows)",
        "Write(CELL, json.dumps(paused._asdict()).encode(), alarm=None, rows=rows)",
        "tests/actors/test_pause.py",
    ),
    Mutant(
        "miss a step of the clock",
        GUARD,
        "elif 0 < largest_ms < stepped_ms:",
        "elif 0 < largest_ms < stepped_ms - 3_600_000:",
    ),
    Mutant(
        "never trust the clock again",
        GUARD,
        "elif at - self._held_since >= self._limits.hold_seconds:",
        "elif at - self._held_since >= 1000 * self._limits.hold_seconds:",
    ),
    Mutant(
        "passivate an actor in the middle of a message",
        NAMESPACE,
        "next((name for name, actor in self._resident.items() if not actor.busy), None)",
        "next(iter(self._resident), None)",
    ),
    Mutant(
        "forget to clear the alarm in the file",
        STATEMENTS,
        "cell = excluded.cell, due_ms = excluded.due_ms, lane",
        "cell = excluded.cell, due_ms = coalesce(excluded.due_ms, due_ms), lane",
        "tests/actors/test_store_contract.py",
    ),
    Mutant(
        "put off an alarm that has been armed anew",
        STATEMENTS,
        "WHERE namespace = ? AND name = ? AND due_ms = ? AND lane = ? AND deferrals = ?",
        "WHERE namespace = ? AND name = ? AND ? AND ? + 1 AND ? + 1",
        "tests/actors/test_store_contract.py",
    ),
    Mutant(
        "write to the file without waiting for the disk",
        "actors/sqlite.py",
        '"PRAGMA synchronous = FULL"',
        '"PRAGMA synchronous = OFF"',
        "tests/actors/test_sqlite_store.py",
    ),
    # --- webhooks ---------------------------------------------------------------------------------------------
    *(
        Mutant(f"webhooks: {name}", file, old, new, seen_by)
        for name, file, old, new, seen_by in (
            (
                "send without an alarm armed",
                WEBHOOK_ACTOR,
                "standing = structs.replace(standing, due_ms=self._clock.now_ms() + limit_ms)",
                "standing = structs.replace(standing, due_ms=None and limit_ms)",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "take the slots of cleanups",
                WEBHOOK_ACTOR,
                "Alarm(standing.due_ms, Lane.NOTICE)",
                "Alarm(standing.due_ms, Lane.FIRST)",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "forget news that came during an attempt",
                WEBHOOK_ACTOR,
                "or (idle and endpoint.name in self._fresh)",
                "or (idle and not endpoint.name)",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "believe an attempt that was overtaken",
                WEBHOOK_ACTOR,
                "carried.after != before.cursor or ",
                "",
                "tests/webhooks",
            ),
            (
                "begin anew after each restart",
                WEBHOOK_ACTOR,
                "isinstance(message, Begin) and standing is None and endpoint",
                "isinstance(message, Begin) and endpoint",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "lose events in silence",
                WEBHOOK_COURIER,
                "lost, delivered = through - after, 0",
                "lost, delivered = 0, 0",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "go past a message that was refused",
                WEBHOOK_COURIER,
                "return Carried(after, through, delivered, lost, failed=failed, chance=chance)",
                "return Carried(after, told.seq, delivered, lost, failed=failed, chance=chance)",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "give up a millisecond early",
                WEBHOOK_STANDING,
                "now_ms - since_ms >= give_up_ms",
                "now_ms - since_ms + 1 >= give_up_ms",
                "tests/webhooks/test_webhooks_standing.py",
            ),
            (
                "never give up",
                WEBHOOK_STANDING,
                "since_ms = now_ms if now.failing_since_ms is None else now.failing_since_ms",
                "since_ms = now_ms",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "another id for each attempt",
                "labsessions/webhooks/messages.py",
                "uuid.uuid5(_IDS, told).hex",
                "uuid.uuid4().hex",
                "tests/webhooks/test_webhooks_delivery.py",
            ),
            (
                "follow redirects",
                "labsessions/webhooks/sender.py",
                "allow_redirects=False",
                "allow_redirects=True",
                "tests/webhooks/test_webhooks_sender.py",
            ),
        )
    ),
)
