/** All about one user: the session, what is owed of earlier ones, what happened; and what can be done about it. */

import * as actions from "./actions.js";
import { setUser, user } from "./address.js";
import { get, ofUser } from "./api.js";
import { atMostEvery, every, secondsTo } from "./clock.js";
import { h, replace, say } from "./dom.js";
import { facts, lastEnded, owedVms } from "./facts.js";
import { countdown, span } from "./format.js";
import { stateOf } from "./rows.js";
import { timeline } from "./timeline.js";

const SECONDS = 15;

/**
 * Open the drawer of a user; its address is the page's from then on.
 * @param {string} userId
 * @param {{changed: () => void, closed: () => void}} listeners `changed`: an action is done
 * @returns {{touch: () => void, close: () => void, userId: string}} `touch`: something has happened to this user
 */
export function openDrawer(userId, listeners) {
  let data = /** @type {any} */ (null);
  const button = (text, kind, run) =>
    h("button", { type: "button", class: kind, disabled: true, on: { click: run } }, text);
  const done = () => {
    void load();
    listeners.changed();
  };
  const extend = button("Extend…", "", () => actions.extend(data.session, done));
  const end = button("End now…", "", () => actions.end(data.session, done));
  const retry = button("Retry now…", "", () => actions.retry(userId, data.session, done));
  const forget = button("Forget…", "danger-quiet", () => actions.forget(userId, data.session, vmIds(), done));
  const status = h("span", {});
  const time = h("strong", { class: "drawer-time" });
  const timeNote = h("span", { class: "quiet" });
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const body = h("div", { class: "drawer-body" });
  const history = timeline(userId);
  const close = h("button", { type: "button", class: "bare close", "aria-label": "Close", on: { click: () => dialog.close() } }, "×");
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "drawer", "aria-labelledby": "drawer-title" },
      h("div", { class: "drawer-head" }, h("h2", { id: "drawer-title", tabindex: "-1", autofocus: true }, userId), status, close),
      h("p", { class: "drawer-clock" }, time, " ", timeNote),
      h("div", { class: "buttons start" }, extend, end, retry, forget),
      trouble,
      body,
      h("section", { class: "part" }, h("h3", {}, "What happened"), history.element),
      h("div", { class: "status", role: "status", "aria-live": "polite" }),
    )
  );

  async function load() {
    try {
      data = await get(ofUser(userId));
      trouble.hidden = true;
      show();
    } catch (error) {
      replace(trouble, `Could not be read: ${error.message}.`);
      trouble.hidden = false;
    }
  }

  function show() {
    const { session, owed = [], events = [], last_ended: ended } = data;
    extend.disabled = session?.status !== "active";
    end.disabled = session?.status !== "active";
    retry.disabled = !(session ? session.status !== "active" : owed.length > 0);
    forget.disabled = !session && owed.length === 0;
    const open = [...body.querySelectorAll("details[open]")].map((each) => each.id);
    replace(body, session && facts(session), owed.length > 0 && owedVms(owed), ended && lastEnded(ended));
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    history.show(events);
    tick();
  }

  function tick() {
    const session = data?.session;
    if (data && !session) {
      status.className = "pill none";
      say(status, "no session");
      say(time, "");
      say(timeNote, data.owed?.length ? "VMs of an ended session are still owed." : "No session is running.");
    } else if (session) {
      const left = secondsTo(session.expires_at);
      const word = stateOf(session, left);
      status.className = `pill ${word.replace(" ", "-")}`;
      say(status, word);
      say(time, countdown(left));
      time.classList.toggle("late", left < 0);
      say(timeNote, `${left < 0 ? "past its deadline" : "to its deadline"}${nextTry(session)}`);
    }
  }

  const vmIds = () => (data.session ? actions.vmsOf(data.session) : data.owed.map((vm) => vm.lab_request_id));
  const stops = [every(SECONDS, load), every(1, tick)];
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  dialog.addEventListener("close", () => {
    stops.forEach((stop) => stop());
    dialog.remove();
    if (user() === userId) setUser(""); // else the next drawer has been opened already
    listeners.closed();
  });
  document.body.append(dialog);
  dialog.showModal();
  setUser(userId);
  return { userId, touch: atMostEvery(2, load), close: () => dialog.close() };
}

function nextTry(session) {
  if (session.status === "active" || !session.next_attempt_at) return "";
  const left = secondsTo(session.next_attempt_at);
  return left > 0 ? `, next try in ${span(left)}` : ", next try now";
}
