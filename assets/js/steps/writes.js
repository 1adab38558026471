/**
 * The story after the weights: the heads joined, what each of them writes, and what that adds to the residual stream.
 *
 * @typedef {import("./steps.js").Steps} Steps
 */
import { h } from "../base/dom.js";
import { topOf } from "../picture/signed.js";
import { lane, legend } from "./lanes.js";
import { bar, num, strip } from "./parts.js";
import { apart } from "./vectors.js";

/** @param {Steps} app */
export function joined(app) {
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
export function residual(app) {
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
