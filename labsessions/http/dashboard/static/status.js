/** Messages of what has been done: shown for a while, and read out by screen readers. */

import { byId, h } from "./dom.js";

const SECONDS = 10;

/**
 * @param {string} text
 * @param {"ok" | "bad"} [kind]
 */
export function announce(text, kind = "ok") {
  const message = h("p", { class: `toast ${kind}` }, text);
  const close = h("button", { type: "button", class: "bare", "aria-label": "Dismiss", on: { click: remove } }, "×");
  message.append(close);
  // A modal dialog lies above everything else and hides it from screen readers: then the message belongs into it.
  const dialogs = document.querySelectorAll("dialog[open] .status");
  (dialogs[dialogs.length - 1] ?? byId("status")).append(message);
  setTimeout(remove, SECONDS * 1000);
  function remove() {
    message.remove();
  }
}
