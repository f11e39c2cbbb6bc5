/** A user's events, newest first; older ones on request. */

import { get, ofUser } from "./api.js";
import { now } from "./clock.js";
import { h, replace } from "./dom.js";
import { instant, plain, toTheSecond } from "./format.js";

const PAGE = 50;
const TROUBLE = /fail|stuck|gap|forgotten/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const SHOWN_ELSEWHERE = new Set(["type", "session_id", "user_id", "at", "seq", "server_time"]);

/**
 * @param {string} userId
 * @returns {{element: HTMLElement, show: (events: any[]) => void}} `show` takes the newest ones, as `/sessions/…` has them
 */
export function timeline(userId) {
  /** @type {Map<number, HTMLElement>} */
  const shown = new Map();
  const list = h("ol", { class: "timeline" });
  const more = h("button", { type: "button", class: "bare", hidden: true, on: { click: older } }, "Older events");
  const note = h("p", { class: "nothing" }, "Nothing is stored.");
  const element = h("div", {}, note, list, more);
  let before = /** @type {number | null} */ (null);

  function add(events) {
    for (const event of events) {
      if (!shown.has(event.seq)) shown.set(event.seq, entry(event));
    }
    const sorted = [...shown.keys()].sort((a, b) => b - a);
    const wanted = sorted.map((seq) => /** @type {HTMLElement} */ (shown.get(seq)));
    if (wanted.length !== list.childElementCount || wanted[0] !== list.firstElementChild) replace(list, ...wanted);
    note.hidden = sorted.length > 0;
  }

  async function older() {
    more.setAttribute("aria-busy", "true");
    try {
      const data = await get(ofUser(userId, "/events"), { before, limit: PAGE });
      add(data.events);
      before = data.next_before ?? null;
      more.hidden = before === null;
    } catch (error) {
      replace(more, `Older events (${error.message})`);
    } finally {
      more.removeAttribute("aria-busy");
    }
  }

  function show(events) {
    const first = shown.size === 0;
    add(events);
    if (first && events.length >= PAGE) {
      before = events[events.length - 1].seq;
      more.hidden = false;
    }
  }

  return { element, show };
}

function entry(event) {
  const details = Object.entries(event.data ?? {}).filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== null);
  return h(
    "li",
    { class: TROUBLE.test(event.type) ? "bad" : null },
    h("time", { datetime: event.at, title: event.at }, when(event.at)),
    h("span", { class: "what" }, plain(event.type).replace(/^session\./, "")),
    details.length > 0 && h("span", { class: "details" }, details.map(([name, value]) => `${plain(name)}: ${text(value)}`).join(" · ")),
  );
}

function when(at) {
  const clock = toTheSecond(at);
  const short = instant(at, now());
  return short.includes(",") ? `${short.split(",")[0]}, ${clock}` : clock;
}

function text(value) {
  if (typeof value === "string" && INSTANT.test(value)) return when(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
