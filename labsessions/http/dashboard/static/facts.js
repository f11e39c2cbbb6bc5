/** What is stored of one user, member by member. Everything is text: nothing that a client sent becomes a link. */

import { now, secondsTo } from "./clock.js";
import { h } from "./dom.js";
import { counted, instant, plain, span } from "./format.js";

// First what an operator asks for; then whatever else there is, in its own order.
const FIRST = [
  "last_error", "attempts", "next_attempt_at", "labTitle", "labId", "labGroupID", "moduleID", "lab_request_id",
  "vm", "worker_nodes", "created_at", "expires_at", "max_expires_at", "duration", "time_factor", "id",
];
const SHOWN_ELSEWHERE = new Set(["user_id", "status", "overdue", "remaining_seconds", "server_time"]);
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

/**
 * @param {Record<string, any>} session
 * @returns {HTMLElement}
 */
export function facts(session) {
  const names = [...FIRST.filter((name) => name in session), ...Object.keys(session).filter((name) => !FIRST.includes(name))];
  const shown = names.filter((name) => !SHOWN_ELSEWHERE.has(name) && !isNothing(session[name]));
  return part("The session", h("dl", { class: "facts" }, ...shown.flatMap((name) => fact(name, session[name]))));
}

/**
 * @param {any[]} owed
 * @returns {HTMLElement}
 */
export function owedVms(owed) {
  const items = owed.map((vm) =>
    h(
      "li",
      {},
      h("code", {}, vm.lab_request_id),
      ` owed since ${instant(vm.since, now())}, ${counted(vm.attempts ?? 0, "attempt")}`,
      vm.next_attempt_at ? `, next try ${later(vm.next_attempt_at)}` : "",
      vm.last_error ? h("span", { class: "error" }, vm.last_error) : null,
    ),
  );
  return part("VMs owed of ended sessions", h("ul", { class: "plain-list" }, ...items));
}

/**
 * @param {any} ended
 * @returns {HTMLElement}
 */
export function lastEnded(ended) {
  const late = ended.lateness_seconds === null || ended.lateness_seconds === undefined ? "" : `, ${span(ended.lateness_seconds)} after its deadline`;
  return part(
    "The session before",
    h("p", {}, `Ended ${instant(ended.ended_at, now())}: ${plain(ended.reason)}${late}. ${counted(ended.attempts ?? 0, "attempt")}. `, h("code", {}, ended.id ?? "")),
  );
}

function part(title, content) {
  return h("section", { class: "part" }, h("h3", {}, title), content);
}

function fact(name, value) {
  return [h("dt", {}, name), h("dd", { class: name === "last_error" ? "error" : null }, valueOf(value))];
}

function valueOf(value) {
  if (typeof value === "string") {
    if (!INSTANT.test(value)) return value;
    return h("time", { datetime: value, title: value }, `${instant(value, now())}, ${later(value)}`);
  }
  if (typeof value !== "object") return String(value);
  const list = Array.isArray(value) ? value : [value];
  return h("ul", { class: "plain-list" }, ...list.map((each) => h("li", {}, inWords(each))));
}

function inWords(value) {
  if (value === null || typeof value !== "object") return String(value);
  return Object.entries(value)
    .map(([name, each]) => `${name}: ${typeof each === "object" ? JSON.stringify(each) : each}`)
    .join(" · ");
}

function later(at) {
  const left = secondsTo(at);
  return left >= 0 ? `in ${span(left)}` : `${span(left)} ago`;
}

function isNothing(value) {
  return value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}
