/** What happens, as it happens: follows `/stream`, and comes back after every interruption where it left off. */

import { BASE } from "./api.js";
import { headers } from "./credentials.js";
import { parser } from "./sse.js";

// There is an overview every two seconds: this long a silence is a dead connection.
const SILENCE_MS = 15_000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * @typedef {{
 *   onEvent: (type: string, data: any) => void,
 *   onDown: (pauseMs: number) => void,
 *   onRefused: () => void,
 * }} Listeners `onDown`: not connected, and tried again in that time; `onRefused`: the token isn't good any more
 */

/**
 * Follow the stream until the returned function is called.
 * @param {Listeners} listeners
 * @returns {() => void}
 */
export function follow(listeners) {
  const ended = new AbortController();
  void run(listeners, ended.signal);
  return () => ended.abort();
}

async function run(listeners, ended) {
  let lastId = "";
  let pauseMs = FIRST_PAUSE_MS;
  const hear = (/** @type {import("./sse.js").ServerEvent} */ event) => {
    lastId = event.id || lastId;
    pauseMs = FIRST_PAUSE_MS;
    const data = event.type ? parsed(event.data) : undefined;
    if (data !== undefined && !ended.aborted) listeners.onEvent(event.type, data);
  };
  while (!ended.aborted) {
    let wanted = 0;
    try {
      const refused = await connection(lastId, hear, ended);
      if (refused === "credentials") return listeners.onRefused();
      wanted = refused;
    } catch {
      // Broken off, or never begun: both are tried again.
    }
    if (ended.aborted) return;
    const wait = Math.max(wanted, pauseMs * (0.75 + Math.random() / 2));
    listeners.onDown(wait);
    await patience(wait, ended);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Read one connection to its end; returns "credentials", or the milliseconds that the server wants us to wait. */
async function connection(lastId, hear, ended) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await fetch(new URL("stream", BASE), {
      headers: { ...headers(), Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) },
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.any([silence.signal, ended]),
    });
    if (response.status === 401 || response.status === 403) return "credentials";
    if (!response.ok || !response.body) return 1000 * Number(response.headers.get("Retry-After") ?? 0) || 0;
    const push = parser(hear);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 0;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      push(value);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Wait, but not while there is good reason to try at once: the network is back, the tab is looked at again. */
function patience(ms, ended) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", shown);
      resolve(undefined);
    };
    const shown = () => !document.hidden && done();
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    document.addEventListener("visibilitychange", shown);
    ended.addEventListener("abort", done, { once: true });
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
