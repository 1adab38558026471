/**
 * Story: what a step means, in pictures of this head's own numbers.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { bar, footRow, keyTable, num, strip } from "./parts.js";
import { topOf } from "../picture/signed.js";

/** @param {Steps} app @returns {(Node | null)[]} */
export function story(app) {
  const said = HEADLINES[app.step.name]?.(app);
  return [said ? h("p", { class: "sl-headline" }, ...said) : null, ...(STORIES[app.step.name] ?? (() => []))(app)];
}

/**
 * The step in one sentence, with the numbers of the followed query and key.
 *
 * @type {Record<string, (app: Steps) => (Node | string)[]>}
 */
const HEADLINES = {
  scores: (app) => [
    token(app, "query"),
    " and ",
    token(app, "key"),
    " match with a score of ",
    num(app, "scores", [app.key]),
    ".",
  ],
  scale: (app) => [
    num(app, "scores", [app.key]),
    " × ",
    num(app, "scale"),
    " = ",
    num(app, "scaled", [app.key]),
    " for ",
    token(app, "key"),
    ". Its weight is ",
    num(app, "weights", [app.key]),
    "; without the scaling it would be ",
    num(app, "unscaled_weights", [app.key]),
    ".",
  ],
  softmax: (app) => [
    "Of all that ",
    token(app, "query"),
    " reads here, a share of ",
    num(app, "weights", [app.key]),
    " comes from ",
    token(app, "key"),
    ".",
  ],
  output: (app) => [
    token(app, "key"),
    " gives a vector of length ",
    num(app, "contribution", [app.key]),
    " to what ",
    token(app, "query"),
    " reads.",
  ],
  joined: (app) => [
    `Head ${app.meta.head} has a share of `,
    num(app, "head_shares", [app.meta.head]),
    " in what this layer writes for ",
    token(app, "query"),
    ".",
  ],
  residual: (app) => [
    "A vector of length ",
    num(app, "added_length"),
    " is added to one of length ",
    num(app, "resid_pre_length"),
    ".",
  ],
};

/** @type {Record<string, (app: Steps) => (Node | null)[]>} */
const STORIES = { x, qkv, norm: changed, rotary, shared, scores, scale, mask, softmax, output, joined, residual };

/** A token in its colour. @param {Steps} app @param {"query" | "key"} which */
export function token(app, which) {
  const text = which === "query" ? app.queryToken : app.keys[app.key].t;
  return h("bdi", { class: `sl-name sl-${which}` }, text);
}

/** A named strip. @param {string} name @param {Node} picture @param {string} [role] @param {Node | string | null} [says] */
function lane(name, picture, role = "", says = null) {
  return h(
    "div",
    { class: "sl-row", "data-role": role || null },
    h("span", { class: "sl-row-name" }, name),
    picture,
    says ? h("span", { class: "sl-row-says" }, says) : null,
  );
}

/** @param {Steps} app */
function legend(app) {
  return h(
    "p",
    { class: "sl-second sl-signed" },
    "negative ",
    h("span", { class: "sl-scale", "aria-hidden": "true" }),
    " positive; one cell for each component",
    app.meta.opens.some((/** @type {string} */ name) => app.step.makes.includes(name))
      ? ", a click shows the products behind it"
      : "",
  );
}

/** @param {Steps} app */
function x(app) {
  const shown = app.shownKeys();
  const top = app.has("x_keys") ? app.top("x_keys", shown) : topOf(app.vector("x", null) ?? []);
  return [
    app.has("x")
      ? lane(
          `query ${app.meta.query}`,
          strip(app, "x", null, { top, label: `input of query ${app.queryToken}` }),
          "query",
          token(app, "query"),
        )
      : null,
    app.has("x_keys")
      ? keyTable(app, "Input of every key token", [
          { head: "x_j", wide: true, cell: (j) => strip(app, "x_keys", j, { top, label: `input of key ${j}` }) },
        ])
      : null,
    legend(app),
  ];
}

/** @param {Steps} app @param {string} letter  the name of q, k or v in this step */
function named(app, letter) {
  return app.step.makes.find((/** @type {string} */ name) => name === letter || name.startsWith(`${letter}_`)) ?? null;
}

/** @param {Steps} app */
function qkv(app) {
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
  return [
    q
      ? lane("query q", strip(app, q, null, { label: `query of ${app.queryToken}` }), "query", token(app, "query"))
      : null,
    columns.length ? keyTable(app, "Key and value of every token", columns) : null,
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
  return app.step.makes.flatMap((/** @type {string} */ name) => {
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

/** Before and after, for the query and the followed key. @param {Steps} app @returns {{letter: string, before: string, after: string}[]} */
export function changes(app) {
  return ["q", "k", "v"].flatMap((letter) => {
    const names = Object.keys(app.step.tensors).filter((name) => name === letter || name.startsWith(`${letter}_`));
    return names.length === 2 ? [{ letter, before: names[0], after: names[1] }] : [];
  });
}

/** @param {Steps} app */
function changed(app) {
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
  return [...lanes, followed(app), legend(app)];
}

/** Which key is followed, and the others to choose from. @param {Steps} app */
function followed(app) {
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
        h("bdi", null, app.keys[j].t),
      ),
    ),
  );
}

const DIALS = 8;

/** @param {Steps} app */
function rotary(app) {
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
      `Each dial: one pair of components of ${first.letter} before (thin) and after (bold) it was turned${chosen.length < n ? `; ${chosen.length} of ${n} pairs shown` : ""}. θ in radians, between −π and π.`,
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
  return /** @type {any} */ (svg);
}

/** @param {Steps} app */
function shared(app) {
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

/** @param {Steps} app */
function scores(app) {
  const shown = app.shownKeys();
  const top = topOf(app.arrays.scores.data);
  const most = app.top("k", shown);
  return [
    lane("query q", strip(app, "q", null, { label: `query of ${app.queryToken}` }), "query", token(app, "query")),
    keyTable(app, "Score of every key", [
      { head: "k_j", wide: true, cell: (j) => strip(app, "k", j, { top: most, label: `key ${j}` }) },
      { head: "s_j", cell: (j) => num(app, "scores", [j]) },
      { head: "", wide: true, cell: (j) => bar(app.arrays.scores.data[j], top, { signed: true }) },
    ]),
    legend(app),
  ];
}

/** @param {Steps} app */
function scale(app) {
  const { scaled, unscaled_weights: unscaled, weights } = app.arrays;
  const top = topOf(scaled.data);
  return [
    keyTable(app, "Scores, scaled", [
      { head: "s_j", cell: (j) => num(app, "scores", [j]) },
      { head: "z_j", cell: (j) => num(app, "scaled", [j]) },
      { head: "", wide: true, cell: (j) => bar(scaled.data[j], top, { signed: true }) },
      { head: "weight as it is", wide: true, cell: (j) => bar(weights.data[j], 1, { role: "key" }) },
      { head: "weight without scaling", wide: true, cell: (j) => bar(unscaled.data[j], 1, { role: "bad" }) },
    ]),
    h(
      "p",
      { class: "sl-second" },
      "Scaling factor ",
      num(app, "scale"),
      ". The bars on the right show the whole row’s softmax from 0 to 1, with the scaling and without it.",
    ),
  ];
}

/** @param {Steps} app */
function mask(app) {
  const top = topOf(app.arrays.masked.data);
  return [
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
  ];
}

/** @param {Steps} app */
function softmax(app) {
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
function output(app) {
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
      [
        footRow(
          "sum: output o",
          "",
          "",
          strip(app, "output", null, { top: weighted, label: "output of this head" }),
          "",
          "",
        ),
      ],
    ),
    legend(app),
  ];
}

/** @param {Steps} app */
function joined(app) {
  return [
    slots(app),
    ...shares(app),
    lane(
      "this head writes",
      strip(app, "head_write", null, { label: "what this head writes", top: topOf(app.arrays.written.data) }),
      "output",
    ),
    lane("the layer writes", strip(app, "written", null, { label: "what the layer writes" }), "output"),
    ...apart(app).map(({ title, name }) => lane(title, strip(app, name, null, { label: title }), "output")),
    legend(app),
  ];
}

/** All heads side by side, with this head's slot marked. @param {Steps} app */
function slots(app) {
  const { joined: row, slot } = app.arrays;
  const from = slot.data[0];
  const style = `left:${(100 * from) / row.data.length}%;width:${(100 * slot.data.length) / row.data.length}%`;
  return lane(
    "joined",
    h(
      "span",
      { class: "sl-slots" },
      strip(app, "joined", null, { label: "outputs of all heads side by side" }),
      h("span", { class: "sl-slot", style, title: `slot of head ${app.meta.head}` }),
    ),
    "output",
    `slot of head ${app.meta.head}: components ${from} to ${slot.data[slot.data.length - 1]}`,
  );
}

/** Every head's share of what the layer writes. @param {Steps} app */
export function shares(app) {
  const { head_shares: share, head_norms: norms } = app.arrays;
  const top = Math.max(topOf(share.data), topOf(app.arrays.bias_share?.data ?? []));
  const longest = topOf(norms.data);
  const rows = Array.from(share.data, (value, head) =>
    h(
      "tr",
      { "data-chosen": head === app.meta.head },
      h(
        "th",
        { scope: "row" },
        h(
          "button",
          {
            type: "button",
            class: "sl-keyname",
            "aria-pressed": String(head === app.meta.head),
            "data-focus": `head:${head}`,
            onclick: () => app.choose({ head }),
          },
          `head ${head}`,
        ),
      ),
      h("td", { class: "sl-narrow" }, num(app, "head_shares", [head])),
      h("td", { class: "sl-wide" }, bar(value, top, { signed: true, role: "output" })),
      h("td", { class: "sl-narrow" }, num(app, "head_norms", [head])),
      h("td", { class: "sl-wide" }, bar(norms.data[head], longest, { role: "output" })),
    ),
  );
  const bias = app.has("bias_share")
    ? [
        h(
          "tr",
          null,
          h("th", { scope: "row" }, "bias b"),
          h("td", { class: "sl-narrow" }, num(app, "bias_share")),
          h("td", { class: "sl-wide" }, bar(app.arrays.bias_share.data[0], top, { signed: true })),
          h("td"),
          h("td"),
        ),
      ]
    : [];
  return [
    h(
      "div",
      { class: "sl-scroll", tabindex: "0", role: "region", "aria-label": "What each head writes" },
      h(
        "table",
        { class: "sl-keys" },
        h("caption", { class: "sl-quiet" }, "What each head writes"),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            h("th", { scope: "col" }, "head"),
            h("th", { scope: "col", class: "sl-narrow" }, "share"),
            h("td", { class: "sl-wide" }),
            h("th", { scope: "col", class: "sl-narrow" }, "length"),
            h("td", { class: "sl-wide" }),
          ),
        ),
        h("tbody", null, ...rows, ...bias),
      ),
    ),
  ];
}

/** @param {Steps} app */
function residual(app) {
  const top = Math.max(...["resid_pre", "added", "resid_mid"].map((name) => topOf(app.vector(name, null) ?? [])));
  const parts = [
    ["resid_pre", "before, r", ""],
    ["added", "added", "output"],
    ["resid_mid", "after, r'", ""],
  ];
  return [
    ...parts.map(([name, words, role]) =>
      lane(
        words,
        strip(app, name, null, { label: words, top }),
        role,
        h("span", null, "length ", num(app, `${name}_length`)),
      ),
    ),
    app.has("resid_normed") ? lane("normed", strip(app, "resid_normed", null, { label: "the sum, normed" })) : null,
    legend(app),
  ];
}
