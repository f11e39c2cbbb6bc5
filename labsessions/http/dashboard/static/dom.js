/** Elements are made here and nowhere else: what comes from outside becomes text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element.
 * @param {string} name
 * @param {Record<string, unknown>} [attributes] null and false are left out, true is an empty one; `on` has listeners
 * @param {...(Node | string | number | null | undefined | false)} children strings become text
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

/**
 * An SVG element; otherwise as `h`.
 * @param {string} name
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

/**
 * The element with this id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Show these children instead of those that are there; unchanged text is left alone, so that nothing is read out twice.
 * @param {Element} element
 * @param {...(Node | string | number | null | undefined | false)} children
 */
export function replace(element, ...children) {
  const given = children.filter(isThere);
  if (given.length === 1 && typeof given[0] === "string") {
    if (element.childElementCount > 0 || element.textContent !== given[0]) element.textContent = given[0];
    return;
  }
  element.replaceChildren(...given.map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * Set the text, if it is another one.
 * @param {Node} node
 * @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (isThere(value)) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.filter(isThere).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

function isThere(value) {
  return value !== null && value !== undefined && value !== false;
}
