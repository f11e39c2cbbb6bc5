/** Sessions in trouble, grouped by what the backend said: one cause, one line, however many sessions. */

import { get } from "./api.js";
import { secondsTo } from "./clock.js";
import { byId, h, replace } from "./dom.js";
import { count, counted, span } from "./format.js";
import { nothing, panel } from "./panel.js";

const SECONDS = 20;
const MOST = 8;

/**
 * Keep the panel up to date.
 * @param {{choose: (filter: Record<string, string>) => void, open: (userId: string) => void, retryAll: (error: string) => void}} actions
 */
export function watchFailures(actions) {
  byId("retry-all").addEventListener("click", () => actions.retryAll(""));
  return panel(
    "failures",
    SECONDS,
    () => get("failures"),
    (body, { groups }) => {
      byId("retry-all").disabled = groups.length === 0;
      if (groups.length === 0) return replace(body, nothing("No cleanup is in trouble."));
      const focused = [...body.querySelectorAll("button")].indexOf(/** @type {any} */ (document.activeElement));
      const shown = groups.slice(0, MOST);
      const rest = groups.length - shown.length;
      replace(
        body,
        h("ul", { class: "failures" }, ...shown.map((group) => line(group, actions))),
        rest > 0 && h("p", { class: "quiet" }, `and ${counted(rest, "other error")}`),
      );
      if (focused >= 0) /** @type {any} */ (body.querySelectorAll("button")[focused])?.focus();
    },
  );
}

function line(group, { choose, open, retryAll }) {
  const error = group.error || "(no error is stored)";
  const named = (text, run) =>
    h("button", { type: "button", class: "bare", "aria-label": `${text}: ${error}`, on: { click: run } }, text);
  return h(
    "li",
    {},
    h("strong", {}, count(group.count)),
    h(
      "div",
      {},
      h("p", { class: "error" }, error),
      h(
        "p",
        { class: "quiet" },
        group.oldest_since ? `for ${span(-secondsTo(group.oldest_since))}, e.g. ` : "e.g. ",
        h("button", { type: "button", class: "bare inline", on: { click: () => open(group.example_user_id) } }, group.example_user_id),
      ),
    ),
    h("div", { class: "line-actions" }, named("Show", () => choose({ error: group.error })), named("Retry…", () => retryAll(group.error))),
  );
}
