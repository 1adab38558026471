/**
 * What can be changed about the numbers and the colours, each with a sentence of its own. Fetched when it is first
 * opened.
 *
 * @typedef {import("../app.js").App} App
 */
import { h, mark } from "../../base/dom.js";
import { AT_ONCE } from "../../base/sync.js";
import { available } from "./folded.js";

/** @type {Record<typeof import("./folded.js").NAMES[number], [string, string]>} */
const WORDS = {
  hide_special: ["hide special tokens", "Leave out the marks that the model adds, such as [CLS] and [SEP]."],
  hide_first: ["hide first token", "Leave out the first token: many heads park what they have no use for there."],
  renormalise: [
    "renormalise rows",
    "Make each row sum to 1 again over what is shown. For this something must be hidden.",
  ],
  words: [
    "words, not pieces",
    "Put the pieces of a word together: the sum over a word's keys, the mean over its queries.",
  ],
  by_norm: [
    "norm-based: ‖a·v·W_O‖",
    "Show what each key really adds: its weight times the length of its value through W_O, as a share of " +
      "the row (Kobayashi et al. 2020).",
  ],
  per_head_scale: ["scale per head", "Colours from 0 to the head's own largest weight, instead of from 0 to 1."],
};

/** @param {App} app @param {HTMLElement} panel */
export function fill(app, panel) {
  const boxes = available(app).map((name) => {
    const [text, sentence] = WORDS[name];
    const says = `sl-says-${name}`;
    const input = h("input", {
      type: "checkbox",
      "aria-describedby": says,
      onchange: () => app.setOption(name, input.checked),
    });
    const label = h("label", { class: "sl-toggle" }, input, h("span", null, text));
    const row = h("div", { class: "sl-option" }, label, h("p", { class: "sl-second", id: says }, sentence));
    return { name, input, label, row };
  });
  panel.replaceChildren(...boxes.map(({ row }) => row));
  return () => {
    for (const { name, input, label } of boxes) {
      input.checked = Boolean(app.options[name]);
      const asleep = Boolean(app.data.first) && AT_ONCE.has(name); // they ask Python
      input.disabled = asleep || (name === "renormalise" && !(app.options.hide_special || app.options.hide_first));
      mark(label, "data-off", input.disabled);
    }
  };
}
