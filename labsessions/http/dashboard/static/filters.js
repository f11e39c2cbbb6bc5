/** The form above the table, and the address that it mirrors. */

import { filter, setFilter } from "./address.js";
import { byId, h } from "./dom.js";

const TYPING_MS = 350;

const STATUSES = [
  ["", "any status"],
  ["active", "active"],
  ["cleaning", "cleaning"],
  ["stuck", "stuck"],
];
// Of the API these are two filters, which exclude each other.
const OVERDUE = "overdue";
const ENDS = [
  ["", "any time"],
  [OVERDUE, "overdue"],
  ["5", "within 5 min"],
  ["15", "within 15 min"],
  ["60", "within an hour"],
  ["240", "within 4 hours"],
];
const ORDERS = [
  ["", "by deadline"],
  ["user_id", "by user"],
];

/**
 * Make the form.
 * @param {() => void} onChange the address has another filter now
 * @returns {{show: () => void}} `show`: set the form by the address
 */
export function makeFilters(onChange) {
  const form = byId("filters");
  form.append(
    field("User, id or VM", h("input", { type: "search", name: "q", placeholder: "begins with…", autocomplete: "off", spellcheck: "false" }), "wide"),
    field("Status", select("status", STATUSES)),
    field("Ends", select("ends", ENDS)),
    field("Lab", h("input", { type: "search", name: "lab_id", autocomplete: "off", spellcheck: "false" })),
    field("Group", h("input", { type: "search", name: "group_id", autocomplete: "off", spellcheck: "false" })),
    field("Last error has", h("input", { type: "search", name: "error", autocomplete: "off", spellcheck: "false" })),
    field("Order", select("order", ORDERS)),
    h("button", { type: "reset", class: "bare" }, "Clear"),
  );
  let timer = 0;
  const changed = () => {
    clearTimeout(timer);
    setFilter(given(form));
    onChange();
  };
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(changed, event.target.type === "search" ? TYPING_MS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    changed();
  });
  form.addEventListener("reset", () => setTimeout(changed)); // after the fields have been cleared
  const show = () => {
    const wanted = filter();
    const ends = wanted.overdue ? OVERDUE : wanted.ending_within;
    for (const input of form.elements) {
      if (input.name) setValue(input, (input.name === "ends" ? ends : wanted[input.name]) ?? "");
    }
  };
  show();
  return { show };
}

/** What the form says, by the names of the API. */
function given(form) {
  const { ends, ...others } = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
  return { ...others, ...(ends === OVERDUE ? { overdue: "true" } : { ending_within: ends }) };
}

function setValue(input, value) {
  if (input instanceof HTMLSelectElement && ![...input.options].some((option) => option.value === value)) {
    input.append(h("option", { value }, value)); // of an address that somebody wrote by hand
  }
  input.value = value;
}

function field(name, input, kind = "") {
  return h("label", { class: kind || null }, h("span", {}, name), input);
}

function select(name, options) {
  return h("select", { name }, ...options.map(([value, text]) => h("option", { value }, text)));
}
