/** What charts have in common: room, scales, axes, and the same figures as a table for whoever doesn't see them. */

import { h, replace, svg } from "./dom.js";

export const MARGIN = { top: 10, right: 8, bottom: 22, left: 52 };

/**
 * A drawing that is made again whenever its width changes.
 * @param {string} label what it shows, in a sentence
 * @param {number} height in pixels
 * @param {(width: number, height: number) => SVGElement[]} draw within the margins
 * @returns {HTMLElement}
 */
export function drawing(label, height, draw) {
  const figure = h("div", { class: "chart", role: "img", "aria-label": label });
  let before = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width === before || width < 60) return;
    before = width;
    const inner = svg("g", { transform: `translate(${MARGIN.left} ${MARGIN.top})` });
    inner.append(...draw(width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom));
    replace(figure, svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, inner));
  }).observe(figure);
  return figure;
}

/**
 * Round numbers from 0 up to at least `most`: 1, 2 or 5 times a power of ten apart.
 * @param {number} most
 * @param {number} [steps] at most so many
 * @returns {number[]}
 */
export function ticks(most, steps = 3) {
  const raw = Math.max(most, 1) / steps;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, ([1, 2, 5, 10].find((each) => each * power >= raw) ?? 10) * power);
  return Array.from({ length: Math.ceil(Math.max(most, 1) / step) + 1 }, (_, index) => index * step);
}

/**
 * Horizontal lines with their figures.
 * @param {number} width
 * @param {{y: number, text: string}[]} lines
 * @returns {SVGElement[]}
 */
export function grid(width, lines) {
  return lines.flatMap(({ y, text }) => [
    svg("line", { class: "grid", x1: 0, x2: width, y1: y, y2: y }),
    svg("text", { class: "tick", x: -8, y: y + 4, "text-anchor": "end" }, text),
  ]);
}

/**
 * Text below the drawing.
 * @param {number} x
 * @param {number} height
 * @param {string} text
 * @param {"start" | "middle" | "end"} [anchor]
 */
export function below(x, height, text, anchor = "middle") {
  return svg("text", { class: "tick", x, y: height + 16, "text-anchor": anchor }, text);
}

/**
 * A bar with its meaning as a tooltip.
 * @param {string} kind a class
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @param {string} meaning
 */
export function bar(kind, x, y, width, height, meaning) {
  return svg("rect", { class: `bar ${kind}`, x, y, width, height: Math.max(height, 0) }, svg("title", {}, meaning));
}

/**
 * The figures as a table, folded away.
 * @param {string} caption
 * @param {string[]} head
 * @param {(string | number)[][]} rows the first cell is the row's name
 * @returns {HTMLElement}
 */
export function asTable(caption, head, rows) {
  return h(
    "details",
    { class: "as-table" },
    h("summary", {}, "As a table"),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `${caption}, as a table` },
      table(caption, head, rows, "figures"),
    ),
  );
}

/**
 * A plain table.
 * @param {string} caption for screen readers
 * @param {string[]} head
 * @param {(string | number | Node)[][]} rows the first cell is the row's name
 * @param {string} [kind] a class; "figures": all but the first column are numbers
 */
export function table(caption, head, rows, kind = "") {
  return h(
    "table",
    { class: kind || null },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.map(row)),
  );
}

function row([name, ...cells]) {
  return h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((cell) => h("td", {}, cell)));
}
