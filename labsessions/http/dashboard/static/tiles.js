/** The figures at a glance. A figure that is about sessions shows these in the table when it is chosen. */

import { now, secondsTo } from "./clock.js";
import { byId, h, say } from "./dom.js";
import { count, counted, instant, roughly, span } from "./format.js";

const LATE_HEARTBEAT_SECONDS = 10;
const OLD_BACKUP_SECONDS = 26 * 3600;

/** @typedef {{value: string, note?: string, kind?: "ok" | "warn" | "bad" | ""}} Figure */

/** Where the store cannot be read there are no counts. */
const UNKNOWN = { value: "–", note: "not known" };

/** @type {{name: string, filter?: Record<string, string>, figure: (overview: any) => Figure}[]} */
const TILES = [
  {
    name: "Active",
    filter: { status: "active" },
    figure: ({ counts, resident_actors: actors }) =>
      counts ? { value: count(counts.active), note: `${counted(actors ?? 0, "actor")} in memory` } : UNKNOWN,
  },
  {
    name: "Ending soon",
    filter: { ending_within: "15" },
    figure: ({ counts }) => (counts ? { value: count(counts.ending_soon), note: "within 15 min" } : UNKNOWN),
  },
  {
    name: "Cleaning",
    filter: { status: "cleaning" },
    figure: ({ counts, effects_running: running }) =>
      counts ? { value: count(counts.cleaning), note: `${counted(running ?? 0, "attempt")} running` } : UNKNOWN,
  },
  {
    name: "Overdue",
    filter: { overdue: "true" },
    figure: ({ counts, oldest_overdue_seconds: oldest }) =>
      counts ? trouble(counts.overdue, `oldest ${span(oldest)}`, "none is late") : UNKNOWN,
  },
  {
    name: "Stuck",
    filter: { status: "stuck" },
    figure: ({ counts }) => (counts ? trouble(counts.stuck, "failed often, still retried", "none") : UNKNOWN),
  },
  { name: "Owed", figure: ({ counts }) => (counts ? owed(counts) : UNKNOWN) },
  { name: "Lab backend", figure: (overview) => backend(overview.backend) },
  { name: "Scheduler", figure: (overview) => scheduler(overview.scheduler) },
  { name: "Last backup", figure: (overview) => backup(overview.last_backup) },
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

/** Bad if there is any. */
function trouble(number, note, none) {
  return number ? { value: count(number), note, kind: "bad" } : { value: "0", note: none };
}

function owed(counts) {
  const stuck = counts.owed_stuck ? `, ${count(counts.owed_stuck)} stuck` : "";
  return { value: count(counts.owed), note: `VMs of ended labs${stuck}`, kind: stuck ? "bad" : "" };
}

function scheduler({ heartbeat_age_seconds: age, paused }) {
  if (age === null || age === undefined) return { value: "Ended", note: "nothing is cleaned up", kind: "bad" };
  const note = `heartbeat ${span(age)} ago`;
  if (age > LATE_HEARTBEAT_SECONDS) return { value: "Late", note, kind: "bad" };
  return paused ? { value: "Paused", note, kind: "warn" } : { value: "On time", note, kind: "ok" };
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
