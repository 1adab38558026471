/**
 * The story before any score: queries, keys and values, how they are normed and turned, and who shares them.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { lane, legend, token } from "./lanes.js";
import { keyChooser, keyTable, num, strip } from "./parts.js";
import { mapped, named } from "./story/product.js";

/** @param {Steps} app */
export function qkv(app) {
  const shown = app.shownKeys();
  const [q, k, v] = ["q", "k", "v"].map((letter) => named(app, letter));
  const columns = [];
  if (k)
    columns.push({
      head: "k_j",
      wide: true,
      cell: (/** @type {number} */ j) => strip(app, k, j, { top: app.top(k, shown), label: `key ${j}` }),
    });
  if (v)
    columns.push({
      head: "v_j",
      wide: true,
      cell: (/** @type {number} */ j) => strip(app, v, j, { top: app.top(v, shown), label: `value ${j}` }),
    });
  const query = q ? strip(app, q, null, { label: `query of ${app.queryToken}` }) : null;
  const lead = h(
    "tr",
    { class: "sl-lead" },
    h("th", { scope: "row" }, "query of ", token(app, "query")),
    ...columns.map((_, i) => h("td", { class: "sl-wide" }, i ? null : query)),
  );
  return [
    mapped(app),
    columns.length ? h("h3", null, "The same matrices for every token: its key and its value") : null,
    query && !columns.length ? lane("query q", query, "query", token(app, "query")) : null,
    columns.length ? keyTable(app, "Key and value of every token", columns, [], query ? [lead] : []) : null,
    ...apart(app).map(({ title, name, row }) => lane(title, strip(app, name, row, { label: title }))),
    legend(app),
  ];
}

/**
 * What the base layer gives and what its adapter adds, for each map of this step on which one sits.
 *
 * @param {Steps} app @returns {{title: string, name: string, row: number | null}[]}
 */
export function apart(app) {
  return app.step.makes.flatMap((name) => {
    const found = /^(base|adapter)_(.+)$/.exec(name);
    if (!found) return [];
    const of =
      { q: "q", k: `k of key ${app.key}`, v: `v of key ${app.key}`, written: "what is written" }[found[2]] ?? found[2];
    return [
      {
        title: `${of}: ${found[1] === "base" ? "base" : "+ adapter"}`,
        name,
        row: /^[kv]$/.test(found[2]) ? app.key : null,
      },
    ];
  });
}

/**
 * Before and after, for the query and the followed key.
 * @param {Steps} app
 * @returns {{letter: string, before: string, after: string}[]}
 */
export function changes(app) {
  return ["q", "k", "v"].flatMap((letter) => {
    const names = Object.keys(app.step.tensors).filter((name) => name === letter || name.startsWith(`${letter}_`));
    return names.length === 2 ? [{ letter, before: names[0], after: names[1] }] : [];
  });
}

/** @param {Steps} app */
export function changed(app) {
  const lanes = changes(app).flatMap(({ letter, before, after }) => {
    const row = letter === "q" ? null : app.key;
    const role = { q: "query", k: "key", v: "value" }[letter];
    return [
      lane(
        `${letter} before`,
        strip(app, before, row, { label: `${letter} before` }),
        role,
        letter === "q" ? token(app, "query") : token(app, "key"),
      ),
      lane(`${letter} after`, strip(app, after, row, { label: `${letter} after` }), role),
    ];
  });
  return [...lanes, keyChooser(app), legend(app)];
}

const DIALS = 8;

/** @param {Steps} app */
export function rotary(app) {
  const reads = app.arrays.pairs_read;
  const writes = app.arrays.pairs_written;
  const [first] = changes(app)
    .filter(({ letter }) => letter === "q")
    .concat(changes(app));
  if (!first) return changed(app);
  const row = first.letter === "q" ? null : app.key;
  const before = app.vector(first.before, row);
  const after = app.vector(first.after, row);
  if (!before || !after) return changed(app);
  const n = reads.shape[0];
  const chosen = Array.from({ length: Math.min(DIALS, n) }, (_, i) => Math.floor((i * n) / Math.min(DIALS, n)));
  const dials = chosen.map((pair) => {
    const from = [before[reads.data[2 * pair]], before[reads.data[2 * pair + 1]]];
    const to = [after[writes.data[2 * pair]], after[writes.data[2 * pair + 1]]];
    return h(
      "figure",
      { class: "sl-dial" },
      dial(from, to),
      h("figcaption", null, `pair ${pair}`, h("br", null), "θ ", num(app, "angle", [pair])),
    );
  });
  return [
    h("div", { class: "sl-dials", "data-role": { q: "query", k: "key", v: "value" }[first.letter] }, ...dials),
    h(
      "p",
      { class: "sl-second" },
      `Each dial: one pair of components of ${first.letter} before (thin) and after (bold) it was ` +
        `turned${chosen.length < n ? `; ${chosen.length} of ${n} pairs shown` : ""}. θ in radians, between ` +
        "−π and π.",
    ),
    ...changed(app),
  ];
}

const SVG = "http://www.w3.org/2000/svg";

/** Two arrows from the middle, as long as they may be. @param {number[]} from @param {number[]} to */
function dial(from, to) {
  const top = Math.max(...[...from, ...to].map(Math.abs), 1e-12) * 1.45;
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({
    viewBox: "-52 -52 104 104",
    class: "sl-dial-face",
    "aria-hidden": "true",
  }))
    svg.setAttribute(name, value);
  /** @param {string} tag @param {Record<string, string | number>} attributes */
  const add = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    svg.append(element);
  };
  add("circle", { r: 50, class: "sl-dial-ring" });
  for (const [pair, name] of [
    [from, "sl-dial-before"],
    [to, "sl-dial-after"],
  ]) {
    const [a, b] = /** @type {number[]} */ (pair);
    add("line", { x1: 0, y1: 0, x2: (50 * a) / top, y2: (-50 * b) / top, class: /** @type {string} */ (name) });
    add("circle", {
      cx: (50 * a) / top,
      cy: (-50 * b) / top,
      r: name === "sl-dial-after" ? 5 : 3,
      class: `${name} sl-dial-end`,
    });
  }
  return svg;
}

/** @param {Steps} app */
export function shared(app) {
  const { n_heads: nHeads, n_kv_heads: nKv } = app.meta;
  const sharing = new Set(app.arrays.shared_by.data);
  const own = app.arrays.kv_head.data[0];
  const heads = Array.from({ length: nHeads }, (_, i) =>
    h(
      "span",
      { class: "sl-box", "data-role": "query", "data-on": sharing.has(i), "data-here": i === app.meta.head },
      String(i),
    ),
  );
  const kvs = Array.from({ length: nKv }, (_, i) =>
    h("span", { class: "sl-box", "data-role": "key", "data-on": i === own, "data-here": i === own }, String(i)),
  );
  return [
    lane("query heads", h("span", { class: "sl-boxes" }, ...heads)),
    lane("key/value heads", h("span", { class: "sl-boxes" }, ...kvs)),
  ];
}
