/** Signing in and out. The token goes to the service in one header, and nowhere else. */

import { get, whenRefused } from "./api.js";
import * as credentials from "./credentials.js";
import { ask, input } from "./dialog.js";
import { byId, h, replace } from "./dom.js";

// What a header can carry.
const NAME = { maxlength: 64, pattern: "[ -~]*", spellcheck: "false", value: "" };
const NAME_HINT = "For the audit, beside everything that you do; ASCII. Empty is “operator”.";

/**
 * Find out whether a token is needed, ask for it if so, and go on with the first overview.
 * @param {(overview: any) => void} go
 */
export async function begin(go) {
  whenRefused(() => {});
  try {
    go(await get("overview"));
  } catch (error) {
    if (error.isOfCredentials) return askForToken(go, credentials.token() ? refusal(error) : "");
    alone(h("p", {}, `${error.message}.`), h("button", { type: "button", on: { click: () => begin(go) } }, "Try again"));
  }
}

/**
 * Ask for the token.
 * @param {(overview: any) => void} go
 * @param {string} [trouble] what was wrong with the last one
 */
function askForToken(go, trouble = "") {
  credentials.forgetToken();
  const said = h("p", { class: "trouble", role: "alert" }, trouble);
  const confirm = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = /** @type {HTMLFormElement} */ (
    h(
      "form",
      { class: "question", on: { submit: signIn } },
      h("h2", {}, "Sign in"),
      input("token", "ADMIN_TOKEN", { type: "password", required: true, autocomplete: "current-password" }, "Kept in this tab until it is closed."),
      input("operator", "Your name (optional)", { ...NAME, autocomplete: "username", value: credentials.operator() }, NAME_HINT),
      said,
      h("div", { class: "buttons" }, confirm),
    )
  );
  async function signIn(event) {
    event.preventDefault();
    const { token, operator } = Object.fromEntries(new FormData(form));
    confirm.setAttribute("aria-busy", "true");
    replace(said);
    if (!/^[\x21-\x7e]+$/.test(String(token).trim())) {
      confirm.removeAttribute("aria-busy");
      return replace(said, "That cannot be a token: it has characters that no header carries.");
    }
    credentials.keepToken(String(token).trim());
    credentials.keepOperator(String(operator).trim());
    try {
      const overview = await get("overview");
      byId("sign-in").hidden = true;
      go(overview);
    } catch (error) {
      credentials.forgetToken();
      replace(said, error.isOfCredentials ? refusal(error) : `${error.message}.`);
      form.querySelector("input")?.select();
    } finally {
      confirm.removeAttribute("aria-busy");
    }
  }
  alone(form);
  form.querySelector("input")?.focus();
}

/** The operator's name, and the way out. */
export function account() {
  const signedIn = credentials.token() !== "";
  const { form } = ask({
    title: "Operator",
    says: [signedIn ? "You are signed in with the ADMIN_TOKEN, in this tab." : "This service has no tokens configured: everybody who reaches it may do everything."],
    fields: [input("operator", "Your name", { ...NAME, value: credentials.operator() }, NAME_HINT)],
    verb: "Keep the name",
    run: async ({ operator }) => {
      credentials.keepOperator(operator);
      showOperator();
      return operator ? `You are ${operator} in the audit.` : "You are “operator” in the audit.";
    },
  });
  if (signedIn) {
    form.querySelector(".buttons")?.prepend(h("button", { type: "button", class: "apart", on: { click: signOut } }, "Sign out"));
  }
}

/** Forget the token, and everything that was shown with it. */
export function signOut() {
  credentials.forgetToken();
  location.reload();
}

/** The name on the button. */
export function showOperator() {
  replace(byId("account"), credentials.operator() || "Operator");
}

function alone(...content) {
  const place = byId("sign-in");
  replace(place, ...content);
  place.hidden = false;
}

function refusal(error) {
  return error.status === 403 ? "This token is not an operator’s: it has to be the ADMIN_TOKEN." : "This token is wrong: the service does not know it.";
}
