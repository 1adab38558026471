/**
 * The pieces that every step is drawn with: numbers, strips, bars, vectors, and the table with a row for every key.
 *
 * @typedef {import("./steps.js").Steps} Steps
 * @typedef {object} Column  of a table with a row for every key
 * @property {string} head
 * @property {(key: number) => Node | string | null} cell
 * @property {boolean} [wide]   takes the room that is left
 * @property {boolean} [roomy]  only where there is room
 */
import { h } from "../base/dom.js";
import { largest, written } from "./number.js";
import { topOf } from "../picture/signed.js";
import { paint } from "../base/strip.js";
import { count } from "../base/words.js";

/** Components of a vector that are shown first, in numbers. */
const FIRST = 12;

/**
 * One number of a tensor. It goes to the step that made it, or opens into its products where it was made.
 *
 * @param {Steps} app @param {string} name @param {number[]} [at]
 */
export function num(app, name, at = []) {
  const value = app.value(name, at);
  if (value === null) return h("span", { class: "sl-num" }, "…");
  const maker = app.meta.made_by[name];
  const here = maker === app.step.name;
  const opens = here && app.meta.opens.includes(name);
  const attributes = { class: "sl-num", "data-tensor": name, "data-at": at.join(","), ...roleOf(name) };
  const text = written(value, app.digits);
  if (here && !opens) return h("span", attributes, text);
  const label = opens ? `${text}, show the products that make it` : `${text}, made in the step ${app.titleOf(maker)}`;
  return h(
    "button",
    {
      ...attributes,
      type: "button",
      "aria-label": label,
      "data-opens": opens,
      "data-focus": `num:${name}:${at.join(",")}`,
      title: opens ? "show the products that make this number" : `made in: ${app.titleOf(maker)}`,
      onclick: () => (opens ? app.open(name, at) : app.goTo(maker)),
    },
    text,
  );
}

/** Query, key, value and output have one colour each. @param {string} name */
export function roleOf(name) {
  if (/^q(_|$)/.test(name)) return { "data-role": "query" };
  if (/^k(_|$)/.test(name)) return { "data-role": "key" };
  if (/^(v(_|$)|weighted_values|contribution)/.test(name)) return { "data-role": "value" };
  if (/^(output|joined|head_|written|added)/.test(name)) return { "data-role": "output" };
  return {};
}

/**
 * A vector as a strip of coloured cells. Hover says the component; a click opens it, where it can be opened.
 *
 * @param {Steps} app @param {string} name @param {number | null} row  of a tensor with a row for every key
 * @param {{top?: number, label: string}} look
 */
export function strip(app, name, row, { top, label }) {
  const values = app.vector(name, row);
  if (!values) return h("span", { class: "sl-strip sl-waiting" }, "…");
  const canvas = h("canvas", {
    class: "sl-strip",
    role: "img",
    "aria-label": label,
    ...roleOf(name),
    "data-strip": name,
    "data-row": row ?? "",
  });
  const most = top ?? topOf(values);
  app.paints(() => paint(canvas, values, 1, values.length, app.colours, { top: most }));
  /** @param {MouseEvent} event */
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return Math.min(
      Math.max(Math.floor(((event.clientX - box.left) / box.width) * values.length), 0),
      values.length - 1,
    );
  };
  canvas.onmousemove = (event) =>
    app.tell(`${label}, component ${at(event)}: ${written(values[at(event)], app.digits)}`);
  canvas.onmouseleave = () => app.tell("");
  const opens = app.meta.made_by[name] === app.step.name && app.meta.opens.includes(name);
  if (opens) {
    canvas.dataset.opens = "true";
    canvas.onclick = (event) => app.open(name, row === null ? [at(event)] : [row, at(event)]);
  }
  return canvas;
}

/**
 * A bar from 0: to the right for positive numbers, to the left for negative ones if there are any.
 *
 * @param {number} value @param {number} top  magnitude of a full bar
 * @param {{signed?: boolean, role?: string}} [look]
 */
export function bar(value, top, { signed = false, role = "" } = {}) {
  const share = top > 0 && Math.abs(value) < Infinity ? Math.min(Math.abs(value) / top, 1) : 0;
  const width = `${(signed ? 50 : 100) * share}%`;
  const side = signed ? (value < 0 ? `right:50%;width:${width}` : `left:50%;width:${width}`) : `left:0;width:${width}`;
  return h(
    "span",
    { class: "sl-lane2", "data-signed": signed, "aria-hidden": "true" },
    h("span", { class: "sl-fill", "data-role": role || null, style: side }),
  );
}

/**
 * A vector in numbers: the largest components first shown, all on demand.
 *
 * @param {Steps} app @param {string} title @param {string} name @param {number | null} row
 */
export function vector(app, title, name, row) {
  const values = app.vector(name, row);
  if (!values) return h("section", { class: "sl-vector" }, h("h3", null, title), h("p", null, "…"));
  const all = app.unfolded.has(`${name}:${row}`);
  const shown = all ? largest(values, values.length) : largest(values, FIRST);
  const items = shown.map((c) =>
    h("li", null, h("span", { class: "sl-index" }, String(c)), num(app, name, row === null ? [c] : [row, c])),
  );
  return h(
    "section",
    { class: "sl-vector", ...roleOf(name) },
    h("h3", null, title),
    strip(app, name, row, { label: title }),
    h("ol", { class: "sl-nums" }, ...items),
    shown.length < values.length || all ? unfold(app, `${name}:${row}`, all, values.length, shown.length) : null,
  );
}

/** @param {Steps} app @param {string} id @param {boolean} all @param {number} n @param {number} shown */
function unfold(app, id, all, n, shown) {
  const toggle = () => {
    if (all) app.unfolded.delete(id);
    else app.unfolded.add(id);
    app.draw();
  };
  if (all && n <= FIRST) return null;
  return h(
    "p",
    { class: "sl-second" },
    all ? `all ${count(n)} shown ` : `${shown} of ${count(n)} components, the largest `,
    h(
      "button",
      { type: "button", class: "sl-plain", "data-focus": `unfold:${id}`, onclick: toggle },
      all ? "show the largest only" : `show all ${count(n)}`,
    ),
  );
}

/**
 * A row for every key shown, with columns that each step chooses.
 *
 * @param {Steps} app
 * @param {string} caption
 * @param {Column[]} columns
 * @param {(Node | null)[]} [foot]  rows under the keys
 * @param {(Node | null)[]} [lead]  rows over the keys
 */
export function keyTable(app, caption, columns, foot = [], lead = []) {
  const { keys, meta } = app;
  const rows = app
    .shownKeys()
    .map((key) =>
      h(
        "tr",
        { "data-chosen": key === app.key, "data-masked": app.masked(key) },
        h("th", { scope: "row" }, keyButton(app, key)),
        ...columns.map((column) => h("td", { class: classOf(column) }, column.cell(key))),
      ),
    );
  const table = h(
    "table",
    { class: `sl-keys${columns.some(({ wide }) => wide) ? "" : " sl-tight"}` },
    h("caption", { class: "sl-quiet" }, caption),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col" }, meta.same_tokens ? "key token" : "key token (encoder)"),
        ...columns.map((column) => h("th", { scope: "col", class: classOf(column) }, ...app.symbols(column.head))),
      ),
      ...lead,
    ),
    h("tbody", null, ...rows),
    foot.length ? h("tfoot", null, ...foot) : null,
  );
  const hidden = keys.length - app.shownKeys().length;
  return h(
    "div",
    { class: "sl-scroll", tabindex: "0", role: "region", "aria-label": caption },
    table,
    hidden || app.allKeys ? restLine(app) : null,
  );
}

/** @param {Column} column */
function classOf({ wide, roomy }) {
  return `${wide ? "sl-wide" : "sl-narrow"}${roomy ? " sl-roomy" : ""}`;
}

/** A row under the keys. @param {string} name @param {(Node | string | null)[]} cells */
export function footRow(name, ...cells) {
  return h("tr", null, h("th", { scope: "row" }, name), ...cells.map((cell) => h("td", null, cell)));
}

/** @param {Steps} app @param {number} key */
function keyButton(app, key) {
  return h(
    "button",
    {
      type: "button",
      class: "sl-keyname",
      "aria-pressed": String(key === app.key),
      "data-focus": `key:${key}`,
      title: `key ${key}: follow this key`,
      onclick: () => app.choose({ key }),
    },
    h("span", { class: "sl-index" }, String(key)),
    h("bdi", null, app.keys[key].t),
  );
}

/** What is not shown, and how much weight it holds. @param {Steps} app */
function restLine(app) {
  const n = app.keys.length;
  const toggle = () => app.setAllKeys(!app.allKeys);
  const button = h(
    "button",
    { type: "button", class: "sl-plain", "data-focus": "all-keys", onclick: toggle },
    app.allKeys ? "show the largest weights only" : `show all ${count(n)}`,
  );
  if (app.allKeys) return h("p", { class: "sl-second" }, `all ${count(n)} keys shown `, button);
  return h(
    "p",
    { class: "sl-second" },
    `The ${app.mostKeys} keys with the largest weights are shown; all others of ${count(n)} together hold `,
    num(app, "rest", [app.mostKeys]),
    " of the weight. ",
    button,
  );
}

/**
 * Which key is followed, and the others to choose from.
 * @param {import("./steps.js").Steps} app
 * @param {{numbered?: boolean}} [how]
 */
export function keyChooser(app, { numbered = false } = {}) {
  return h(
    "p",
    { class: "sl-choose" },
    "Key followed: ",
    ...app.shownKeys().map((j) =>
      h(
        "button",
        {
          type: "button",
          class: "sl-keyname",
          "aria-pressed": String(j === app.key),
          "data-focus": `key:${j}`,
          onclick: () => app.choose({ key: j }),
        },
        ...(numbered ? [h("span", { class: "sl-index" }, String(j))] : []),
        h("bdi", null, app.keys[j].t),
      ),
    ),
  );
}
