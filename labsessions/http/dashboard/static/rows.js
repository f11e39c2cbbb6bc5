/** One session as a row of the table: made once, then kept true by the second. */

import { secondsTo } from "./clock.js";
import { h, say } from "./dom.js";
import { count, countdown } from "./format.js";

const SOON_SECONDS = 15 * 60;

/**
 * @typedef {{element: HTMLElement, show: (item: any) => void, tick: () => void}} Row `tick`: a second has passed
 */

/**
 * @param {(userId: string) => void} open
 * @returns {Row}
 */
export function makeRow(open) {
  let item = /** @type {any} */ (null);
  const user = h("button", { type: "button", class: "row-open" });
  const title = h("span", { class: "lab-title" });
  const lab = h("small", { class: "quiet" });
  const cell = h("td", { class: "lab" }, title, " ", lab);
  const status = h("span", {});
  const time = h("time", {});
  const attempts = h("td", { class: "number", "data-name": "Attempts" });
  const error = h("span", { class: "error" });
  const next = h("td", { class: "number", "data-name": "Next try" });
  const element = h(
    "tr",
    { on: { click: () => open(item.user_id) } },
    h("th", { scope: "row" }, user),
    cell,
    h("td", { class: "status-cell" }, status),
    h("td", { class: "number time-cell" }, time),
    attempts,
    h("td", { class: "error-cell" }, error),
    next,
  );

  function show(given) {
    item = given;
    say(user, item.user_id);
    say(title, item.labTitle || item.labId);
    say(lab, item.labTitle ? item.labId : "");
    cell.title = `${item.labTitle} (${item.labId})`;
    say(attempts, item.attempts ? count(item.attempts) : "");
    attempts.classList.toggle("empty", !item.attempts);
    say(error, item.last_error ?? "");
    error.title = item.last_error ?? "";
    time.setAttribute("datetime", item.expires_at);
    time.title = `${item.expires_at} (created ${item.created_at})`;
    tick();
  }

  function tick() {
    const left = secondsTo(item.expires_at);
    say(time, countdown(left));
    const word = stateOf(item, left);
    status.className = `pill ${word.replace(" ", "-")}`;
    say(status, word);
    element.classList.toggle("is-late", left < 0);
    const waits = item.next_attempt_at && item.status !== "active" ? secondsTo(item.next_attempt_at) : null;
    say(next, waits === null ? "" : waits > 0 ? `in ${countdown(waits)}` : "now");
    next.classList.toggle("empty", waits === null);
  }

  return { element, show, tick };
}

/**
 * The session's state in a word or two.
 * @param {any} item
 * @param {number} left seconds to its deadline
 */
export function stateOf(item, left) {
  if (item.status !== "active") return item.status;
  if (left < 0) return "overdue";
  return left <= SOON_SECONDS ? "ending soon" : "active";
}
