/** The text of Server-Sent Events, taken apart as it arrives in pieces. */

/**
 * @typedef {{type: string, data: string, id: string}} ServerEvent `id` is the last one that was seen
 */

/**
 * A function to call with each piece of the stream.
 * @param {(event: ServerEvent) => void} onEvent
 * @returns {(piece: string) => void}
 */
export function parser(onEvent) {
  let rest = "";
  let id = "";
  let type = "";
  /** @type {string[]} */
  let data = [];

  function line(text) {
    if (text === "") {
      // An id without data is no event, but it is where the stream goes on.
      if (data.length > 0 || id) onEvent({ type: data.length > 0 ? type || "message" : "", data: data.join("\n"), id });
      type = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (name === "event") type = value;
    else if (name === "data") data.push(value);
    else if (name === "id" && !value.includes("\0")) id = value;
  }

  return (piece) => {
    rest += piece;
    // A carriage return at the end may be half of a line's end.
    const whole = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
    const lines = whole.split(/\r\n|\n|\r/);
    rest = lines.pop() + rest.slice(whole.length);
    lines.forEach(line);
  };
}
