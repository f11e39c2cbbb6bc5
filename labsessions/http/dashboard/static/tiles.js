/** The figures at a glance. A figure that is about sessions shows these in the table when it is chosen. */

import { now, secondsTo } from "./clock.js";
import { byId, h, say } from "./dom.js";
import { count, counted, instant, roughly, span } from "./format.js";

const LATE_HEARTBEAT_SECONDS = 10;
const OLD_BACKUP_SECONDS = 26 * 3600;

/** @typedef {{value: string, note?: string, kind?: "ok" | "warn" | "bad" | ""}} Figure */

/** @type {{name: string, filter?: Record<string, string>, figure: (overview: any) => Figure}[]} */
const TILES = [
  {
    name: "Active",
    filter: { status: "active" },
    figure: (o) => ({ value: count(o.counts.active), note: `${counted(o.resident_actors ?? 0, "actor")} in memory` }),
  },
  {
    name: "Ending soon",
    filter: { ending_within: "15" },
    figure: (o) => ({ value: count(o.counts.ending_soon), note: "within 15 min" }),
  },
  {
    name: "Cleaning",
    filter: { status: "cleaning" },
    figure: (o) => ({ value: count(o.counts.cleaning), note: `${counted(o.effects_running ?? 0, "attempt")} running` }),
  },
  {
    name: "Overdue",
    filter: { overdue: "true" },
    figure: (o) =>
      o.counts.overdue
        ? { value: count(o.counts.overdue), note: `oldest ${span(o.oldest_overdue_seconds)}`, kind: "bad" }
        : { value: "0", note: "none is late" },
  },
  {
    name: "Stuck",
    filter: { status: "stuck" },
    figure: (o) =>
      o.counts.stuck
        ? { value: count(o.counts.stuck), note: "failed often, still retried", kind: "bad" }
        : { value: "0", note: "none" },
  },
  {
    name: "Owed",
    figure: (o) => ({
      value: count(o.counts.owed),
      note: o.counts.owed_stuck ? `VMs of ended labs, ${count(o.counts.owed_stuck)} stuck` : "VMs of ended labs",
      kind: o.counts.owed_stuck ? "bad" : "",
    }),
  },
  { name: "Lab backend", figure: (o) => backend(o.backend) },
  {
    name: "Scheduler",
    figure: ({ scheduler }) => ({
      value: scheduler.paused ? "Paused" : scheduler.heartbeat_age_seconds > LATE_HEARTBEAT_SECONDS ? "Late" : "On time",
      note: `heartbeat ${span(scheduler.heartbeat_age_seconds)} ago`,
      kind: scheduler.heartbeat_age_seconds > LATE_HEARTBEAT_SECONDS ? "bad" : scheduler.paused ? "warn" : "ok",
    }),
  },
  { name: "Last backup", figure: (o) => backup(o.last_backup) },
];

/** @type {(overview: any) => void} */
let update = () => {};

/**
 * @param {any} overview as `/overview` has it
 * @param {(filter: Record<string, string>) => void} choose shows these sessions
 */
export function showTiles(overview, choose) {
  const list = byId("tiles");
  if (!list.firstChild) {
    const tiles = TILES.map((tile) => make(tile, choose));
    list.append(...tiles.map((tile) => tile.item));
    update = (seen) => tiles.forEach((tile) => tile.show(seen));
  }
  update(overview);
}

function make(tile, choose) {
  const value = h("strong", {});
  const note = h("small", {});
  const content = [h("span", {}, tile.name), value, note];
  const filter = tile.filter;
  const inner = filter
    ? h("a", { href: `?${new URLSearchParams(filter)}#sessions`, on: { click: chosen } }, ...content)
    : h("div", {}, ...content);
  const item = h("li", {}, inner);
  function chosen(event) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    choose(filter);
  }
  const show = (overview) => {
    const figure = tile.figure(overview);
    say(value, figure.value);
    say(note, figure.note ?? "");
    item.className = figure.kind ?? "";
  };
  return { item, show };
}

function backend({ state, since, last_error: lastError }) {
  const words = { up: "Up", down: "Down", probing: "Probing", unknown: "Unknown" };
  const kinds = { up: "ok", down: "bad", probing: "warn", unknown: "" };
  const from = since ? `since ${instant(since, now())}` : state === "unknown" ? "not asked yet" : "";
  const error = state !== "up" && lastError ? lastError : "";
  return { value: words[state] ?? state, note: [from, error].filter(Boolean).join(": "), kind: kinds[state] ?? "" };
}

function backup(last) {
  if (!last) return { value: "None", note: "none known", kind: "warn" };
  const age = -secondsTo(last.at);
  return { value: roughly(age), note: `ago, ${instant(last.at, now())}`, kind: age > OLD_BACKUP_SECONDS ? "warn" : "" };
}
