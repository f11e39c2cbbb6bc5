/** How many sessions end when, against how many can be cleaned up in that time: the end of a class is seen before it comes. */

import { get } from "./api.js";
import { now } from "./clock.js";
import { asTable, bar, below, drawing, grid, ticks } from "./chart.js";
import { byId, h, replace, svg } from "./dom.js";
import { count, counted, instant, span } from "./format.js";
import { nothing, panel } from "./panel.js";

const SECONDS = 20;
const HEIGHT = 190;
// Up to this many times the largest bar the capacity is drawn; above, the bars would be too small to be seen.
const IN_SCALE = 1.6;

/** Keep the panel up to date. */
export function watchExpiries() {
  const hours = byId("expiries-hours");
  let open = false;
  const kept = panel(
    "expiries",
    SECONDS,
    () => get("expiries", { hours: hours.value }),
    (body, data) => {
      open = body.querySelector("details")?.open ?? open;
      show(body, data, Number(hours.value));
      if (open) body.querySelector("details")?.setAttribute("open", "");
    },
  );
  hours.addEventListener("change", kept.refresh);
  return kept;
}

function show(body, data, hours) {
  const total = data.buckets.reduce((sum, each) => sum + each, 0);
  const peak = Math.max(0, ...data.buckets);
  if (!total && !data.overdue) return replace(body, nothing(`No session ends within ${counted(hours, "hour")}.`));
  const capacity = data.drain_per_second ? data.drain_per_second * data.bucket_seconds : null;
  const startOf = (index) => Date.parse(data.start) + index * data.bucket_seconds * 1000;
  const summary = sentence(data, total, peak, startOf);
  const rows = data.buckets
    .map((number, index) => [`${instant(startOf(index), now())} – ${instant(startOf(index + 1), now())}`, number])
    .filter(([, number]) => number)
    .map(([when, number]) => [when, count(Number(number)), capacity ? span(Number(number) / data.drain_per_second) : "–"]);
  if (data.overdue) rows.unshift(["overdue now", count(data.overdue), capacity ? span(data.overdue / data.drain_per_second) : "–"]);
  const label = `Sessions that end per ${span(data.bucket_seconds)}. ${summary}`;
  replace(
    body,
    drawing(label, HEIGHT, (width, height) => bars(data, capacity, peak, startOf, width, height)),
    h("p", { class: "legend" }, summary, capacity && h("span", { class: "quiet" }, ` ${drain(data, capacity, peak)}`)),
    asTable("Coming expiries", ["When", "Sessions end", "Takes"], rows),
  );
}

function sentence(data, total, peak, startOf) {
  const overdue = data.overdue ? `${count(data.overdue)} overdue now. ` : "";
  if (!total) return overdue;
  const at = startOf(data.buckets.indexOf(peak));
  const takes = data.drain_per_second ? `, cleaned up in about ${span(peak / data.drain_per_second)}` : "";
  return `${overdue}${counted(total, "session")} to end; most at ${instant(at, now())}: ${count(peak)}${takes}.`;
}

function drain(data, capacity, peak) {
  const rate = data.drain_per_second < 10 ? Number(data.drain_per_second.toPrecision(2)) : count(Math.round(data.drain_per_second));
  const far = capacity > IN_SCALE * Math.max(peak, data.overdue) ? ": more than ends in any of them" : ": the dashed line";
  return `Drain rate ${rate}/s${far}.`;
}

function bars(data, capacity, peak, startOf, width, height) {
  const most = Math.max(peak, data.overdue, 1);
  const drawn = capacity !== null && capacity <= IN_SCALE * most ? capacity : null;
  const scale = ticks(Math.max(most, drawn ?? 0));
  const y = (number) => height - (number / scale[scale.length - 1]) * height;
  const gutter = data.overdue ? 46 : 0;
  const step = (width - gutter) / data.buckets.length;
  const gap = step > 4 ? 1.5 : 0.5;
  const parts = grid(width, scale.map((tick) => ({ y: y(tick), text: count(tick) })));
  if (data.overdue) {
    parts.push(bar("late", 6, y(data.overdue), 26, height - y(data.overdue), `${count(data.overdue)} overdue`));
    parts.push(below(19, height, "late"));
  }
  data.buckets.forEach((number, index) => {
    const x = gutter + index * step;
    const meaning = `${instant(startOf(index), now())}: ${counted(number, "session")}`;
    const within = Math.min(number, capacity ?? number);
    if (number) parts.push(bar("due", x, y(within), step - gap, Math.max(height - y(within), 1), meaning));
    if (number > within) parts.push(bar("above", x, y(number), step - gap, y(within) - y(number), `${meaning}, more than can be cleaned up in that time`));
  });
  if (drawn !== null) parts.push(svg("line", { class: "capacity", x1: gutter, x2: width, y1: y(drawn), y2: y(drawn) }));
  parts.push(svg("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
  parts.push(...hoursBelow(data, startOf, gutter, step, width, height));
  return parts;
}

/** The time of day, at round hours or quarters as there is room. */
function hoursBelow(data, startOf, gutter, step, width, height) {
  const room = Math.max(1, Math.floor((width - gutter) / 56));
  const lengthMs = data.buckets.length * data.bucket_seconds * 1000;
  const apart = [5, 10, 15, 30, 60, 120, 180, 240, 360].find((minutes) => lengthMs / (minutes * 60_000) <= room) ?? 720;
  const apartMs = apart * 60_000;
  const zoneMs = new Date(startOf(0)).getTimezoneOffset() * 60_000;
  const labels = [];
  for (let at = Math.ceil((startOf(0) - zoneMs) / apartMs) * apartMs + zoneMs; at < startOf(0) + lengthMs; at += apartMs) {
    const x = gutter + ((at - startOf(0)) / (data.bucket_seconds * 1000)) * step;
    if (x > gutter + 14 && x < width - 14) labels.push(below(x, height, instant(at, at)));
  }
  return labels;
}
