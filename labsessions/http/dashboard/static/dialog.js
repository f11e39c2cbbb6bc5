/** Dialogs that ask before anything is done. The browser's own modal dialog keeps the focus inside and heeds Esc. */

import { h, replace } from "./dom.js";
import { announce } from "./status.js";

let number = 0;

/**
 * @typedef {Object} Question
 * @property {string} title
 * @property {(string | Node)[]} says what will be done to whom, a paragraph each
 * @property {HTMLElement[]} [fields] of the form
 * @property {string} verb on the button that does it
 * @property {boolean} [danger] whether it cannot be undone
 * @property {(values: Record<string, string>) => Promise<string>} run does it; what has been done, in a sentence
 * @property {() => void} [done] called afterwards
 */

/**
 * Ask, and do it when it is confirmed. A failure is shown in the dialog, which stays.
 * @param {Question} question
 * @returns {{setVerb: (text: string, ready: boolean) => void, form: HTMLFormElement}}
 */
export function ask(question) {
  const id = `dialog-${++number}`;
  const trouble = h("p", { class: "trouble", role: "alert" });
  const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
  const confirm = /** @type {HTMLButtonElement} */ (
    h("button", { type: "submit", class: question.danger ? "danger" : "primary" }, question.verb)
  );
  const form = /** @type {HTMLFormElement} */ (
    h(
      "form",
      { class: "question" },
      h("h2", { id: `${id}-title` }, question.title),
      h("div", { id: `${id}-says`, class: "says" }, ...question.says.map((text) => (text instanceof Node ? text : h("p", {}, text)))),
      ...(question.fields ?? []),
      trouble,
      h("div", { class: "buttons" }, cancel, confirm),
      h("div", { class: "status", role: "status", "aria-live": "polite" }),
    )
  );
  const dialog = /** @type {HTMLDialogElement} */ (
    h("dialog", { class: "ask", "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-says` }, form)
  );
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy || confirm.disabled) return;
    busy = true;
    confirm.setAttribute("aria-busy", "true");
    replace(trouble);
    try {
      const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
      const result = await question.run(values);
      dialog.close();
      announce(result);
      question.done?.();
    } catch (error) {
      replace(trouble, `Not done: ${error.message}.`);
    } finally {
      busy = false;
      confirm.removeAttribute("aria-busy");
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return {
    form,
    setVerb: (text, ready) => {
      replace(confirm, text);
      confirm.disabled = !ready;
    },
  };
}

/**
 * A field with its name above it.
 * @param {string} name
 * @param {string} label
 * @param {Record<string, unknown>} [attributes] of the input
 * @param {string} [hint]
 */
export function input(name, label, attributes = {}, hint = "") {
  const id = `field-${++number}`;
  const described = hint ? { "aria-describedby": `${id}-hint` } : {};
  const element = h("input", { id, name, autocomplete: "off", ...attributes, ...described });
  return h("div", { class: "field" }, h("label", { for: id }, label), element, hint && h("small", { id: `${id}-hint` }, hint));
}

/**
 * A choice of one, as a list to open.
 * @param {string} name
 * @param {string} label
 * @param {[string, string][]} options value and text
 */
export function choice(name, label, options) {
  const id = `field-${++number}`;
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    h("select", { id, name }, ...options.map(([value, text]) => h("option", { value }, text))),
  );
}

/**
 * Something that must be acknowledged.
 * @param {string} text
 */
export function acknowledgement(text) {
  return h("label", { class: "check" }, h("input", { type: "checkbox", required: true }), ` ${text}`);
}
