/** How the last two weeks went: what ended and why, how late cleanups were, and which labs give trouble. */

import { get } from "./api.js";
import { now } from "./clock.js";
import { asTable, bar, below, drawing, grid, table, ticks } from "./chart.js";
import { h, replace, svg } from "./dom.js";
import { count, day, plain, span } from "./format.js";
import { nothing, panel } from "./panel.js";

const SECONDS = 300;
const DAYS = 14;
const HEIGHT = 218;
const LABS = 8;
// From the inside of the bar to the outside; what isn't named here comes last.
const REASONS = ["expired", "deleted", "ended_by_operator", "forgotten"];
const POWERS = [0.01, 0.1, 1, 10, 60, 600, 3600, 86_400, 864_000];

/** Keep the three panels up to date. */
export function watchTrends() {
  const since = () => new Date(now() - DAYS * 86_400_000).toISOString();
  panel("outcomes", SECONDS, () => get("analytics", { since: since(), by: "day" }), (body, { rows }) => {
    const days = [...rows].sort((a, b) => (a.key < b.key ? -1 : 1));
    outcomes(body, days);
    lateness(/** @type {HTMLElement} */ (document.querySelector("#lateness .panel-body")), days);
  });
  panel("labs", SECONDS, () => get("analytics", { since: since(), by: "lab" }), (body, { rows }) => labs(body, rows));
}

function outcomes(body, days) {
  if (days.length === 0) return replace(body, nothing("No session has ended yet."));
  const reasons = [...new Set([...REASONS, ...days.flatMap((each) => Object.keys(each.by_reason))])].filter((reason) =>
    days.some((each) => each.by_reason[reason]),
  );
  const most = Math.max(...days.map((each) => each.ended));
  const scale = ticks(most);
  const label = `Sessions ended per day, at most ${count(most)}.`;
  replace(
    body,
    drawing(label, HEIGHT, (width, height) => {
      const y = (number) => height - (number / scale[scale.length - 1]) * height;
      const parts = grid(width, scale.map((tick) => ({ y: y(tick), text: count(tick) })));
      columns(days, width, height, (each, x, room) => {
        let sum = 0;
        for (const reason of reasons) {
          const number = each.by_reason[reason] ?? 0;
          if (!number) continue;
          sum += number;
          parts.push(bar(kindOf(reason), x, y(sum), room, y(sum - number) - y(sum), `${day(each.key)}: ${count(number)} ${plain(reason)}`));
        }
      }, parts);
      return parts;
    }),
    h("ul", { class: "legend keys" }, ...reasons.map((reason) => h("li", { class: kindOf(reason) }, plain(reason)))),
    asTable("Sessions ended per day", ["Day", "Ended", ...reasons.map(plain)], days.map((each) => [day(each.key), count(each.ended), ...reasons.map((reason) => count(each.by_reason[reason] ?? 0))])),
  );
}

function lateness(body, days) {
  const late = days.filter((each) => each.late_p50_seconds !== null && each.late_p50_seconds !== undefined);
  if (late.length === 0) return replace(body, nothing("No session has been cleaned up yet."));
  const worst = Math.max(...late.map((each) => each.late_max_seconds));
  const best = Math.min(...late.map((each) => each.late_p50_seconds));
  const low = POWERS[Math.max(0, POWERS.findLastIndex((power) => power <= best))];
  const high = POWERS.find((power) => power >= worst && power > low) ?? worst;
  const lines = POWERS.filter((power) => power >= low && power <= high);
  const label = `From deadline to confirmed deletion, per day: the largest was ${span(worst)}, the latest median ${span(late[late.length - 1].late_p50_seconds)}.`;
  replace(
    body,
    drawing(label, HEIGHT, (width, height) => {
      const y = (seconds) => height - (Math.log(Math.max(seconds, low) / low) / Math.log(high / low)) * height;
      const parts = grid(width, lines.map((seconds) => ({ y: y(seconds), text: span(seconds) })));
      columns(days, width, height, (each, x, room) => {
        if (!late.includes(each)) return;
        const middle = x + room / 2;
        const meaning = `${day(each.key)}: half within ${span(each.late_p50_seconds)}, 95 % within ${span(each.late_p95_seconds)}, the latest ${span(each.late_max_seconds)}`;
        const thick = Math.min(room, 10);
        parts.push(svg("line", { class: "whisker", x1: middle, x2: middle, y1: y(each.late_max_seconds), y2: y(each.late_p95_seconds) }));
        parts.push(bar("range", middle - thick / 2, y(each.late_p95_seconds), thick, Math.max(2, y(each.late_p50_seconds) - y(each.late_p95_seconds)), meaning));
        parts.push(svg("line", { class: "median", x1: middle - thick / 2 - 2, x2: middle + thick / 2 + 2, y1: y(each.late_p50_seconds), y2: y(each.late_p50_seconds) }));
        parts.push(bar("touch", x, 0, room, height, meaning));
      }, parts);
      return parts;
    }),
    h("p", { class: "legend quiet" }, "Bar: median to 95 %. Line: the latest."),
    asTable("Lateness per day", ["Day", "Median", "95 %", "Latest"], late.map((each) => [day(each.key), span(each.late_p50_seconds), span(each.late_p95_seconds), span(each.late_max_seconds)])),
  );
}

function labs(body, rows) {
  if (rows.length === 0) return replace(body, nothing("No session has ended yet."));
  const worst = [...rows].sort((a, b) => b.attempts_mean - a.attempts_mean || b.ended - a.ended).slice(0, LABS);
  const cells = worst.map((each) => [each.key, count(each.ended), each.attempts_mean?.toFixed(1) ?? "–", span(each.late_p95_seconds)]);
  const left = rows.length - worst.length;
  replace(
    body,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Labs, as a table" }, table("Labs, those that need most attempts first", ["Lab", "Ended", "Attempts", "Late, 95 %"], cells, "figures")),
    left > 0 && h("p", { class: "legend quiet" }, `and ${count(left)} that need fewer attempts`),
  );
}

/** A place for each day, and the names of some below. */
function columns(days, width, height, draw, parts) {
  const step = Math.min(width / days.length, 44);
  const apart = Math.ceil(52 / step);
  days.forEach((each, index) => {
    draw(each, index * step + step * 0.14, step * 0.72);
    const fromEnd = days.length - 1 - index;
    if (fromEnd % apart === 0) parts.push(below(index * step + step / 2, height, day(each.key)));
  });
  parts.push(svg("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
}

function kindOf(reason) {
  return REASONS.includes(reason) ? `reason-${REASONS.indexOf(reason)}` : "reason-other";
}
