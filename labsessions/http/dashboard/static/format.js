/** Numbers, times and words as they are shown. */

const COUNT = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const CLOCK_SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** @param {number} number */
export function count(number) {
  return COUNT.format(number);
}

/**
 * A count with what is counted.
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/**
 * A length of time in words, two units at most: "4 min 12 s".
 * @param {number | null | undefined} seconds
 */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.abs(seconds);
  if (whole < 0.9995) return `${Math.round(whole * 1000)} ms`;
  if (whole < 9.95) return `${whole.toFixed(1)} s`;
  const s = Math.round(whole);
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

/**
 * A length of time, roughly: its largest unit alone, rounded down.
 * @param {number} seconds
 */
export function roughly(seconds) {
  const [size, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/**
 * A length of time that runs, as figures: "1:02:03", "−4:12"; from two days on in words.
 * @param {number} seconds
 */
export function countdown(seconds) {
  const s = Math.floor(Math.abs(seconds));
  const sign = seconds < 0 && s > 0 ? "−" : "";
  if (s >= 2 * 86400) return sign + span(s);
  const parts = [Math.floor(s / 3600), Math.floor((s % 3600) / 60), s % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return sign + shown.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/**
 * An instant in the reader's zone: the time of day, with the day if it is another one than that of `nowMs`.
 * @param {string | number | null | undefined} at ISO 8601 or milliseconds
 * @param {number} [nowMs]
 */
export function instant(at, nowMs = Date.now()) {
  if (at === null || at === undefined) return "–";
  const date = new Date(at);
  const clock = CLOCK.format(date);
  return date.toDateString() === new Date(nowMs).toDateString() ? clock : `${DAY.format(date)}, ${clock}`;
}

/**
 * The time of day to the second, in the reader's zone.
 * @param {string | number} at
 */
export function toTheSecond(at) {
  return CLOCK_SECONDS.format(new Date(at));
}

/**
 * A day in the reader's words, from "2026-11-25".
 * @param {string} day
 */
export function day(day) {
  const date = new Date(`${day}T12:00:00`);
  return Number.isNaN(date.getTime()) ? day : DAY.format(date);
}

/**
 * A word of the API as people read it: `ended_by_operator` is "ended by operator".
 * @param {string} word
 */
export function plain(word) {
  return word.replaceAll("_", " ");
}

function two(large, unit, small, smallUnit) {
  return small ? `${large} ${unit} ${small} ${smallUnit}` : `${large} ${unit}`;
}
