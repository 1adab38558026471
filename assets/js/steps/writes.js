/**
 * The story after the weights: the heads joined, what each of them writes, and what that adds to the residual stream.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { topOf } from "../picture/signed.js";
import { lane, legend } from "./lanes.js";
import { bar, num, strip } from "./parts.js";
import { sum } from "./story/sum.js";
import { apart } from "./vectors.js";

/** @param {Steps} app */
export function joined(app) {
  const { head, n_heads: n } = app.meta;
  return [
    slots(app),
    sum(app, "What W_O makes of it: this head's part, the others' part, and their sum", [
      { tensor: "head_write", name: [`head ${head} writes`], sign: "", role: "output" },
      { tensor: "others_write", name: [others(n - 1)], sign: "+" },
      { tensor: "bias_write", name: ["the bias b_O, the same for every token"], sign: "+" },
      { tensor: "written", name: ["the layer writes"], sign: "=", role: "output" },
    ]),
    h("h3", null, "How much of it comes from each head"),
    ...shares(app),
    h(
      "p",
      { class: "sl-second" },
      "Share: how far the head's part reaches in the direction of the sum, as a part of it. The shares add up to 1; " +
        "a head that writes against the others has a negative one. Length: of the vector that the head writes.",
    ),
    ...apart(app).map(({ title, name }) => lane(title, strip(app, name, null, { label: title }), "output")),
    legend(app),
  ];
}

/** @param {number} n */
function others(n) {
  return n === 1 ? "the other head writes" : `the other ${n} heads write`;
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
export function residual(app) {
  const { head, n_heads: n } = app.meta;
  /** @type {import("./story/sum.js").Term[]} */
  const added = asWritten(app)
    ? [
        { tensor: "head_write", name: [`head ${head} wrote`], sign: "+", role: "output" },
        { tensor: "others_write", name: [others(n - 1).replace(/writes?$/, "wrote")], sign: "+" },
        { tensor: "bias_write", name: ["the bias b_O"], sign: "+" },
      ]
    : [{ tensor: "added", name: ["added: what the layer wrote, normed or scaled"], sign: "+", role: "output" }];
  return [
    sum(app, "Nothing is replaced: what the heads wrote is added", [
      { tensor: "resid_pre", name: ["the vector before"], sign: "" },
      ...added,
      { tensor: "resid_mid", name: ["the vector after"], sign: "=" },
    ]),
    h(
      "p",
      null,
      "Lengths: before ",
      num(app, "resid_pre_length"),
      ", what is added ",
      num(app, "added_length"),
      ", after ",
      num(app, "resid_mid_length"),
      ".",
    ),
    app.has("resid_normed") ? lane("normed", strip(app, "resid_normed", null, { label: "the sum, normed" })) : null,
    legend(app),
  ];
}

/** Is what is added what the heads wrote, number for number? @param {Steps} app */
function asWritten(app) {
  const [added, written] = [app.vector("added", null), app.vector("written", null)];
  return Boolean(app.has("head_write") && added && written && Array.from(added).every((one, i) => one === written[i]));
}
