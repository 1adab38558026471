/**
 * What opens on demand: the products behind one number.
 *
 * @typedef {import("./steps.js").Steps} Steps
 * @typedef {NonNullable<Steps["opened"]>} Opened
 * @typedef {import("./packs").ProductsPack} ProductsPack
 */
import { h } from "../base/dom.js";
import { base, fetched } from "./fetched.js";
import { bar, num, roleOf } from "./parts.js";
import { written } from "./number.js";
import { topOf } from "../picture/signed.js";
import { subscripted } from "./glossary.js";
import { count } from "../base/words.js";

const MORE = 26;
/** How formulas write a tensor. @type {Record<string, string>} */
const LETTERS = { scores: "s", output: "o", written: "w", head_write: "w" };

/**
 * The products of a number of this step, if they are here.
 * @param {Steps} app
 * @param {string} name
 * @param {number[]} at
 * @returns {ProductsPack | null}
 */
export function productsOf(app, name, at) {
  const [row, component] = name === "scores" ? [at[0], 0] : at.length === 2 ? at : [0, at[0]];
  return fetched(app, `${base(app)}/products/${name}/${row}/${component}`);
}

/** @param {string} name @param {number[]} at */
export function nameOf(name, at) {
  const letter = LETTERS[name] ?? name.replace("_projected", "");
  return at.length ? `${letter}_${at.join(",")}` : letter;
}

/** One number taken apart. @param {Steps} app */
export function productsPanel(app) {
  const { name, at, shown } = /** @type {Opened} */ (app.opened);
  const pack = productsOf(app, name, at);
  const close = h(
    "button",
    { type: "button", class: "sl-plain", "data-focus": "close", onclick: () => app.open(name, at) },
    "close",
  );
  const title = h(
    "h3",
    null,
    ...subscripted(nameOf(name, at)),
    " = ",
    number(app, app.value(name, at) ?? NaN),
    ", taken apart",
  );
  if (!pack)
    return h("section", { class: "sl-opened", "aria-label": "Products" }, title, h("p", { class: "sl-second" }, "…"));
  return h(
    "section",
    {
      class: "sl-opened",
      "aria-label": "Products",
      "data-testid": "sl-products",
      "data-whole": true,
      ...roleOf(name),
    },
    h("div", { class: "sl-head-row" }, title, close),
    productTable(app, pack),
    restOf(app, pack, shown),
    h("p", { class: "sl-more" }, ...moreButtons(app, pack.arrays.products.data.length)),
    totalOf(app, pack.meta, pack.arrays.rest.data[0]),
  );
}

/** The largest products, a row each. @param {Steps} app @param {ProductsPack} pack */
function productTable(app, { meta, arrays: { left, right, products, order } }) {
  const of = /** @type {Opened} */ (app.opened);
  const { shown } = of;
  const top = topOf(products.data);
  const rows = Array.from(order.data.subarray(0, shown), (i) =>
    h(
      "tr",
      null,
      h("th", { scope: "row", class: "sl-index" }, meta.over === "key" ? `${i} ${app.keys[i]?.t ?? ""}` : String(i)),
      h("td", null, factor(app, of, "left", i, left.data[i])),
      h("td", { class: "sl-sign" }, "×"),
      h("td", null, factor(app, of, "right", i, right.data[i])),
      h("td", { class: "sl-sign" }, "="),
      h("td", null, number(app, products.data[i], { "data-product": "products", "data-i": i })),
      h("td", { class: "sl-wide" }, bar(products.data[i], top, { signed: true })),
    ),
  );
  return h(
    "table",
    { class: "sl-products" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col" }, meta.over),
        h("th", { scope: "col" }, ...subscripted(meta.left)),
        h("td"),
        h("th", { scope: "col" }, ...subscripted(meta.right)),
        h("td"),
        h("th", { scope: "col" }, "product"),
        h("td", { class: "sl-wide" }),
      ),
    ),
    h("tbody", null, ...rows),
  );
}

/**
 * How many products are shown, and what the others come to.
 * @param {Steps} app
 * @param {ProductsPack} pack
 * @param {number} shown
 */
function restOf(app, { arrays: { products, rest } }, shown) {
  const n = products.data.length;
  if (n <= shown) return h("p", null, `All ${count(n)} products shown, largest first.`);
  return h(
    "p",
    null,
    `${count(shown)} of ${count(n)} products shown, largest first; the rest sums to `,
    number(app, rest.data[shown], { "data-product": "rest", "data-i": shown }),
    ".",
  );
}

/** @param {Steps} app @param {number} n  products */
function moreButtons(app, n) {
  const opened = /** @type {Opened} */ (app.opened);
  const { shown } = opened;
  const more = (/** @type {number} */ to) => () => {
    app.opened = { ...opened, shown: to };
    app.draw();
  };
  if (shown >= n) return [];
  return [
    shown + MORE < n
      ? h("button", { type: "button", "data-focus": "more", onclick: more(shown + MORE) }, `${MORE} more`)
      : null,
    h("button", { type: "button", "data-focus": "all", onclick: more(n) }, `all ${count(n)}`),
  ];
}

/**
 * From the sum of the products to the number.
 * @param {Steps} app
 * @param {ProductsPack["meta"]} meta
 * @param {number} sum
 */
function totalOf(app, { bias, factor: times, total }, sum) {
  const plain = bias === null && times === 1;
  return h(
    "p",
    { class: "sl-total" },
    plain ? "sum of the products " : "sum ",
    number(app, sum, { "data-product": "rest", "data-i": 0 }),
    ...(bias === null ? [] : [" + bias ", number(app, bias, { "data-product": "bias" })]),
    ...(times === 1 ? [] : [" × ", number(app, times, { "data-product": "factor" })]),
    plain ? ", in the trace " : " = ",
    number(app, total, { "data-product": "total" }),
  );
}

/**
 * One factor of a product. Where it is a number of an earlier step, it goes there.
 *
 * @param {Steps} app @param {{name: string, at: number[]}} of  the number that the product is a part of
 * @param {"left" | "right"} side @param {number} i @param {number} value
 */
export function factor(app, { name, at }, side, i, value) {
  const [from, place] = factorOf(side, name, at, i);
  const known = from && app.has(from) && app.value(from, place) === value;
  const element = known ? num(app, from, place) : number(app, value);
  element.dataset.product = side;
  element.dataset.i = String(i);
  return element;
}

/**
 * Which tensor of the ledger a factor is.
 * @param {string} side
 * @param {string} name
 * @param {number[]} at
 * @param {number} i
 * @returns {[string, number[]]}
 */
function factorOf(side, name, at, i) {
  if (name === "scores") return side === "left" ? ["q", [i]] : ["k", [at[0], i]];
  if (name === "output") return side === "left" ? ["weights", [i]] : ["v", [i, at[0]]];
  if (side === "right") return ["", []];
  if (name === "written") return ["joined", [i]];
  if (name === "head_write") return ["output", [i]];
  return at.length === 2 ? ["x_keys", [at[0], i]] : ["x", [i]];
}

/**
 * A number of a pack of products, which is no tensor of the ledger.
 * @param {Steps} app @param {number | null} value @param {import("../base/dom.js").Attributes} [attributes]
 */
export function number(app, value, attributes = {}) {
  return h("span", { class: "sl-num", ...attributes }, written(value, app.digits));
}
