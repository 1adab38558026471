/**
 * Numbers: every value of a step, the largest first where there are many.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { footRow, keyChooser, keyTable, num, vector } from "./parts.js";
import { apart, changes } from "./vectors.js";
import { shares } from "./writes.js";

/** @param {Steps} app @returns {(Node | null)[]} */
export function values(app) {
  return (VALUES[app.step.name] ?? plain)(app);
}

/** @type {Record<string, (app: Steps) => (Node | null)[]>} */
const VALUES = {
  x,
  qkv,
  norm: changed,
  rotary: turned,
  shared: plain,
  scores,
  scale,
  mask,
  softmax,
  output,
  joined,
  residual,
};

/** @param {...Node} parts */
function side(...parts) {
  return h("div", { class: "sl-vectors" }, ...parts);
}

/** @param {Steps} app */
function keyName(app) {
  return `${app.key} “${app.keys[app.key].t}”`;
}

/** @param {Steps} app */
function x(app) {
  const parts = [
    ["embedding", "embedding"],
    ["position", "its position"],
    ["put_in", "put in before layer 0"],
    ["start", "enters layer 0"],
    ["gathered", "added by the layers before"],
    ["stream", "enters this layer"],
  ]
    .filter(([name]) => app.has(name))
    .map(([name, words]) => vector(app, `${words}, of query ${app.meta.query} “${app.queryToken}”`, name, null));
  if (app.has("x")) parts.push(vector(app, `x of query ${app.meta.query} “${app.queryToken}”`, "x", null));
  if (app.has("x_keys")) parts.push(vector(app, `x of key ${keyName(app)}`, "x_keys", app.key));
  return [keyChooser(app, { numbered: true }), side(...parts)];
}

/** @param {Steps} app */
function qkv(app) {
  const parts = ["q", "k", "v"].flatMap((letter) => {
    const name = app.step.makes.find((one) => one === letter || one.startsWith(`${letter}_`));
    if (!name) return [];
    const title =
      letter === "q" ? `q of query ${app.meta.query} “${app.queryToken}”` : `${letter} of key ${keyName(app)}`;
    return [vector(app, title, name, letter === "q" ? null : app.key)];
  });
  return [
    keyChooser(app, { numbered: true }),
    side(...parts, ...apart(app).map(({ title, name, row }) => vector(app, title, name, row))),
  ];
}

/** @param {Steps} app */
function changed(app) {
  const parts = changes(app).flatMap(({ letter, before, after }) => {
    const row = letter === "q" ? null : app.key;
    const of = letter === "q" ? `query ${app.meta.query}` : `key ${keyName(app)}`;
    return [
      vector(app, `${letter} of ${of}, before`, before, row),
      vector(app, `${letter} of ${of}, after`, after, row),
    ];
  });
  return [keyChooser(app, { numbered: true }), side(...parts)];
}

/** @param {Steps} app */
function turned(app) {
  return [vector(app, `angles θ of query ${app.meta.query}, radians`, "angle", null), ...changed(app)];
}

/** Every tensor that the step makes. @param {Steps} app */
function plain(app) {
  const { step, arrays } = app;
  return step.makes.map((name) => {
    const { shape } = arrays[name];
    if (!step.tensors[name].length) return h("p", null, `${name} = `, num(app, name));
    return vector(app, name, name, shape.length === 2 ? app.key : null);
  });
}

/** @param {Steps} app */
function scores(app) {
  return [
    keyTable(app, "Score of every key", [{ head: "s_j", cell: (j) => num(app, "scores", [j]) }]),
    side(
      vector(app, `q of query ${app.meta.query} “${app.queryToken}”`, "q", null),
      vector(app, `k of key ${keyName(app)}`, "k", app.key),
    ),
  ];
}

/** @param {Steps} app */
function scale(app) {
  return [
    h("p", null, "scale = ", num(app, "scale")),
    keyTable(app, "Scores, scaled", [
      { head: "s_j", cell: (j) => num(app, "scores", [j]) },
      { head: "z_j", cell: (j) => num(app, "scaled", [j]) },
      { head: "weight as it is", cell: (j) => num(app, "weights", [j]) },
      { head: "weight without scaling", cell: (j) => num(app, "unscaled_weights", [j]) },
    ]),
  ];
}

/** @param {Steps} app */
function mask(app) {
  return [
    keyTable(app, "What softmax sees", [
      { head: "z_j", cell: (j) => num(app, "scaled", [j]) },
      ...(app.has("capped") ? [{ head: "y_j", cell: (/** @type {number} */ j) => num(app, "capped", [j]) }] : []),
      ...(app.has("bias") ? [{ head: "β_j", cell: (/** @type {number} */ j) => num(app, "bias", [j]) }] : []),
      { head: "may read", cell: (j) => (app.masked(j) ? "no" : "yes") },
      { head: "m_j", cell: (j) => num(app, "masked", [j]) },
    ]),
  ];
}

/** @param {Steps} app */
function softmax(app) {
  if (!app.has("exps"))
    return [
      keyTable(
        app,
        "Weights",
        [{ head: "a_j", cell: (j) => num(app, "weights", [j]) }],
        [footRow("sum", num(app, "weight_sum"))],
      ),
    ];
  const sink = app.has("sink_weight")
    ? footRow("sink logit", num(app, "sink_logit"), num(app, "sink_exp"), num(app, "sink_weight"))
    : null;
  return [
    h("p", null, "max m = ", num(app, "maximum"), ", Z = ", num(app, "exp_sum"), ", Σ a = ", num(app, "weight_sum")),
    keyTable(
      app,
      "From scores to weights",
      [
        { head: "m_j", cell: (j) => num(app, "masked", [j]) },
        { head: "e_j", cell: (j) => num(app, "exps", [j]) },
        { head: "a_j", cell: (j) => num(app, "weights", [j]) },
      ],
      sink ? [sink] : [],
    ),
  ];
}

/** @param {Steps} app */
function output(app) {
  return [
    keyTable(app, "What each key gives", [
      { head: "a_j", cell: (j) => num(app, "weights", [j]) },
      { head: "‖a_j · v_j‖", cell: (j) => num(app, "contribution", [j]) },
    ]),
    side(
      vector(app, `v of key ${keyName(app)}`, "v", app.key),
      vector(app, `a · v of key ${keyName(app)}`, "weighted_values", app.key),
      vector(app, "output o of this head", "output", null),
    ),
  ];
}

/** @param {Steps} app */
function residual(app) {
  const lengths = h(
    "p",
    null,
    "lengths: before ",
    num(app, "resid_pre_length"),
    ", added ",
    num(app, "added_length"),
    ", after ",
    num(app, "resid_mid_length"),
  );
  const parts = [
    ["resid_pre", "before, r"],
    ["added", "added"],
    ["resid_mid", "after, r'"],
    ["resid_normed", "the sum, normed"],
  ];
  return [
    lengths,
    side(...parts.filter(([name]) => app.has(name)).map(([name, words]) => vector(app, words, name, null))),
  ];
}

/** @param {Steps} app */
function joined(app) {
  return [
    ...shares(app),
    side(
      vector(app, "output o of this head", "output", null),
      vector(app, "all heads joined", "joined", null),
      vector(app, "this head writes", "head_write", null),
      vector(app, "the layer writes", "written", null),
      ...apart(app).map(({ title, name, row }) => vector(app, title, name, row)),
    ),
  ];
}
