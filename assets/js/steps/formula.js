/**
 * Formula and Code: the equation with its symbols, shapes and values; the lines of torch that compute the step.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { nameOf, productsOf } from "./products.js";
import { num } from "./parts.js";
import { subscripted } from "./glossary.js";
import { written } from "./number.js";
import { count } from "../base/words.js";

/** @param {Steps} app */
export function formulaPanel(app) {
  const { step } = app;
  const equations = h(
    "div",
    { class: "sl-equations" },
    ...step.formula.map((line) => h("p", { class: "sl-equation" }, ...app.symbols(line))),
  );
  const filled = filledIn(app);
  const shapes = h(
    "table",
    { class: "sl-shapes" },
    h("caption", null, "Shapes"),
    h(
      "tbody",
      null,
      ...Object.entries(step.tensors).map(([name, shape]) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, name),
          h("td", null, shape.length ? `[${shape.join(" × ")}]` : "one number"),
          h(
            "td",
            { class: "sl-second" },
            step.makes.includes(name) ? "made in this step" : `made in: ${app.titleOf(app.meta.made_by[name])}`,
          ),
        ),
      ),
    ),
  );
  return [
    equations,
    filled.length
      ? h("div", { class: "sl-filled", "aria-label": "With this step’s values", role: "group" }, ...filled)
      : null,
    shapes,
  ];
}

/** The equation with the values of the followed key. @param {Steps} app @returns {Node[]} */
function filledIn(app) {
  const {
    key: j,
    meta: { query: i },
  } = app;
  /** @param {...(Node | string | (Node | string)[])} parts */
  const line = (...parts) => h("p", { class: "sl-equation" }, ...parts.flat());
  const sym = subscripted;
  switch (app.step.name) {
    case "x":
      return app.has("x")
        ? [
            line(
              sym(`x_${i}`),
              " = [ ",
              num(app, "x", [0]),
              "  ",
              num(app, "x", [1]),
              "  ",
              num(app, "x", [2]),
              "  … ]",
            ),
          ]
        : [];
    case "qkv":
      return app.meta.opens
        .filter((name) => app.step.makes.includes(name))
        .map((name) => sum(app, name, name.startsWith("q") ? [0] : [j, 0]));
    case "scores":
      return [sum(app, "scores", [j])];
    case "scale":
      return [
        line(sym(`z_${j}`), " = ", num(app, "scores", [j]), " × ", num(app, "scale"), " = ", num(app, "scaled", [j])),
      ];
    case "mask":
      return [
        line(
          sym(`m_${j}`),
          " = ",
          app.masked(j)
            ? ""
            : [
                num(app, app.has("capped") ? "capped" : "scaled", [j]),
                app.has("bias") ? [" + ", num(app, "bias", [j])] : "",
                " = ",
              ].flat(),
          num(app, "masked", [j]),
        ),
      ];
    case "softmax":
      if (!app.has("exps")) return [];
      return [
        line(
          sym(`e_${j}`),
          " = exp(",
          num(app, "masked", [j]),
          " − ",
          num(app, "maximum"),
          ") = ",
          num(app, "exps", [j]),
        ),
        line("Z = ", num(app, "exp_sum")),
        line(sym(`a_${j}`), " = ", num(app, "exps", [j]), " / ", num(app, "exp_sum"), " = ", num(app, "weights", [j])),
        line(
          "Σ a = ",
          num(app, "weight_sum"),
          app.has("sink_weight") ? [" , and the sink’s share ", num(app, "sink_weight")] : "",
        ),
      ];
    case "output":
      return [
        sum(app, "output", [0]),
        line("‖", sym(`a_${j}`), " · ", sym(`v_${j}`), "‖ = ", num(app, "contribution", [j])),
      ];
    case "joined":
      return [
        sum(app, "written", [0]),
        line(`share of head ${app.meta.head} = `, num(app, "head_shares", [app.meta.head])),
      ];
    case "residual":
      return [
        line(
          sym("r'_0"),
          " = ",
          num(app, "resid_pre", [0]),
          " + ",
          num(app, "added", [0]),
          " = ",
          num(app, "resid_mid", [0]),
        ),
      ];
    default:
      return [];
  }
}

/** A sum of products with its three largest terms. @param {Steps} app @param {string} name @param {number[]} at */
function sum(app, name, at) {
  const pack = productsOf(app, name, at);
  const symbol = subscripted(nameOf(name, at));
  if (!pack) return h("p", { class: "sl-equation" }, ...symbol, " = …");
  const {
    meta,
    arrays: { left, right, order, rest },
  } = pack;
  const number = (/** @type {number} */ x, /** @type {import("../base/dom.js").Attributes} */ attributes) =>
    h("span", { class: "sl-num", "data-of": `${name}:${at.join(",")}`, ...attributes }, written(x, app.digits));
  const few = Array.from(order.data.subarray(0, 3));
  const terms = few.flatMap((i, n) => [
    n ? " + " : "",
    number(left.data[i], { "data-product": "left", "data-i": i }),
    " · ",
    ...bracketed(right.data[i], number(right.data[i], { "data-product": "right", "data-i": i })),
  ]);
  const others = order.data.length - few.length;
  return h(
    "p",
    { class: "sl-equation" },
    ...symbol,
    meta.factor === 1 ? " = " : ` = ${written(meta.factor, app.digits)} · ( `,
    ...terms,
    ...(others > 0
      ? [
          " + ",
          number(rest.data[few.length], { "data-product": "rest", "data-i": few.length }),
          ` (the other ${count(others)} products, added up)`,
        ]
      : []),
    ...(meta.bias === null ? [] : [" + ", number(meta.bias, { "data-product": "bias" }), " (bias)"]),
    meta.factor === 1 ? " = " : " ) = ",
    num(app, name, at),
  );
}

/** A negative factor after a dot stands in brackets. @param {number} value @param {Node} written */
function bracketed(value, written) {
  return value < 0 ? ["(", written, ")"] : [written];
}

/** @param {Steps} app */
export function codePanel(app) {
  const { step } = app;
  if (!step.code) return [h("p", { class: "sl-second" }, "This step has no code of its own.")];
  const copied = h("span", { class: "sl-second", role: "status" });
  const copy = h(
    "button",
    {
      type: "button",
      "data-focus": "copy",
      onclick: () =>
        navigator.clipboard.writeText(step.code).then(
          () => copied.replaceChildren("Copied"),
          () => copied.replaceChildren("Select the lines and copy them."),
        ),
    },
    "Copy",
  );
  const shape = step.tensors[step.result];
  return [
    h(
      "pre",
      { class: "sl-code", tabindex: "0", "aria-label": "Code of this step", "data-testid": "sl-code" },
      h("code", null, step.code),
    ),
    h("p", { class: "sl-more" }, copy, copied),
    h("p", { class: "sl-second" }, "Runs as it stands once the trace of this text is there:"),
    h(
      "pre",
      { class: "sl-code sl-prelude", tabindex: "0", "aria-label": "Code that makes the trace" },
      h("code", null, app.meta.prelude),
    ),
    h(
      "p",
      null,
      `It gives ${step.result}, ${shape.length ? `[${shape.join(" × ")}]` : "one number"}: `,
      ...first(app, step.result, shape),
    ),
  ];
}

/** The first numbers of a tensor. @param {Steps} app @param {string} name @param {number[]} shape */
function first(app, name, shape) {
  if (!shape.length) return [num(app, name)];
  const row = shape.length === 2 ? app.key : null;
  const last = shape[shape.length - 1];
  const numbers = Array.from({ length: Math.min(4, last) }, (_, i) => num(app, name, row === null ? [i] : [row, i]));
  const parts = numbers.flatMap((one) => [one, "  "]);
  return [row === null ? "" : `row ${row}: `, ...parts, last > 4 ? "…" : ""];
}
