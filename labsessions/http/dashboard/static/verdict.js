/** The one line that says whether all is well, and the banners of what changes the meaning of everything below. */

import { now, secondsTo } from "./clock.js";
import { byId, h, replace, say } from "./dom.js";
import { instant, span } from "./format.js";
import { announce } from "./status.js";

let before = "";
let shownProblems = "";
let shownBanners = "";

/**
 * @param {any} overview as `/overview` has it
 * @param {{resume: () => void}} actions
 */
export function showVerdict(overview, actions) {
  const { verdict } = overview;
  const section = byId("verdict");
  if (!section.firstChild) {
    section.append(
      h("p", { class: "verdict-text" }),
      h("p", { class: "verdict-since quiet" }),
      h("ul", { class: "problems" }),
    );
  }
  const [text, since, problems] = section.children;
  section.className = `verdict ${verdict.ok ? "ok" : "bad"}`;
  const sentence = capital(verdict.text);
  say(text, sentence);
  say(since, verdict.since ? `since ${instant(verdict.since, now())} (${span(-secondsTo(verdict.since))})` : "");
  const others = (overview.problems ?? []).filter((/** @type {string} */ problem) => problem !== verdict.text);
  if (shownProblems !== (shownProblems = others.join("\n"))) {
    replace(problems, ...others.map((problem) => h("li", {}, problem)));
  }
  const state = verdict.ok ? "All is well" : "Not well";
  if (before && before !== state) announce(`${state}: ${sentence}`, verdict.ok ? "ok" : "bad");
  before = state;
  document.title = verdict.ok ? "Lab sessions" : `⚠ ${sentence} – Lab sessions`;
  showBanners(overview, actions);
}

function capital(sentence) {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

function showBanners(overview, actions) {
  const { paused, clock_problem: clockProblem } = overview.scheduler;
  const key = JSON.stringify([paused, clockProblem, overview.test_clock]);
  if (key !== shownBanners) {
    shownBanners = key;
    replace(
      byId("banners"),
      paused && pauseBanner(paused, actions),
      clockProblem && banner("bad", "CLOCK STEP", h("p", {}, clockProblem)),
      overview.test_clock &&
        banner("test", "TEST CLOCK", h("p", {}, "Time is driven by clients: nothing here happens by itself.")),
    );
  }
  const left = document.getElementById("pause-left");
  if (left && paused) say(left, span(Math.max(0, secondsTo(paused.until))));
}

function pauseBanner(paused, actions) {
  return banner(
    "warn",
    "PAUSED",
    h(
      "p",
      {},
      `Cleanups are paused since ${instant(paused.since, now())} by ${paused.by}: “${paused.reason}”. They go on at `,
      `${instant(paused.until, now())}, in `,
      h("span", { id: "pause-left" }),
      ". Deadlines keep their meaning; what falls due waits.",
    ),
    h("button", { type: "button", on: { click: actions.resume } }, "Resume…"),
  );
}

function banner(kind, name, ...content) {
  return h("div", { class: `banner ${kind}` }, h("strong", {}, name), ...content);
}
