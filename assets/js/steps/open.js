/**
 * What opens on demand: the products behind one number, and the step for all tokens at once.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { bar, num, roleOf } from "./parts.js";
import { written } from "./number.js";
import { topOf } from "../picture/signed.js";
import { paint } from "../base/strip.js";
import { subscripted } from "./glossary.js";
import { count } from "../base/words.js";

const MORE = 26;
/** How formulas write a tensor. @type {Record<string, string>} */
const LETTERS = { scores: "s", output: "o", written: "w", head_write: "w" };

/** @param {Steps} app */
function base(app) {
  const { layer, head, query } = app.meta;
  return `ledger/${layer}/${head}/${query}`;
}

/**
 * A pack that is here, or null while it is fetched (the view is then drawn again).
 *
 * @template {object} P  the type that the server has for this path
 * @param {Steps} app @param {string} path @returns {P | null}
 */
export function fetched(app, path) {
  const source = /** @type {import("../base/source.js").HttpSource} */ (app.source);
  const kept = source.kept.get(path);
  if (kept) return /** @type {P} */ (kept.pack);
  if (!source.waiting.has(path) && app.failed !== path) {
    source.pack(path).then(
      () => app.drawSoon(),
      (/** @type {Error} */ error) => {
        app.failed = path;
        app.tell(error.message);
      },
    );
  }
  return null;
}

/** The products of a number of this step, if they are here. @param {Steps} app @param {string} name @param {number[]} at @returns {import("./packs").ProductsPack | null} */
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
  const { name, at, shown } = /** @type {NonNullable<typeof app.opened>} */ (app.opened);
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
    number(app, app.value(name, at) ?? NaN, {}),
    ", taken apart",
  );
  if (!pack)
    return h("section", { class: "sl-opened", "aria-label": "Products" }, title, h("p", { class: "sl-second" }, "…"));
  const {
    meta,
    arrays: { left, right, products, order, rest },
  } = pack;
  const n = products.data.length;
  const first = Array.from(order.data.subarray(0, shown));
  const top = topOf(products.data);
  const rows = first.map((i) =>
    h(
      "tr",
      null,
      h("th", { scope: "row", class: "sl-index" }, meta.over === "key" ? `${i} ${app.keys[i]?.t ?? ""}` : String(i)),
      h("td", null, factor(app, "left", name, at, i, left.data[i])),
      h("td", { class: "sl-sign" }, "×"),
      h("td", null, factor(app, "right", name, at, i, right.data[i])),
      h("td", { class: "sl-sign" }, "="),
      h("td", null, number(app, products.data[i], { "data-product": "products", "data-i": i })),
      h("td", { class: "sl-wide" }, bar(products.data[i], top, { signed: true })),
    ),
  );
  const more = (/** @type {number} */ to) => () => {
    app.opened = { name, at, shown: to };
    app.draw();
  };
  const buttons =
    shown < n
      ? [
          shown + MORE < n
            ? h("button", { type: "button", "data-focus": "more", onclick: more(shown + MORE) }, `${MORE} more`)
            : null,
          h("button", { type: "button", "data-focus": "all", onclick: more(n) }, `all ${count(n)}`),
        ]
      : [];
  const sum =
    n > shown
      ? h(
          "p",
          null,
          `${count(shown)} of ${count(n)} products shown, largest first; the rest sums to `,
          number(app, rest.data[shown], { "data-product": "rest", "data-i": shown }),
          ".",
        )
      : h("p", null, `All ${count(n)} products shown, largest first.`);
  const plain = meta.bias === null && meta.factor === 1;
  const total = h(
    "p",
    { class: "sl-total" },
    plain ? "sum of the products " : "sum ",
    number(app, rest.data[0], { "data-product": "rest", "data-i": 0 }),
    ...(meta.bias === null ? [] : [" + bias ", number(app, meta.bias, { "data-product": "bias" })]),
    ...(meta.factor === 1 ? [] : [" × ", number(app, meta.factor, { "data-product": "factor" })]),
    plain ? ", in the trace " : " = ",
    number(app, meta.total, { "data-product": "total" }),
  );
  return h(
    "section",
    { class: "sl-opened", "aria-label": "Products", "data-testid": "sl-products", ...roleOf(name) },
    h("div", { class: "sl-head-row" }, title, close),
    h(
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
    ),
    sum,
    h("p", { class: "sl-more" }, ...buttons),
    total,
  );
}

/**
 * One factor of a product. Where it is a number of an earlier step, it goes there.
 *
 * @param {Steps} app @param {"left" | "right"} side @param {string} name @param {number[]} at  of the number that is taken apart
 * @param {number} i @param {number} value
 */
function factor(app, side, name, at, i, value) {
  const [from, place] = factorOf(side, name, at, i);
  const known = from && app.has(from) && app.value(from, place) === value;
  const element = known ? num(app, from, place) : number(app, value, {});
  element.dataset.product = side;
  element.dataset.i = String(i);
  return element;
}

/** Which tensor of the ledger a factor is. @param {string} side @param {string} name @param {number[]} at @param {number} i @returns {[string, number[]]} */
function factorOf(side, name, at, i) {
  if (name === "scores") return side === "left" ? ["q", [i]] : ["k", [at[0], i]];
  if (name === "output") return side === "left" ? ["weights", [i]] : ["v", [i, at[0]]];
  if (side === "right") return ["", []];
  if (name === "written") return ["joined", [i]];
  if (name === "head_write") return ["output", [i]];
  return at.length === 2 ? ["x_keys", [at[0], i]] : ["x", [i]];
}

/** @param {Steps} app @param {number | null} value @param {import("../base/dom.js").Attributes} attributes */
function number(app, value, attributes) {
  return h("span", { class: "sl-num", ...attributes }, written(value, app.digits));
}

/** Which of q, k and v this step can show for all tokens; none where it has one picture only. @param {Steps} app */
function lettersOf(app) {
  const { name, tensors, makes } = app.step;
  if (name === "x") return ["q", "k"].filter((letter) => app.has(letter === "q" ? "x" : "x_keys"));
  if (name === "qkv")
    return ["q", "k", "v"].filter((letter) =>
      makes.some((made) => made[0] === letter && app.meta.opens.includes(made)),
    );
  if (name !== "norm" && name !== "rotary") return [];
  return ["q", "k", "v"].filter(
    (letter) => Object.keys(tensors).filter((one) => one === letter || one.startsWith(`${letter}_`)).length === 2,
  );
}

/** The step for every token at once: matrices, with the followed query and key marked. @param {Steps} app */
export function matrixPanel(app) {
  const { step, key } = app;
  const letters = lettersOf(app);
  const several = letters.length > 0;
  const which = several ? (letters.includes(app.matrixOf) ? app.matrixOf : letters[0]) : "";
  const path = `${base(app)}/matrix/${step.name}${which ? `/${which}` : ""}`;
  const head = h(
    "div",
    { class: "sl-head-row" },
    h("h3", null, "All tokens at once"),
    letters.length > 1 ? choice(app, letters, which) : null,
  );
  const section = (/** @type {(Node | null)[]} */ ...parts) =>
    h(
      "section",
      { class: "sl-matrices", "aria-label": "All tokens at once", "data-testid": "sl-matrices" },
      head,
      ...parts,
    );
  if (app.failed === path || !app.meta.exact || step.why_not || step.name === "shared")
    return section(h("p", { class: "sl-second" }, "This step has no picture for all tokens."));
  /** @type {import("./packs").MatricesPack | null} */
  const pack = fetched(app, path);
  if (!pack) return section(h("p", { class: "sl-second" }, "…"));
  const pictures = pack.meta.matrices.flatMap((one, i) => {
    const { data, shape } = pack.arrays[`m${i}`];
    const canvas = h("canvas", {
      role: "img",
      "aria-label": `${one.symbol}: ${one.shape[0]} ${one.rows}s by ${one.shape[1]} ${one.columns}s`,
      "data-role": one.role,
    });
    app.paints(() =>
      paint(canvas, data, shape[0], shape[1], app.colours, { top: one.top, weights: one.role === "weights" }),
    );
    const marks = [line("row", one.rows, one.shape[0]), line("column", one.columns, one.shape[1])];
    const wide = Math.min(Math.max(one.shape[1] / Math.max(one.shape[0], one.shape[1]), 0.18), 1);
    const high = Math.min(Math.max(one.shape[0] / Math.max(one.shape[0], one.shape[1]), 0.18), 1);
    const frame = h(
      "div",
      { class: "sl-matrix", "data-role": one.role, style: `--wide:${wide};--high:${high}` },
      canvas,
      ...marks,
    );
    canvas.onclick = (event) => pick(event, canvas, one);
    canvas.onmousemove = (event) => {
      const [row, column] = cell(event, canvas, one.shape);
      const r = Math.floor((row / one.shape[0]) * shape[0]);
      const c = Math.floor((column / one.shape[1]) * shape[1]);
      const value = data[r * shape[1] + c];
      app.tell(
        `${one.symbol}, ${one.rows} ${row}, ${one.columns} ${column}: ${value !== value ? "masked" : written(value, app.digits)}${one.exact ? "" : " (largest of its block)"}`,
      );
    };
    canvas.onmouseleave = () => app.tell("");
    const figure = h(
      "figure",
      null,
      h(
        "figcaption",
        null,
        h("b", { "data-role": one.role }, ...symbolOf(one.symbol)),
        ` ${count(one.shape[0])} × ${count(one.shape[1])}`,
      ),
      frame,
      one.exact ? null : h("p", { class: "sl-second" }, "blocks: the value of largest magnitude"),
    );
    return one.before ? [h("span", { class: "sl-operator", "aria-hidden": "true" }, one.before), figure] : [figure];
  });
  const says = h(
    "p",
    { class: "sl-second" },
    "Attention is computed for all tokens in parallel. Marked: the row of query ",
    h("bdi", { class: "sl-query" }, app.queryToken),
    ` (${app.meta.query}) and the column of key `,
    h("bdi", { class: "sl-key" }, app.keys[key].t),
    ` (${key}). Click to follow others.`,
  );
  return section(h("div", { class: "sl-matrix-row" }, ...pictures), says);

  /** @param {"row" | "column"} side @param {string} what @param {number} n */
  function line(side, what, n) {
    const index = what === "query" ? app.meta.query : what === "key" ? key : null;
    if (index === null) return null;
    const from = (100 * index) / n;
    const size = 100 / n;
    const style = side === "row" ? `top:${from}%;height:max(${size}%,2px)` : `left:${from}%;width:max(${size}%,2px)`;
    return h("span", { class: "sl-marked", "data-side": side, "data-role": what, style });
  }

  /** @param {MouseEvent} event @param {HTMLElement} canvas @param {import("./packs").Picture} one */
  function pick(event, canvas, one) {
    const [row, column] = cell(event, canvas, one.shape);
    /** @type {Record<string, number>} */
    const change = {};
    if (one.rows === "query") change.query = row;
    if (one.rows === "key") change.key = row;
    if (one.columns === "key") change.key = column;
    app.choose(change);
  }
}

/** @param {MouseEvent} event @param {HTMLElement} canvas @param {[number, number]} shape */
function cell(event, canvas, [rows, columns]) {
  const box = canvas.getBoundingClientRect();
  const at = (/** @type {number} */ share, /** @type {number} */ n) =>
    Math.min(Math.max(Math.floor(share * n), 0), n - 1);
  return [at((event.clientY - box.top) / box.height, rows), at((event.clientX - box.left) / box.width, columns)];
}

/** @param {string} symbol */
function symbolOf(symbol) {
  return symbol.endsWith("^T") ? [symbol.slice(0, -2), h("sup", null, "T")] : subscripted(symbol);
}

/** @param {Steps} app @param {string[]} letters @param {string} which */
function choice(app, letters, which) {
  return h(
    "div",
    { class: "sl-modes", role: "group", "aria-label": "Which vectors" },
    ...letters.map((name) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(name === which),
          "data-focus": `which:${name}`,
          onclick: () => {
            app.matrixOf = name;
            app.draw();
          },
        },
        name.toUpperCase(),
      ),
    ),
  );
}
