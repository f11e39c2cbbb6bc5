/** Says whether what is shown is live, and if not, how old it is. */

import { every, now } from "./clock.js";
import { byId, say } from "./dom.js";
import { toTheSecond } from "./format.js";

// Overviews come every two seconds; one may be late.
const FRESH_MS = 7000;

let heardMs = -Infinity;
let shownMs = 0;
let nextTryMs = 0;

/** An overview has come. */
export function heard() {
  heardMs = performance.now();
  shownMs = now();
  nextTryMs = 0;
  show();
}

/**
 * The stream has broken off, and is tried again in this time.
 * @param {number} pauseMs
 */
export function down(pauseMs) {
  nextTryMs = performance.now() + pauseMs;
  show();
}

/** Look again every second: a connection may die without a word. */
export function watch() {
  every(1, show);
}

function show() {
  const link = byId("link");
  const stale = performance.now() - heardMs > FRESH_MS;
  const inSeconds = Math.ceil((nextTryMs - performance.now()) / 1000);
  link.className = stale ? "link stale" : "link live";
  document.body.classList.toggle("is-stale", stale);
  if (!stale) return say(link, "Live");
  const next = inSeconds > 0 ? `next try in ${inSeconds} s` : "connecting";
  say(link, shownMs ? `Stale: as of ${toTheSecond(shownMs)}, ${next}` : `Not connected: ${next}`);
}
