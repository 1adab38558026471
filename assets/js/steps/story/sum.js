/**
 * Vectors that add up, one under another: component under component, with one column lit and its numbers beside it.
 *
 * @typedef {import("../steps.js").Steps} Steps
 * @typedef {object} Term
 * @property {string} tensor  its name in the ledger
 * @property {(Node | string)[]} name
 * @property {"" | "+" | "="} sign  written before it
 * @property {string} [role]
 * @property {Node | string} [says]
 */
import { h } from "../../base/dom.js";
import { count } from "../../base/words.js";
import { topOf } from "../../picture/signed.js";
import { largest } from "../number.js";
import { num, strip } from "../parts.js";

/**
 * @param {Steps} app @param {string} caption @param {Term[]} terms  the last is what they come to
 */
export function sum(app, caption, terms) {
  const known = terms.filter(({ tensor }) => app.has(tensor));
  const last = known.at(-1);
  if (!last || known.length < 2) return null;
  const n = app.arrays[last.tensor].data.length;
  const top = Math.max(...known.map(({ tensor }) => topOf(app.arrays[tensor].data)));
  const lit = Math.min(app.channel ?? largest(app.arrays[last.tensor].data, 1)[0], n - 1);
  const lines = known.map(({ tensor, name, sign, role, says }) =>
    h(
      "div",
      { class: "sl-sum-line", "data-sign": sign || null },
      h(
        "span",
        { class: "sl-sum-name", "data-role": role || null },
        h("b", { class: "sl-sum-sign", "aria-hidden": "true" }, sign),
        h("span", null, ...name),
      ),
      h(
        "span",
        { class: "sl-sum-strip", "data-term": tensor },
        strip(app, tensor, null, { top, label: caption }),
        h("span", { class: "sl-lit", style: `left:${(100 * lit) / n}%;width:${100 / n}%`, "aria-hidden": "true" }),
      ),
      h(
        "span",
        { class: "sl-sum-number" },
        h("span", { class: "sl-second", "aria-hidden": "true" }, sign),
        num(app, tensor, [lit]),
      ),
      says ? h("span", { class: "sl-sum-says sl-second" }, says) : null,
    ),
  );
  return h(
    "section",
    { class: "sl-sum", "aria-label": caption, "data-testid": "sl-sum" },
    h("h3", null, caption),
    h("div", { class: "sl-sum-lines", onclick: clicked(app, n) }, ...lines),
    stepping(app, lit, n),
  );
}

/** A click on a strip lights that column. @param {Steps} app @param {number} n */
function clicked(app, n) {
  return (/** @type {MouseEvent} */ event) => {
    const strip = event.target instanceof Element ? event.target.closest(".sl-sum-strip") : null;
    if (!strip) return;
    const box = strip.getBoundingClientRect();
    app.lightChannel(Math.min(Math.max(Math.floor(((event.clientX - box.left) / box.width) * n), 0), n - 1));
  };
}

/** @param {Steps} app @param {number} lit @param {number} n */
function stepping(app, lit, n) {
  const button = (/** @type {string} */ sign, /** @type {string} */ label, /** @type {number} */ by) =>
    h(
      "button",
      {
        type: "button",
        "aria-label": label,
        title: label,
        "data-focus": `channel:${by}`,
        onclick: () => app.lightChannel((lit + by + n) % n),
      },
      sign,
    );
  return h(
    "p",
    { class: "sl-stepping" },
    button("‹", "the component before", -1),
    button("›", "the next component", 1),
    h("span", null, `component ${count(lit)} of 0 to ${count(n - 1)}: the numbers on the right, added up`),
  );
}
