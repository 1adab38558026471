/**
 * A vector through a linear map, as the product of matrices that it is: x · W = q.
 *
 * W stands over the result and x beside it, so that each number of the result stands under the column of W that makes
 * it, and in the row of x. One column is lit, and multiplied out.
 *
 * @typedef {import("../steps.js").Steps} Steps
 * @typedef {"q" | "k" | "v"} Letter
 */
import { h } from "../../base/dom.js";
import { paint } from "../../base/strip.js";
import { count } from "../../base/words.js";
import { topOf } from "../../picture/signed.js";
import { base, fetched } from "../fetched.js";
import { subscripted } from "../glossary.js";
import { token } from "../lanes.js";
import { largest, written } from "../number.js";
import { num } from "../parts.js";
import { factor, nameOf, number, productsOf } from "../products.js";

const WORDS = { q: "Query", k: "Key", v: "Value" };
const ROLES = { q: "query", k: "key", v: "value" };
/** Products that are written out; the others stand there as their sum. */
const WRITTEN_OUT = 4;

/** What q, k or v is called in this step; null if it is not made in it. @param {Steps} app @param {string} letter */
export function named(app, letter) {
  return app.step.makes.find((name) => name === letter || name.startsWith(`${letter}_`)) ?? null;
}

/** Which of q, k and v are made by one observed map of this step. @param {Steps} app @returns {Letter[]} */
function lettersOf(app) {
  return /** @type {Letter[]} */ (["q", "k", "v"]).filter((letter) => {
    const name = named(app, letter);
    return name && app.meta.opens.includes(name) && app.has(letter === "q" ? "x" : "x_keys");
  });
}

/** The product that makes q, k or v; null where its map was not observed. @param {Steps} app */
export function mapped(app) {
  const letters = lettersOf(app);
  if (!letters.length) return null;
  const letter = letters.find((one) => one === app.matrixOf) ?? letters[0];
  const name = /** @type {string} */ (named(app, letter));
  const row = letter === "q" ? null : app.key;
  const input = app.vector(letter === "q" ? "x" : "x_keys", row);
  const result = app.vector(name, row);
  /** @type {import("../packs").MatricesPack | null} */
  const pack = fetched(app, `${base(app)}/matrix/qkv/${letter}`);
  const map = pack?.meta.matrices[1];
  if (!input || !result || (map && (map.shape[0] !== input.length || map.shape[1] !== result.length))) return null;
  const lit = Math.min(app.lit ?? largest(result, 1)[0], result.length - 1);
  const of = { name, at: row === null ? [lit] : [row, lit] };
  const sizes = { n: input.length, d: result.length };
  const block = (/** @type {Parameters<typeof painted>[2]} */ what) => painted(app, sizes.d, what);
  return h(
    "section",
    { class: "sl-mapped", "aria-label": `${WORDS[letter]} as a product of matrices`, "data-role": ROLES[letter] },
    h("div", { class: "sl-head-row" }, equation(app, letter, sizes), choice(app, letters, letter)),
    h(
      "div",
      { class: "sl-falk" },
      h("div", { class: "sl-falk-says" }, ...says(app, letter, lit, sizes.d)),
      h(
        "figure",
        { class: "sl-falk-map" },
        h("figcaption", null, h("b", null, ...subscripted(`W_${letter.toUpperCase()}`)), ` ${size(sizes.n, sizes.d)}`),
        block({
          values: map ? pack.arrays.m1.data : new Float32Array(0),
          shape: map ? pack.arrays.m1.shape : [0, 0],
          top: map?.top ?? 0,
          label: `W_${letter.toUpperCase()}, ${count(sizes.n)} rows by ${count(sizes.d)} columns`,
          kind: "map",
          lit,
        }),
      ),
      h(
        "figure",
        { class: "sl-falk-input" },
        block({
          values: input,
          shape: [1, sizes.n],
          top: topOf(input),
          label: `x of ${letter === "q" ? app.queryToken : app.keys[app.key].t}, ${count(sizes.n)} numbers`,
          kind: "input",
          lit: null,
        }),
        h(
          "figcaption",
          null,
          h("b", null, "x"),
          ` ${size(1, sizes.n)} of `,
          token(app, letter === "q" ? "query" : "key"),
        ),
      ),
      h(
        "figure",
        { class: "sl-falk-result" },
        block({
          values: result,
          shape: [1, sizes.d],
          top: topOf(result),
          label: `${letter}, ${count(sizes.d)} numbers`,
          kind: "result",
          lit,
        }),
        h("figcaption", null, h("b", { "data-role": ROLES[letter] }, letter), ` ${size(1, sizes.d)}`),
      ),
    ),
    multipliedOut(app, of),
    map && !map.exact
      ? h("p", { class: "sl-second" }, "The picture of W shows blocks of rows, each by its value of largest magnitude.")
      : null,
  );
}

/** @param {number} rows @param {number} columns */
function size(rows, columns) {
  return `${count(rows)} × ${count(columns)}`;
}

/**
 * "x (1 × 384) · W_Q (384 × 32) + b_Q (1 × 32) = q (1 × 32)"
 * @param {Steps} app @param {Letter} letter @param {{n: number, d: number}} sizes
 */
function equation(app, letter, { n, d }) {
  const W = letter.toUpperCase();
  const plus = app.step.formula.some((line) => line.includes(`b_${W}`));
  const sized = (/** @type {string} */ symbol, /** @type {string} */ of) =>
    h("span", { class: "sl-sized" }, ...app.symbols(symbol), h("small", null, of));
  return h(
    "p",
    { class: "sl-equation sl-sizes", "data-testid": "sl-sizes" },
    sized("x", size(1, n)),
    " · ",
    sized(`W_${W}`, size(n, d)),
    ...(plus ? [" + ", sized(`b_${W}`, size(1, d))] : []),
    " = ",
    sized(letter, size(1, d)),
  );
}

/** Which of the three is shown. @param {Steps} app @param {Letter[]} letters @param {Letter} chosen */
function choice(app, letters, chosen) {
  if (letters.length < 2) return null;
  return h(
    "div",
    { class: "sl-modes", role: "group", "aria-label": "Which map" },
    ...letters.map((letter) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(letter === chosen),
          "data-focus": `map:${letter}`,
          onclick: () => {
            app.matrixOf = letter;
            app.draw();
          },
        },
        WORDS[letter],
      ),
    ),
  );
}

/**
 * What is lit, and how to light another column.
 * @param {Steps} app @param {Letter} letter @param {number} lit @param {number} d
 */
function says(app, letter, lit, d) {
  const by = (/** @type {number} */ step) => (lit + step + d) % d;
  const button = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {number} */ step) =>
    h(
      "button",
      {
        type: "button",
        "aria-label": label,
        title: label,
        "data-focus": `lit:${step}`,
        onclick: () => app.light(by(step)),
      },
      sign,
    );
  return [
    h(
      "p",
      null,
      "The row x times column ",
      h("b", { class: "sl-number", "data-testid": "sl-lit" }, String(lit)),
      ` of W is number ${lit} of ${letter}, right under that column.`,
    ),
    h(
      "p",
      { class: "sl-stepping" },
      button("‹", "the column before", -1),
      button("›", "the next column", 1),
      h("span", null, `column ${lit} of 0 to ${d - 1}`),
    ),
  ];
}

/**
 * One block; a click on a column lights it.
 *
 * @param {Steps} app @param {number} d  columns of the map
 * @param {{values: ArrayLike<number>, shape: number[], top: number, label: string, kind: "map" | "input" | "result",
 *   lit: number | null}} what
 */
function painted(app, d, { values, shape, top, label, kind, lit }) {
  const canvas = h("canvas", { role: "img", "aria-label": label });
  app.paints(() => paint(canvas, values, shape[0], shape[1], app.colours, { top }));
  /** @param {MouseEvent} event */
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const n = shape[1] || 1;
    return Math.min(Math.max(Math.floor(share * n), 0), n - 1);
  };
  if (kind !== "map")
    canvas.onmousemove = (event) =>
      app.tell(`${label}, component ${at(event)}: ${written(values[at(event)], app.digits)}`);
  else canvas.onmousemove = (event) => app.tell(`${label}, column ${at(event)}`);
  canvas.onmouseleave = () => app.tell("");
  if (kind !== "input") canvas.onclick = (event) => app.light(at(event));
  return h(
    "div",
    { class: "sl-block", "data-kind": kind },
    canvas,
    lit === null ? null : h("span", { class: "sl-lit", style: `left:${(100 * lit) / d}%;width:${100 / d}%` }),
  );
}

/**
 * The lit column multiplied out: its largest products, the others added up, and what comes of it.
 * @param {Steps} app @param {{name: string, at: number[]}} of
 */
function multipliedOut(app, of) {
  const { name, at } = of;
  const symbol = subscripted(nameOf(name, at.slice(-1)));
  const pack = productsOf(app, name, at);
  if (!pack) return h("p", { class: "sl-second sl-out" }, ...symbol, " = …");
  const {
    meta,
    arrays: { left, right, products, order, rest },
  } = pack;
  const few = Array.from(order.data.subarray(0, WRITTEN_OUT)).sort((a, b) => a - b);
  const others = order.data.length - few.length;
  const line = (/** @type {(Node | string)[]} */ what, /** @type {Node} */ comes, kind = "") =>
    h("tr", { "data-kind": kind || null }, h("th", { scope: "row" }, ...what), h("td", null, comes));
  const weight = meta.right.split(",")[0];
  const rows = few.map((i) =>
    line(
      [
        h("span", { class: "sl-second" }, ...subscripted(`x_${i}`), " · ", ...subscripted(`${weight},${i}`)),
        factor(app, of, "left", i, left.data[i]),
        " × ",
        factor(app, of, "right", i, right.data[i]),
        " =",
      ],
      number(app, products.data[i], { "data-product": "products", "data-i": i }),
    ),
  );
  const open = h(
    "button",
    { type: "button", class: "sl-plain", "data-focus": "products", onclick: () => app.open(name, at) },
    `show all ${count(order.data.length)} products`,
  );
  return h(
    "div",
    { class: "sl-out", "data-testid": "sl-out" },
    h(
      "table",
      null,
      h("caption", { class: "sl-quiet" }, "The lit column, multiplied out"),
      h(
        "tbody",
        null,
        ...rows,
        others > 0
          ? line(
              [`the other ${count(others)} products, added up`],
              number(app, rest.data[few.length], { "data-product": "rest", "data-i": few.length }),
            )
          : null,
        meta.bias === null
          ? null
          : line(
              ["plus the bias ", ...subscripted(`${weight.replace("W", "b")},${at[at.length - 1]}`)],
              number(app, meta.bias, { "data-product": "bias" }),
            ),
        meta.factor === 1 ? null : line(["all of it times"], number(app, meta.factor, { "data-product": "factor" })),
        line([h("b", null, ...symbol), " ="], num(app, name, at), "sum"),
      ),
    ),
    h("p", null, open),
  );
}
