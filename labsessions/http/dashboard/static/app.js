/** The dashboard: puts its parts together, and tells them what the stream brings. */

import { setFilter, user } from "./address.js";
import { get, whenRefused } from "./api.js";
import { pause, resume, retryAll } from "./bulk.js";
import { learn } from "./clock.js";
import { byId, say } from "./dom.js";
import { openDrawer } from "./drawer.js";
import { watchExpiries } from "./expiries.js";
import { watchFailures } from "./failures.js";
import { makeFilters } from "./filters.js";
import * as link from "./link.js";
import { watchLogbook } from "./logbook.js";
import { watchSessions } from "./sessions.js";
import { account, begin, showOperator, signOut } from "./sign-in.js";
import { follow } from "./stream.js";
import { showTiles } from "./tiles.js";
import { watchTrends } from "./trends.js";
import { showVerdict } from "./verdict.js";

const GAP = "events.gap";

let overview = /** @type {any} */ (null);
let drawer = /** @type {ReturnType<typeof openDrawer> | null} */ (null);

void begin(run);

function run(first) {
  byId("board").hidden = false;
  byId("bar-actions").hidden = false;
  whenRefused(signOut); // from now on: the token was good, and is so no longer
  showOperator();
  const filters = makeFilters(() => sessions.show());
  const sessions = watchSessions(open);
  const parts = {
    sessions,
    expiries: watchExpiries(),
    failures: watchFailures({ choose, open, retryAll: (error) => retryAll({ error }, changed) }),
    logbook: watchLogbook(open),
  };
  watchTrends();

  function choose(filter) {
    setFilter(filter, { push: true });
    filters.show();
    sessions.show();
    byId("sessions").focus();
  }
  /** An action is done: what it may have changed is read again. */
  function changed() {
    parts.failures.touch();
    parts.logbook.audit.touch();
    parts.sessions.touch("");
    void poll();
  }
  function show(seen) {
    overview = seen;
    learn(seen.server_time);
    link.heard();
    say(byId("version"), seen.version);
    showVerdict(seen, { resume: goOn });
    showTiles(seen, choose);
    byId("pause").hidden = Boolean(seen.scheduler.paused);
  }
  function goOn() {
    const { scheduler, counts } = overview;
    if (scheduler.paused) resume(scheduler.paused, counts?.overdue ?? 0, changed);
  }
  async function poll() {
    try {
      show(await get("overview"));
    } catch {
      // Not reachable: the link says so.
    }
  }
  function onEvent(type, data) {
    if (type === "overview") return show(data);
    const userId = data.user_id ?? "";
    if (type === GAP || drawer?.userId === userId) drawer?.touch();
    parts.sessions.touch(type === GAP ? "" : userId);
    parts.failures.touch();
    parts.expiries.touch();
    parts.logbook.history.touch();
    parts.logbook.audit.touch();
  }
  function open(userId) {
    drawer?.close();
    const opened = openDrawer(userId, { changed, closed: () => drawer === opened && (drawer = null) });
    drawer = opened;
  }

  show(first);
  link.watch();
  byId("pause").addEventListener("click", () => pause(changed));
  byId("account").addEventListener("click", account);
  addEventListener("popstate", () => {
    filters.show();
    sessions.show();
    if (user() !== (drawer?.userId ?? "")) user() ? open(user()) : drawer?.close();
  });
  follow({
    onEvent,
    onRefused: signOut,
    onDown: (pauseMs) => {
      link.down(pauseMs);
      if (!document.hidden) void poll(); // the stream may be what doesn't work, and the rest may
    },
  });
  if (user()) open(user());
}
