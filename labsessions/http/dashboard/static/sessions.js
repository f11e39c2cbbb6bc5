/** The table of sessions: one page at a time, whatever the number of sessions; its rows are kept, not made anew. */

import { filter } from "./address.js";
import { get } from "./api.js";
import { every } from "./clock.js";
import { byId, h, replace, say } from "./dom.js";
import { count, counted } from "./format.js";
import { nothing, panel } from "./panel.js";
import { makeRow } from "./rows.js";

export const PAGE = 50;
const SECONDS = 15;
const HEAD = ["User", "Lab", "Status", "Ends in", "Attempts", "Last error", "Next try"];
const NUMBERS = new Set(["Ends in", "Attempts", "Next try"]);

/**
 * Keep the table up to date.
 * @param {(userId: string) => void} open shows one session's drawer
 * @returns {{touch: (userId: string) => void, show: () => void}} `show`: the filter has changed
 */
export function watchSessions(open) {
  /** @type {Map<string, import("./rows.js").Row>} */
  let rows = new Map();
  /** Where this page and those before it begin. @type {string[]} */
  let cursors = [""];
  let next = "";

  const body = h("tbody", {});
  const head = HEAD.map((name) => h("th", { scope: "col", class: NUMBERS.has(name) ? "number" : null }, name));
  const table = h(
    "table",
    { class: "sessions" },
    h("caption", { class: "unseen" }, "Sessions"),
    h("thead", {}, h("tr", {}, ...head)),
    body,
  );
  const back = h("button", { type: "button", on: { click: () => turn(cursors.slice(0, -1)) } }, "Back");
  const more = h("button", { type: "button", on: { click: () => turn([...cursors, next]) } }, "More");
  const place = h("span", { class: "quiet", "aria-live": "polite" });
  const pages = h("nav", { class: "pages", "aria-label": "Pages of the table" }, back, place, more);

  const kept = panel(
    "sessions",
    SECONDS,
    () => get("sessions", { ...filter(), limit: PAGE, cursor: cursors[cursors.length - 1] }),
    (element, data) => {
      next = data.next_cursor ?? "";
      const total = data.total ?? null;
      say(byId("sessions-count"), total === null ? "" : counted(total, "session"));
      const shown = keep(data.sessions);
      if (shown === 0 && cursors.length > 1) return turn(cursors.slice(0, -1)); // they have all ended
      if (shown === 0) return replace(element, nothing(empty()));
      if (table.parentNode !== element) replace(element, table, pages);
      paging(shown, total);
    },
  );
  every(1, () => rows.forEach((row) => row.tick()));

  function keep(items) {
    const before = rows;
    rows = new Map();
    for (const item of items) {
      const row = before.get(item.user_id) ?? makeRow(open);
      row.show(item);
      rows.set(item.user_id, row);
    }
    for (const [userId, row] of before) if (!rows.has(userId)) row.element.remove();
    let place = body.firstElementChild;
    for (const { element } of rows.values()) {
      if (element === place) place = place.nextElementSibling;
      else body.insertBefore(element, place); // an element that stays where it is keeps the focus
    }
    return rows.size;
  }

  function paging(shown, total) {
    const first = (cursors.length - 1) * PAGE + 1;
    back.disabled = cursors.length === 1;
    more.disabled = !next;
    pages.hidden = back.disabled && more.disabled;
    say(place, `${count(first)} – ${count(first + shown - 1)}${total === null ? "" : ` of ${count(total)}`}`);
  }

  function turn(to) {
    cursors = to;
    kept.refresh();
    byId("sessions").scrollIntoView({ block: "start" });
  }

  return {
    // Somebody's session that isn't on this page may belong on it now; on the first page only, as on others the
    // sessions before it are what has changed.
    touch: (userId) => (rows.has(userId) || cursors.length === 1 ? kept.touch() : undefined),
    show: () => {
      cursors = [""];
      kept.refresh();
    },
  };
}

function empty() {
  return Object.keys(filter()).length ? "No session is as the filter says." : "No session is running.";
}
