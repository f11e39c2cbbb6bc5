/** A part of the page that reads its own data again and again, and says so when it cannot. */

import { atMostEvery, every } from "./clock.js";
import { byId, h, replace } from "./dom.js";

const TOUCH_SECONDS = 5;

/**
 * Keep a panel up to date.
 * @template T
 * @param {string} id of its section
 * @param {number} seconds from one reading to the next; none while the tab is hidden
 * @param {() => Promise<T>} load
 * @param {(body: HTMLElement, data: T) => void} show
 * @returns {{refresh: () => void, touch: () => void}} `refresh` at once; `touch` soon, not too often
 */
export function panel(id, seconds, load, show) {
  const section = byId(id);
  const body = section.querySelector(".panel-body");
  const trouble = h("p", { class: "trouble", hidden: true });
  section.append(trouble);
  let newest = 0;

  async function refresh() {
    const mine = ++newest;
    section.setAttribute("aria-busy", "true");
    try {
      const data = await load();
      if (mine !== newest) return; // overtaken
      show(body, data);
      trouble.hidden = true;
    } catch (error) {
      if (mine !== newest) return;
      replace(trouble, `Could not be read: ${error.message}.`);
      trouble.hidden = false;
    } finally {
      if (mine === newest) section.removeAttribute("aria-busy");
    }
  }

  every(seconds, refresh);
  return { refresh, touch: atMostEvery(Math.min(seconds, TOUCH_SECONDS), refresh) };
}

/**
 * What a panel shows when there is nothing.
 * @param {string} text
 */
export function nothing(text) {
  return h("p", { class: "nothing" }, text);
}
