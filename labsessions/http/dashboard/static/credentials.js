/** Who works here: the token, and the name for the audit. Both are gone when the tab is closed. */

const TOKEN = "labsessions.token";
const OPERATOR = "labsessions.operator";

/** @returns {string} empty if nobody has signed in */
export function token() {
  return sessionStorage.getItem(TOKEN) ?? "";
}

/** @returns {string} empty if no name was given */
export function operator() {
  return sessionStorage.getItem(OPERATOR) ?? "";
}

/** @param {string} value */
export function keepToken(value) {
  sessionStorage.setItem(TOKEN, value);
}

/** @param {string} value */
export function keepOperator(value) {
  sessionStorage.setItem(OPERATOR, value);
}

/** Sign out; the name stays. */
export function forgetToken() {
  sessionStorage.removeItem(TOKEN);
}

/**
 * The header fields of a request.
 * @returns {Record<string, string>}
 */
export function headers() {
  const fields = {};
  if (token()) fields.Authorization = `Bearer ${token()}`;
  if (operator()) fields["X-Operator"] = operator();
  return fields;
}
