/**
 * What the model says: tokens with their probabilities as bars, each a button that puts it into the text; or how alike
 * two sentences are.
 *
 * @typedef {{id: number, t: string, p: number}} Choice  token as shown, probability 0…1
 * @typedef {object} Group  one place that is asked about: the end of the text, or one mask
 * @property {string} title  words before `place`
 * @property {string} place  the token, as shown
 * @property {number} which  number of the mask; 0 at the end of a text
 * @property {number} entropy  bits
 * @property {Choice[]} choices  likeliest first
 *
 * @typedef {object} SaysData
 * @property {Group[]} groups
 * @property {"add"|"fill"} act  what choosing a token does
 * @property {number} d_vocab
 * @property {{cosine: number, words: string}|null} similarity
 */

import { asset } from "./addresses.js";
import { exchange, h } from "./dom.js";

const STYLES = asset("css/says.css");

/** @type {WeakMap<object, {body: HTMLElement, drawn: string}>} */
const mounted = new WeakMap();

/** A probability in words that never say 0 or 100 % for what is neither. @param {number} p */
export function percent(p) {
  if (p >= 0.9995 && p < 1) return "> 99.9 %";
  if (p < 0.0005 && p > 0) return "< 0.1 %";
  return `${(100 * p).toFixed(1)} %`;
}

/** What is left for all the tokens that are not shown; "" if all are. @param {Choice[]} choices @param {number} dVocab */
export function rest(choices, dVocab) {
  const others = dVocab - choices.length;
  if (others <= 0) return "";
  const left = Math.max(0, 1 - choices.reduce((sum, choice) => sum + choice.p, 0));
  return `all ${new Intl.NumberFormat("en").format(others)} others together: ${percent(left)}`;
}

/** How undecided the model is. @param {number} bits @param {number} dVocab */
export function spread(bits, dVocab) {
  return `spread ${bits.toFixed(2)} bits (0 = certain, ${Math.log2(dVocab).toFixed(1)} = no idea)`;
}

/** Where a cosine lies on a line from -1 to 1, in percent of its length. @param {number} cosine */
export function place(cosine) {
  return (100 * (Math.min(1, Math.max(-1, cosine)) + 1)) / 2;
}

/** @param {Group} group @param {SaysData} data @param {(choice: Choice, which: number) => void} choose */
function drawGroup(group, data, choose) {
  const verb = data.act === "fill" ? "Fill in" : "Add";
  const rows = group.choices.map((choice) => {
    const bar = h("span", { class: "sl-bar" });
    bar.style.setProperty("--share", String(choice.p));
    return h("li", null,
      h("button", { type: "button", class: "sl-choice", title: `${verb} this token`, "aria-label": `${verb} ${choice.t}, ${percent(choice.p)}`, onclick: () => choose(choice, group.which) },
        h("span", { class: "sl-token" }, choice.t), h("span", { class: "sl-track" }, bar), h("span", { class: "sl-percent" }, percent(choice.p))));
  });
  const tail = [rest(group.choices, data.d_vocab), spread(group.entropy, data.d_vocab)].filter(Boolean).join(" · ");
  return h("section", { class: "sl-group" },
    h("h3", null, group.title, " ", h("span", { class: "sl-token" }, group.place)),
    h("ol", { class: "sl-choices" }, ...rows),
    h("p", { class: "sl-tail" }, tail));
}

/** @param {{cosine: number, words: string}} similarity */
function drawSimilarity({ cosine, words }) {
  const dot = h("span", { class: "sl-dot" });
  dot.style.setProperty("--place", `${place(cosine)}%`);
  return h("section", { class: "sl-group" },
    h("p", { class: "sl-cosine" }, h("strong", null, cosine.toFixed(3)), " cosine of the two sentences’ vectors"),
    h("div", { class: "sl-line", role: "img", "aria-label": `${cosine.toFixed(3)} on a line from -1 to 1` }, dot),
    h("div", { class: "sl-ends", "aria-hidden": "true" }, h("span", null, "-1 opposite"), h("span", null, "0 unrelated"), h("span", null, "1 the same")),
    h("p", { class: "sl-tail" }, words));
}

/**
 * Draw what the model says in `root`, or bring it up to date.
 * @param {ParentNode & Node} root
 * @param {SaysData} data
 * @param {{choose: (chosen: {id: number, which: number, nonce: number}) => void}} callbacks
 */
export function render(root, data, callbacks) {
  let view = mounted.get(root);
  if (!view) {
    const body = h("div", { class: "sl-readouts", "data-testid": "sl-readouts", "data-loading": true });
    const styles = h("link", { rel: "stylesheet", href: STYLES.href });
    styles.onload = styles.onerror = () => delete body.dataset.loading;
    root.append(styles, body);
    mounted.set(root, (view = { body, drawn: "" }));
  }
  const drawn = JSON.stringify(data);
  if (drawn === view.drawn) return; // called again for a theme: colours follow by themselves, and the focus stays
  view.drawn = drawn;
  const choose = (/** @type {Choice} */ choice, /** @type {number} */ which) => callbacks.choose({ id: choice.id, which, nonce: Date.now() });
  exchange(
    view.body,
    ...(data.similarity ? [drawSimilarity(data.similarity)] : data.groups.map((group) => drawGroup(group, data, choose))));
  view.body.dataset.drawn = "true";
}

/** Streamlit's entry: called again on the same element whenever the data or the theme changes. */
export default function (component) {
  render(component.parentElement, component.data, { choose: (chosen) => component.setTriggerValue("chosen", chosen) });
}
