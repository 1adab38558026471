/**
 * The story of the query's row: from scores to weights, and what each key gives.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { topOf } from "../picture/signed.js";
import { legend, token } from "./lanes.js";
import { bar, footRow, keyTable, num, strip } from "./parts.js";
import { lookingAhead } from "./story/ahead.js";
import { map } from "./story/mask.js";
import { pair } from "./story/pair.js";

/** @param {Steps} app */
export function scores(app) {
  const shown = app.shownKeys();
  const top = topOf(app.arrays.scores.data);
  const most = app.top("k", shown);
  const query = h(
    "tr",
    { class: "sl-lead" },
    h("th", { scope: "row" }, "query ", token(app, "query")),
    h("td", { class: "sl-wide" }, strip(app, "q", null, { label: `query of ${app.queryToken}` })),
    h("td"),
    h("td", { class: "sl-wide" }),
  );
  return [
    pair(app),
    keyTable(
      app,
      "Score of every key",
      [
        { head: "k_j", wide: true, cell: (j) => strip(app, "k", j, { top: most, label: `key ${j}` }) },
        { head: "s_j", cell: (j) => num(app, "scores", [j]) },
        { head: "", wide: true, cell: (j) => bar(app.arrays.scores.data[j], top, { signed: true }) },
      ],
      [],
      [query],
    ),
    legend(app),
  ];
}

/** @param {Steps} app */
export function mask(app) {
  const top = topOf(app.arrays.masked.data);
  return [
    map(app),
    keyTable(app, "What softmax sees", [
      { head: "z_j", cell: (j) => num(app, "scaled", [j]) },
      ...(app.has("capped") ? [{ head: "y_j", cell: (/** @type {number} */ j) => num(app, "capped", [j]) }] : []),
      ...(app.has("bias") ? [{ head: "+ β_j", cell: (/** @type {number} */ j) => num(app, "bias", [j]) }] : []),
      { head: "may read", cell: (j) => (app.masked(j) ? "no" : "yes") },
      { head: "m_j", cell: (j) => num(app, "masked", [j]) },
      {
        head: "",
        wide: true,
        cell: (j) =>
          app.masked(j)
            ? h("span", { class: "sl-hatched" }, "masked")
            : bar(app.arrays.masked.data[j], top, { signed: true }),
      },
    ]),
    lookingAhead(app),
  ];
}

/** @param {Steps} app */
export function softmax(app) {
  const { weights } = app.arrays;
  const columns = app.has("exps")
    ? [
        { head: "m_j", cell: (/** @type {number} */ j) => num(app, "masked", [j]) },
        { head: "e_j", cell: (/** @type {number} */ j) => num(app, "exps", [j]) },
        { head: "", wide: true, cell: (/** @type {number} */ j) => bar(app.arrays.exps.data[j], 1, { role: "query" }) },
      ]
    : [];
  const sink = app.has("sink_weight")
    ? footRow(
        "sink logit",
        num(app, "sink_logit"),
        num(app, "sink_exp"),
        "",
        num(app, "sink_weight"),
        bar(app.arrays.sink_weight.data[0], 1, { role: "key" }),
      )
    : null;
  const sum = app.has("exps")
    ? footRow("largest, sum", num(app, "maximum"), num(app, "exp_sum"), "", num(app, "weight_sum"), "")
    : footRow("sum", num(app, "weight_sum"), "");
  return [
    keyTable(
      app,
      "From scores to weights",
      [
        ...columns,
        { head: "a_j", cell: (j) => num(app, "weights", [j]) },
        { head: "", wide: true, cell: (j) => bar(weights.data[j], 1, { role: "key" }) },
      ],
      [sink, sum],
    ),
  ];
}

/** @param {Steps} app */
export function output(app) {
  const shown = app.shownKeys();
  const values = app.top("v", shown);
  const weighted = app.top("weighted_values", shown);
  const top = topOf(app.arrays.contribution.data);
  return [
    keyTable(
      app,
      "What each key gives",
      [
        { head: "a_j", cell: (j) => num(app, "weights", [j]) },
        { head: "v_j", wide: true, cell: (j) => strip(app, "v", j, { top: values, label: `value ${j}` }) },
        {
          head: "a_j · v_j",
          wide: true,
          cell: (j) => strip(app, "weighted_values", j, { top: weighted, label: `weighted value ${j}` }),
        },
        { head: "‖a_j · v_j‖", cell: (j) => num(app, "contribution", [j]) },
        { head: "", wide: true, cell: (j) => bar(app.arrays.contribution.data[j], top, { role: "value" }) },
      ],
      [],
      [
        h(
          "tr",
          { class: "sl-lead", "data-role": "output", "data-testid": "sl-result" },
          h("th", { scope: "row" }, "output o, the sum"),
          h("td"),
          h("td", { class: "sl-wide" }),
          h("td", { class: "sl-wide" }, strip(app, "output", null, { top: weighted, label: "output of this head" })),
          h("td"),
          h("td"),
        ),
      ],
    ),
    legend(app),
  ];
}
