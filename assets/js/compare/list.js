/**
 * Ten heads, each a click: those that changed most, or, where no head is the same one in both, B's that look most like
 * the one chosen in A.
 *
 * @typedef {import("./compare.js").CompareView} CompareView
 */
import { headAt } from "./cells.js";
import { exchange, h, say } from "../base/dom.js";

const SHOWN = 10;

/** @param {CompareView} app */
export function createList(app) {
  const title = h("h2", null);
  const list = h("ol", { class: "sl-cmp-list", "data-testid": "sl-cmp-list" });
  const says = h("p", { class: "sl-second" });
  const element = h("section", { class: "sl-cmp-changed", "aria-label": "Heads in order" }, title, list, says);
  let made = "";

  /** @returns {{layer: number, head: number, value: number}[]} */
  function shown() {
    const { changed, against } = app;
    if (app.listsChanged && changed)
      return top(changed.meta.layers, changed.arrays.order.data, changed.arrays.changed.data);
    if (!against) return [];
    const all = top(against.meta.layers, against.arrays.order.data, against.arrays.distance.data, SHOWN + 1);
    const { layer, head } = app.a;
    const own = app.data.same_run;
    return all.filter((one) => !(own && one.layer === layer && one.head === head)).slice(0, SHOWN);
  }

  function draw() {
    const heads = shown();
    const changes = app.listsChanged;
    say(title, changes ? "Most changed heads first" : `B’s heads that look most like ${app.shortTitle("a")} of A`);
    say(
      says,
      changes
        ? "layer.head, and how much of a row’s attention lies elsewhere in B (mean: 0 the same, 1 nothing in common)"
        : "layer.head of B, and how much of a row’s attention lies elsewhere (mean: 0 the same, 1 nothing in common)",
    );
    const wanted = `${changes}|${heads.map(({ layer, head, value }) => `${layer}.${head}:${value}`).join()}`;
    if (made !== wanted) {
      made = wanted;
      exchange(list, ...heads.map((one) => h("li", null, button(one, changes))));
    }
    marks();
  }

  /** @param {{layer: number, head: number, value: number}} one @param {boolean} changes */
  function button({ layer, head, value }, changes) {
    const words = changes ? `changed by ${value.toFixed(2)} of 1` : `${value.toFixed(2)} of 1 apart`;
    return h(
      "button",
      {
        type: "button",
        "data-head": `${layer}.${head}`,
        "aria-label": `Layer ${layer}, head ${head}: ${words}`,
        onclick: () => app.choose(changes ? "both" : "b", layer, head),
      },
      h("span", { class: "sl-mono" }, `${layer}.${head}`),
      h("span", { class: "sl-cmp-meter", "aria-hidden": "true", style: `--share: ${Math.min(value, 1)}` }),
      h("span", { class: "sl-number" }, value.toFixed(2)),
    );
  }

  /** Which of them is shown. */
  function marks() {
    const { layer, head } = app.chosen(app.listsChanged ? "a" : "b");
    for (const one of list.querySelectorAll("button")) {
      const is = one.dataset.head === `${layer}.${head}`;
      if (is) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  }

  return { element, draw, marks };
}

/**
 * @param {{n_heads: number}[]} layers @param {Int32Array} order @param {Float32Array} values @param {number} [count]
 */
function top(layers, order, values, count = SHOWN) {
  const found = [];
  for (const at of order.subarray(0, count)) {
    const value = values[at];
    const place = headAt(layers, at);
    if (place && value === value) found.push({ ...place, value });
  }
  return found;
}
