/** What an operator may do to one session. Each says first what it will do, and to whom. */

import { ofUser, post } from "./api.js";
import { now, secondsTo } from "./clock.js";
import { acknowledgement, ask, input } from "./dialog.js";
import { h } from "./dom.js";
import { counted, instant, span } from "./format.js";

const REASON = { maxlength: 500 };
const LONGEST_MINUTES = 527_040;

/** @typedef {{user_id: string, labTitle: string, labId: string, lab_request_id: string, expires_at: string, status: string, id: string, worker_nodes?: any[] | null, attempts?: number, last_error?: string | null}} Session */

/**
 * @param {Session} session
 * @param {() => void} done
 */
export function extend(session, done) {
  ask({
    title: `Extend ${session.user_id}’s session`,
    says: [
      `It ends ${when(session)}. The new end is moved by these minutes, at most up to the limit that holds for everybody; less than 0 makes it end earlier.`,
      which(session),
    ],
    fields: [
      input("minutes", "Minutes", { type: "number", required: true, value: 30, step: "any", min: -LONGEST_MINUTES, max: LONGEST_MINUTES }),
      input("reason", "Reason (optional, for the audit)", REASON),
    ],
    verb: "Extend",
    done,
    run: async ({ minutes, reason }) => {
      const answer = await post(ofUser(session.user_id, "/extend"), { minutes: Number(minutes), ...given(reason) });
      const granted = answer?.extension?.granted_seconds;
      const partly = answer?.extension?.partial ? ", which is all that the limit allows" : "";
      if (granted === undefined) return `${session.user_id}’s session has another end now.`;
      const moved = granted < 0 ? `${span(granted)} less` : `${span(granted)} more`;
      return `${session.user_id}’s session has ${moved}${partly}; it ends at ${instant(answer.expires_at, now())}.`;
    },
  });
}

/**
 * @param {Session} session
 * @param {() => void} done
 */
export function end(session, done) {
  ask({
    title: `End ${session.user_id}’s session now`,
    says: [
      `Its deadline becomes now instead of ${when(session)}. ${vms(session)} deleted by the ordinary cleanup, and ${session.user_id} loses whatever is on them.`,
      which(session),
    ],
    fields: [input("reason", "Reason (optional, for the audit)", REASON)],
    verb: "End it now",
    danger: true,
    done,
    run: async ({ reason }) => {
      await post(ofUser(session.user_id, "/end"), given(reason));
      return `${session.user_id}’s session is at its end; its cleanup begins.`;
    },
  });
}

/**
 * @param {string} userId
 * @param {Session | null} session null: only VMs of ended sessions are waiting
 * @param {() => void} done
 */
export function retry(userId, session, done) {
  ask({
    title: `Retry ${userId}’s cleanup now`,
    says: [
      session
        ? `The next attempt to delete its VMs begins now instead of waiting. ${tried(session)}`
        : "The next attempt to delete the VMs that are owed of an ended session begins now instead of waiting.",
      ...(session ? [which(session)] : []),
    ],
    verb: "Retry now",
    done,
    run: async () => {
      await post(ofUser(userId, "/retry"), {});
      return `The next attempt for ${userId} begins.`;
    },
  });
}

/**
 * @param {string} userId
 * @param {Session | null} session
 * @param {string[]} vmIds what may still run
 * @param {() => void} done
 */
export function forget(userId, session, vmIds, done) {
  ask({
    title: session ? `Forget ${userId}’s session` : `Forget what is owed of ${userId}’s sessions`,
    says: [
      "The service gives up: it never asks the backend for these VMs again. Nothing confirms that they are gone, so they may still run, and cost. Delete them at the backend yourself.",
      h("p", {}, "VMs: ", ...vmIds.flatMap((id, index) => [index ? ", " : "", h("code", {}, id)])),
      ...(session ? [which(session)] : []),
    ],
    fields: [
      input("reason", "Reason", { ...REASON, required: true }, "For the audit: why, and what became of the VMs."),
      acknowledgement("I know that the VMs may still run."),
    ],
    verb: "Forget it",
    danger: true,
    done,
    run: async ({ reason }) => {
      const { vms } = await post(ofUser(userId, "/forget"), { reason, ...(session ? { session_id: session.id } : {}) });
      const run = vms.length > 0 ? `May still run: ${vms.join(", ")}.` : "All its VMs had been confirmed.";
      return `${userId}’s session is forgotten. ${run}`;
    },
  });
}

/**
 * Every VM of a session, the master first.
 * @param {Session} session
 * @returns {string[]}
 */
export function vmsOf(session) {
  const workers = (session.worker_nodes ?? []).map((node) => node.worker_lab_request_id);
  return [...new Set([session.lab_request_id, ...workers].filter(Boolean))];
}

function vms(session) {
  const number = vmsOf(session).length;
  return number === 1 ? "Its VM is" : `Its ${counted(number, "VM")} are`;
}

function when(session) {
  const left = secondsTo(session.expires_at);
  const at = instant(session.expires_at, now());
  return left >= 0 ? `at ${at}, in ${span(left)}` : `at ${at}, ${span(left)} ago`;
}

function which(session) {
  return h("p", { class: "quiet" }, `${session.labTitle || session.labId} · `, h("code", {}, session.lab_request_id));
}

function tried(session) {
  if (!session.attempts) return "";
  const error = session.last_error ? `: ${session.last_error}` : "";
  return `${counted(session.attempts, "attempt")} so far${error}.`;
}

function given(reason) {
  return reason ? { reason } : {};
}
