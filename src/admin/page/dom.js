// Small helpers for making and changing elements. Text goes in as text, never as markup: names and
// reasons are strangers' words.

export const by = id => document.getElementById(id);

/** An element with attributes, properties that begin with `on`, and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

/** Changes a text only if it is another one: a selection survives, and nothing is laid out. */
export function put(element, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
  return element;
}

/** A number of the frame with the path of where it stands there. */
export const field = (path, text, kind = "") =>
  make("span", { "data-field": path, class: kind || null }, text);

/** A term and what it is, for a list of such. */
export const fact = (term, ...told) =>
  make("div", { class: "fact" }, make("dt", {}, term), make("dd", {}, ...told));

export function table(heads, rows, attributes = {}) {
  const head = make("tr", {}, ...heads.map(([text, kind]) =>
    make("th", { scope: "col", class: kind ?? null }, text)));
  return make("div", { class: "wide", tabindex: "0", role: "group", ...attributes },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}

export const row = (cells, attributes = {}) =>
  make("tr", attributes, ...cells.map(cell =>
    cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell)));

export const number = (...children) => make("td", { class: "number" }, ...children);

/** A sign that says the same as a colour. */
export const sign = (glyph, kind) => make("span", { class: "sign " + kind, "aria-hidden": "true" },
  glyph);
