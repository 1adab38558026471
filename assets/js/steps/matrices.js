/**
 * What opens on demand: the step for all tokens at once.
 *
 * @typedef {import("./steps.js").Steps} Steps
 * @typedef {import("./packs").Picture} Picture
 */
import { h } from "../base/dom.js";
import { paint } from "../base/strip.js";
import { count } from "../base/words.js";
import { base, fetched } from "./fetched.js";
import { subscripted } from "./glossary.js";
import { written } from "./number.js";

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
  const which = letters.includes(app.matrixOf) ? app.matrixOf : (letters[0] ?? "");
  const path = `${base(app)}/matrix/${step.name}${which ? `/${which}` : ""}`;
  const section = (/** @type {boolean} */ whole, /** @type {(Node | null)[]} */ ...parts) =>
    h(
      "section",
      {
        class: "sl-matrices",
        "aria-label": "All tokens at once",
        "data-testid": "sl-matrices",
        "data-whole": whole,
      },
      h(
        "div",
        { class: "sl-head-row" },
        h("h3", null, "All tokens at once"),
        letters.length > 1 ? choice(app, letters, which) : null,
      ),
      ...parts,
    );
  if (app.failed === path || !app.meta.exact || step.why_not || step.name === "shared")
    return section(true, h("p", { class: "sl-second" }, "This step has no picture for all tokens."));
  /** @type {import("./packs").MatricesPack | null} */
  const pack = fetched(app, path);
  if (!pack) return section(false, h("p", { class: "sl-second" }, "…"));
  const { meta, arrays } = pack;
  const says = h(
    "p",
    { class: "sl-second" },
    "Attention is computed for all tokens in parallel. Marked: the row of query ",
    h("bdi", { class: "sl-query" }, app.queryToken),
    ` (${app.meta.query}) and the column of key `,
    h("bdi", { class: "sl-key" }, app.keys[key].t),
    ` (${key}). Click to follow others.`,
  );
  return section(
    true,
    h(
      "div",
      { class: "sl-matrix-row" },
      ...meta.matrices.flatMap((one, i) => [
        one.before ? h("span", { class: "sl-operator", "aria-hidden": "true" }, one.before) : null,
        matrixFigure(app, one, arrays[`m${i}`]),
      ]),
    ),
    says,
  );
}

/**
 * One matrix with its name and size.
 * @param {Steps} app
 * @param {Picture} one
 * @param {import("../base/wire.js").Buffer<Float32Array>} values
 */
export function matrixFigure(app, one, { data, shape }) {
  const [rows, columns] = one.shape;
  const canvas = h("canvas", {
    role: "img",
    "aria-label": `${one.symbol}: ${rows} ${one.rows}s by ${columns} ${one.columns}s`,
    "data-role": one.role,
  });
  app.paints(() =>
    paint(canvas, data, shape[0], shape[1], app.colours, { top: one.top, weights: one.role === "weights" }),
  );
  canvas.onclick = (event) => app.choose(chosenAt(one, cell(event, canvas, one.shape)));
  canvas.onmousemove = (event) => {
    const [row, column] = cell(event, canvas, one.shape);
    const r = Math.floor((row / rows) * shape[0]);
    const c = Math.floor((column / columns) * shape[1]);
    const value = data[r * shape[1] + c];
    app.tell(
      `${one.symbol}, ${one.rows} ${row}, ${one.columns} ${column}: ` +
        `${value !== value ? "masked" : written(value, app.digits)}${one.exact ? "" : " (largest of its block)"}`,
    );
  };
  canvas.onmouseleave = () => app.tell("");
  const [wide, high] = [columns, rows].map((n) => Math.min(Math.max(n / Math.max(rows, columns), 0.18), 1));
  return h(
    "figure",
    null,
    h(
      "figcaption",
      null,
      h("b", { "data-role": one.role }, ...symbolOf(one.symbol)),
      ` ${count(rows)} × ${count(columns)}`,
    ),
    h(
      "div",
      { class: "sl-matrix", "data-role": one.role, style: `--wide:${wide};--high:${high}` },
      canvas,
      followed(app, "row", one.rows, rows),
      followed(app, "column", one.columns, columns),
    ),
    one.exact ? null : h("p", { class: "sl-second" }, "blocks: the value of largest magnitude"),
  );
}

/**
 * The mark on the row or column of what is followed.
 * @param {Steps} app
 * @param {"row" | "column"} side
 * @param {string} what
 * @param {number} n
 */
function followed(app, side, what, n) {
  const index = what === "query" ? app.meta.query : what === "key" ? app.key : null;
  if (index === null) return null;
  const from = (100 * index) / n;
  const size = 100 / n;
  const style = side === "row" ? `top:${from}%;height:max(${size}%,2px)` : `left:${from}%;width:max(${size}%,2px)`;
  return h("span", { class: "sl-marked", "data-side": side, "data-role": what, style });
}

/**
 * What a click on a cell chooses: the query and the key that it belongs to.
 * @param {Picture} one
 * @param {[number, number]} cell
 */
function chosenAt(one, [row, column]) {
  /** @type {{query?: number, key?: number}} */
  const change = {};
  if (one.rows === "query") change.query = row;
  if (one.rows === "key") change.key = row;
  if (one.columns === "key") change.key = column;
  return change;
}

/** @param {MouseEvent} event @param {HTMLElement} canvas @param {[number, number]} shape @returns {[number, number]} */
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
