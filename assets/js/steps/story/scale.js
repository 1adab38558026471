/**
 * Why scores are divided by a root: what random vectors of several sizes give, and this head beside them.
 *
 * @typedef {import("../steps.js").Steps} Steps
 */
import { h } from "../../base/dom.js";
import { topOf } from "../../picture/signed.js";
import { bar, keyTable, num } from "../parts.js";

/** @param {Steps} app */
export function scale(app) {
  const { scaled } = app.arrays;
  const top = topOf(scaled.data);
  return [
    random(app),
    h("h3", null, "This head: the whole row’s softmax without the scaling, and with it"),
    keyTable(app, "Scores, scaled", [
      { head: "s_j", cell: (j) => num(app, "scores", [j]) },
      { head: "z_j", cell: (j) => num(app, "scaled", [j]) },
      { head: "", wide: true, roomy: true, cell: (j) => bar(scaled.data[j], top, { signed: true }) },
      { head: "weight without", wide: true, cell: (j) => barred(app, "unscaled_weights", [j], 1, "bad") },
      { head: "weight with", wide: true, cell: (j) => barred(app, "weights", [j], 1, "key") },
    ]),
    h("p", { class: "sl-second" }, "The scaling factor is ", num(app, "scale"), ". Bars of weights go from 0 to 1."),
  ];
}

/**
 * A bar with its number beside it.
 * @param {Steps} app @param {string} name @param {number[]} at @param {number} top @param {string} [role]
 */
function barred(app, name, at, top, role) {
  return h("span", { class: "sl-barred" }, bar(app.value(name, at) ?? 0, top, { role }), num(app, name, at));
}

/** Random queries and keys of the size that the slider says. @param {Steps} app */
function random(app) {
  const sizes = Array.from(app.arrays.random_sizes.data);
  const d = app.arrays.q.data.length;
  const nearest = sizes.reduce((best, size, i) => (Math.abs(size - d) < Math.abs(sizes[best] - d) ? i : best), 0);
  const slider = h("input", {
    type: "range",
    min: 0,
    max: sizes.length - 1,
    value: app.randomSize ?? nearest,
    "aria-label": "Size d of random queries and keys",
    "data-focus": "random",
    "data-testid": "sl-random-size",
  });
  const said = h("b", { class: "sl-number", "data-testid": "sl-random-d" });
  const spreads = h("div");
  const softmax = h("div");
  const show = () => {
    const at = Number(slider.value);
    app.randomSize = at;
    said.textContent = String(sizes[at]);
    slider.setAttribute("aria-valuetext", `d = ${sizes[at]}`);
    spreads.replaceChildren(spreadTable(app, sizes, at));
    softmax.replaceChildren(softmaxTable(app, at));
  };
  slider.oninput = show;
  show();
  return h(
    "section",
    { class: "sl-random", "aria-label": "Why a root", "data-testid": "sl-random" },
    h("h3", null, "Why a root: random q and k, every component of spread 1"),
    h("label", { class: "sl-stepping" }, "size d = ", said, slider),
    h("div", { class: "sl-vectors" }, spreads, softmax),
  );
}

/**
 * How far scores lie apart, by size, and in this head.
 * @param {Steps} app @param {number[]} sizes @param {number} at
 */
function spreadTable(app, sizes, at) {
  const { random_spreads: spreads, score_spread: own } = app.arrays;
  const top = Math.max(topOf(spreads.data), own.data[0]);
  const rows = sizes.map((size, i) =>
    h(
      "tr",
      { "data-chosen": i === at },
      h("th", { scope: "row", class: "sl-number" }, String(size)),
      h("td", { class: "sl-narrow" }, num(app, "random_roots", [i])),
      h("td", { class: "sl-wide" }, barred(app, "random_spreads", [i], top)),
    ),
  );
  return h(
    "table",
    { class: "sl-keys" },
    h("caption", null, "How far scores lie apart (their standard deviation), before the scaling"),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col" }, "d"),
        h("th", { scope: "col", class: "sl-narrow" }, "√d"),
        h("th", { scope: "col", class: "sl-wide" }, "spread, measured"),
      ),
    ),
    h("tbody", null, ...rows),
    h(
      "tfoot",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "row", colspan: 2 }, `this head, d = ${app.arrays.q.data.length}`),
        h("td", { class: "sl-wide" }, barred(app, "score_spread", [], top, "query")),
      ),
      h(
        "tr",
        null,
        h("th", { scope: "row", colspan: 2 }, "its scores after the scaling"),
        h("td", { class: "sl-wide" }, barred(app, "scaled_spread", [], top, "query")),
      ),
    ),
  );
}

/** What softmax makes of one random query's scores. @param {Steps} app @param {number} at */
function softmaxTable(app, at) {
  const n = app.arrays.random_scores.shape[1];
  const rows = Array.from({ length: n }, (_, j) =>
    h(
      "tr",
      null,
      h("td", { class: "sl-narrow" }, num(app, "random_scores", [at, j])),
      h("td", { class: "sl-wide" }, barred(app, "random_weights", [at, j], 1, "bad")),
      h("td", { class: "sl-wide" }, barred(app, "random_scaled_weights", [at, j], 1, "key")),
    ),
  );
  return h(
    "table",
    { class: "sl-keys" },
    h("caption", null, `One random query and ${n} random keys of this size: softmax of their scores`),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col", class: "sl-narrow" }, "score"),
        h("th", { scope: "col", class: "sl-wide" }, "weight without"),
        h("th", { scope: "col", class: "sl-wide" }, "weight after ÷ √d"),
      ),
    ),
    h("tbody", null, ...rows),
  );
}
