/** The server's time. The browser's own clock may be wrong or jump, so only how far it has run since is asked of it. */

let serverMs = Date.now();
let markMs = performance.now();

/**
 * Heed what the server says of its time.
 * @param {string} instant ISO 8601
 * @param {number} [ageMs] how long ago it was said
 */
export function learn(instant, ageMs = 0) {
  const told = Date.parse(instant);
  if (Number.isNaN(told)) return;
  serverMs = told + ageMs;
  markMs = performance.now();
}

/**
 * The server's time now, in milliseconds since 1970 UTC.
 * @returns {number}
 */
export function now() {
  return serverMs + performance.now() - markMs;
}

/**
 * Seconds from now to the instant, less than 0 if it has passed.
 * @param {string} instant ISO 8601
 * @returns {number}
 */
export function secondsTo(instant) {
  return (Date.parse(instant) - now()) / 1000;
}

/**
 * Call again and again, at once at first; not while the tab is hidden, and at once when it is shown again.
 * @param {number} seconds
 * @param {() => void} work
 * @returns {() => void} ends it
 */
export function every(seconds, work) {
  let timer = 0;
  const run = () => {
    clearInterval(timer);
    if (document.hidden) return;
    timer = setInterval(work, seconds * 1000);
    work();
  };
  document.addEventListener("visibilitychange", run);
  run();
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", run);
  };
}

/**
 * A function that does the work soon, and no more often than once in this time, however often it is called; what is
 * asked for while the tab is hidden is done when it is shown.
 * @param {number} seconds
 * @param {() => void} work
 * @returns {() => void}
 */
export function atMostEvery(seconds, work) {
  let last = -Infinity;
  let timer = 0;
  let owed = false;
  const run = () => {
    timer = 0;
    owed = document.hidden;
    if (owed) return;
    last = performance.now();
    work();
  };
  document.addEventListener("visibilitychange", () => owed && !document.hidden && run());
  return () => {
    timer ||= setTimeout(run, Math.max(200, last + seconds * 1000 - performance.now()));
  };
}
