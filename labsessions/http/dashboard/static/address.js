/** What is looked at stands in the address: it can be sent to a colleague, kept as a bookmark, and the back button works. */

const NAMES = ["q", "status", "overdue", "ending_within", "lab_id", "group_id", "error", "order"];
const USER = "user";

/** @typedef {Record<string, string>} Filter by the names that `GET /sessions` takes; what isn't there isn't filtered by */

/** @returns {Filter} */
export function filter() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.flatMap((name) => (query.get(name) ? [[name, query.get(name) ?? ""]] : [])));
}

/** @returns {string} whose drawer is open; empty if none is */
export function user() {
  return new URLSearchParams(location.search).get(USER) ?? "";
}

/**
 * @param {Filter} wanted
 * @param {{push?: boolean}} [how] `push`: the back button leads back to what is looked at now
 */
export function setFilter(wanted, { push = false } = {}) {
  const query = new URLSearchParams(NAMES.flatMap((name) => (wanted[name] ? [[name, wanted[name]]] : [])));
  if (user()) query.set(USER, user());
  go(query, push);
}

/** @param {string} userId empty: the drawer is closed */
export function setUser(userId) {
  const query = new URLSearchParams(location.search);
  if (userId === user()) return;
  if (userId) query.set(USER, userId);
  else query.delete(USER);
  go(query, Boolean(userId));
}

function go(query, push) {
  const search = query.toString();
  const url = search ? `?${search}` : location.pathname;
  if (push) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}
