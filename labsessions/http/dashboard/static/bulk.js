/** What an operator may do to many sessions, or to the service: retry all, pause, resume. */

import { post } from "./api.js";
import { now } from "./clock.js";
import { ask, choice, input } from "./dialog.js";
import { h, replace } from "./dom.js";
import { count, counted, instant } from "./format.js";

const LONGEST_PAUSE_MINUTES = 1440;
const TYPING_MS = 300;

/**
 * Retry all that wait, by filter; how many these are is asked first, and that number is what is confirmed.
 * @param {{status?: string, error?: string}} wanted
 * @param {() => void} done
 */
export function retryAll(wanted, done) {
  const preview = h("p", { class: "preview", role: "status" }, "Counting…");
  let matched = /** @type {number | null} */ (null);
  let newest = 0;
  const question = ask({
    title: "Retry all now",
    says: [
      "Where a cleanup waits for its next try, that try begins now instead of later. They go at the pace that the limits allow; a backend that is still in trouble refuses them all again.",
    ],
    fields: [
      choice("status", "Which", [["", "cleaning and stuck"], ["stuck", "stuck only"], ["cleaning", "cleaning only"]]),
      input("error", "Last error has (optional)", { type: "search", value: wanted.error ?? "" }),
      preview,
      input("reason", "Reason (optional, for the audit)", { maxlength: 500 }),
    ],
    verb: "Retry all",
    done,
    run: async (values) => {
      try {
        const why = values.reason ? { reason: values.reason } : {};
        return told(await post("retry", { ...chosen(values), ...why, dry_run: false, expected: matched }));
      } catch (error) {
        if (error.status === 409) void recount(); // others by now: show how many before it is confirmed again
        throw error;
      }
    },
  });
  const { form } = question;
  form.elements.status.value = wanted.status ?? "";
  let timer = 0;
  form.addEventListener("input", (event) => {
    if (/** @type {any} */ (event.target).name === "reason") return;
    newest++; // a count that is under way is of no use any more
    question.setVerb("Counting…", false);
    clearTimeout(timer);
    timer = setTimeout(recount, TYPING_MS);
  });
  question.setVerb("Counting…", false);
  void recount();

  async function recount() {
    const mine = ++newest;
    question.setVerb("Counting…", false);
    try {
      const answer = await post("retry", { ...chosen(Object.fromEntries(new FormData(form))), dry_run: true });
      if (mine !== newest) return;
      matched = answer.matched;
      const text = matched ? `${counted(matched, "user")}: the cleanup is retried now.` : "No cleanup that waits is as chosen.";
      replace(preview, text);
      question.setVerb(matched ? `Retry for ${counted(matched, "user")}` : "Retry all", matched > 0);
    } catch (error) {
      if (mine === newest) replace(preview, `They could not be counted: ${error.message}.`);
    }
  }
}

/** @param {() => void} done */
export function pause(done) {
  ask({
    title: "Pause cleanups",
    says: [
      "No cleanup begins until the end of the pause; those under way go on. Labs can be started, extended and deleted as always. Deadlines keep their meaning: what falls due waits, and goes at the pace of the limits afterwards.",
      "The pause ends by itself, and outlasts a restart.",
    ],
    fields: [
      input("minutes", "For how many minutes", { type: "number", required: true, value: 30, min: 1, max: LONGEST_PAUSE_MINUTES }, "A day at most."),
      input("reason", "Reason", { required: true, maxlength: 500 }, "Everybody who looks sees it."),
    ],
    verb: "Pause cleanups",
    danger: true,
    done,
    run: async ({ minutes, reason }) => {
      const answer = await post("pause", { minutes: Number(minutes), reason });
      return `Cleanups are paused until ${instant(answer.paused.until, now())}.`;
    },
  });
}

/**
 * @param {{reason: string, by: string, until: string}} paused
 * @param {number} overdue how many wait
 * @param {() => void} done
 */
export function resume(paused, overdue, done) {
  ask({
    title: "Resume cleanups",
    says: [
      `The pause by ${paused.by} (“${paused.reason}”) ends now instead of ${instant(paused.until, now())}.`,
      overdue
        ? `${counted(overdue, "session")} overdue will be cleaned up now, oldest first, at the pace of the limits.`
        : "No session is overdue.",
    ],
    verb: "Resume cleanups",
    done,
    run: async () => {
      await post("resume", {});
      return "Cleanups go on.";
    },
  });
}

function told({ matched, retried, running, failed }) {
  const others = [running && `${count(running)} are being tried already`, failed && `${count(failed)} could not be stored: see the log`];
  return [`Retried now: ${count(retried)} of ${counted(matched, "user")}.`, ...others.filter(Boolean).map((text) => `${text}.`)].join(" ");
}

function chosen({ status, error }) {
  const text = String(error ?? "").trim();
  return { ...(status ? { status } : {}), ...(text ? { error: text } : {}) };
}
