/** Two lists of the past: the sessions that ended last, and what operators have done. */

import { get } from "./api.js";
import { now } from "./clock.js";
import { table } from "./chart.js";
import { h, replace } from "./dom.js";
import { count, instant, plain, span } from "./format.js";
import { nothing, panel } from "./panel.js";

const SECONDS = 30;
const LINES = 10;

/**
 * Keep both panels up to date.
 * @param {(userId: string) => void} open shows a user's drawer
 */
export function watchLogbook(open) {
  const history = pages("history", "ended", "Ended last", "No session has ended yet.", ["User", "Ended", "Why", "Late", "Attempts"], (each) => [
    userButton(each.user_id, open),
    when(each.ended_at),
    plain(each.reason),
    each.lateness_seconds === null || each.lateness_seconds === undefined ? "–" : span(each.lateness_seconds),
    count(each.attempts ?? 0),
  ]);
  const audit = pages("audit", "entries", "Done by operators", "No operator has done anything yet.", ["When", "Who", "What", "To", "Why", "Outcome"], (each) => [
    when(each.at),
    each.who,
    plain(each.action),
    each.user_id ? userButton(each.user_id, open) : "–",
    each.reason ?? "–",
    plain(String(each.outcome ?? "")),
  ]);
  return { history, audit };
}

/** A list that is read from its beginning, and turned over page by page. */
function pages(id, member, name, empty, head, cells) {
  let cursors = [""];
  let next = "";
  const turn = (to) => {
    cursors = to;
    kept.refresh();
  };
  const newer = h("button", { type: "button", class: "bare", on: { click: () => turn(cursors.slice(0, -1)) } }, "Newer");
  const older = h("button", { type: "button", class: "bare", on: { click: () => turn([...cursors, next]) } }, "Older");
  const foot = h("p", { class: "pages" }, newer, older);
  const place = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${name}, as a table` });
  const kept = panel(
    id,
    SECONDS,
    () => get(id, { limit: LINES, cursor: cursors[cursors.length - 1] }),
    (body, data) => {
      const items = data[member];
      next = data.next_cursor ?? "";
      newer.disabled = cursors.length === 1;
      older.disabled = !next;
      foot.hidden = newer.disabled && older.disabled;
      if (items.length === 0 && cursors.length === 1) return replace(body, nothing(empty));
      const focused = [...place.querySelectorAll("button")].indexOf(/** @type {any} */ (document.activeElement));
      replace(place, table(name, head, items.map(cells)));
      if (focused >= 0) /** @type {any} */ (place.querySelectorAll("button")[focused])?.focus();
      if (place.parentNode !== body) replace(body, place, foot);
    },
  );
  return kept;
}

function userButton(userId, open) {
  return h("button", { type: "button", class: "bare inline", on: { click: () => open(userId) } }, userId);
}

function when(at) {
  return h("time", { datetime: at, title: at }, instant(at, now()));
}
