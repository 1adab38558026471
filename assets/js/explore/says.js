/**
 * What the model says: tokens with their probabilities as bars, each a button that puts it into the text; how alike two
 * sentences are; or what a fine-tuned model predicts: labels, tags, an answer, a choice.
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
 * @property {Similarity|null} similarity
 * @property {Prediction|null} [prediction]
 *
 * @typedef {object} Similarity
 * @property {number} cosine
 * @property {string} words
 * @property {"cosine"|"dot"|"euclidean"|"manhattan"} [function]  how the model itself compares
 * @property {number} [score]  what comes of it
 * @property {string[][]} [read]  the tokens of each sentence as they were read
 *
 * @typedef {{t: string, p: number|null, v: number|null}} Row a label; its probability, if it has one; the head's number
 * @typedef {object} Labels  of the whole text
 * @property {"labels"|"answer"|"choices"} kind
 * @property {string} words
 * @property {Row[]} rows
 * @property {number} [none]  probability of no answer
 *
 * @typedef {object} Tags  of every token
 * @property {"tags"} kind
 * @property {string} words
 * @property {{t: string, best: Row[]}[]} rows
 * @property {{t: string, tag: string, p: number}[]} [tagged]  words with their tags
 *
 * @typedef {Labels | Tags} Prediction
 */

import { asset } from "../base/addresses.js";
import { exchange, h } from "../base/dom.js";

const STYLES = asset("css/says.css");

/** @type {WeakMap<object, {body: HTMLElement, drawn: string}>} */
const mounted = new WeakMap();

/** A probability in words that never say 0 or 100 % for what is neither. @param {number} p */
export function percent(p) {
  if (p >= 0.9995 && p < 1) return "> 99.9 %";
  if (p < 0.0005 && p > 0) return "< 0.1 %";
  return `${(100 * p).toFixed(1)} %`;
}

/**
 * What is left for all the tokens that are not shown; "" if all are.
 * @param {Choice[]} choices
 * @param {number} dVocab
 */
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
    return h(
      "li",
      null,
      h(
        "button",
        {
          type: "button",
          class: "sl-choice",
          title: `${verb} this token`,
          "aria-label": `${verb} ${choice.t}, ${percent(choice.p)}`,
          onclick: () => choose(choice, group.which),
        },
        h("span", { class: "sl-token" }, choice.t),
        h("span", { class: "sl-track" }, bar),
        h("span", { class: "sl-percent" }, percent(choice.p)),
      ),
    );
  });
  const tail = [rest(group.choices, data.d_vocab), spread(group.entropy, data.d_vocab)].filter(Boolean).join(" · ");
  return h(
    "section",
    { class: "sl-group" },
    h("h3", null, group.title, " ", h("span", { class: "sl-token" }, group.place)),
    h("ol", { class: "sl-choices" }, ...rows),
    h("p", { class: "sl-tail" }, tail),
  );
}

/** How a model that compares in another way than by the cosine does it. @param {Similarity} similarity */
export function otherScore({ function: by, score }) {
  if (!by || by === "cosine" || score === undefined) return "";
  const names = {
    dot: "dot product",
    euclidean: "distance (negative)",
    manhattan: "distance along the axes (negative)",
  };
  return `${score.toFixed(3)} ${names[by] ?? by}, which this model compares by`;
}

/** What stands over a prediction. @param {Prediction["kind"]} kind */
export function heading(kind) {
  return {
    labels: "The model’s label",
    tags: "The model’s tag of each word",
    answer: "The model’s answer",
    choices: "The model’s choice",
  }[kind];
}

/** A table of labels: name, bar, probability, and the head's own number. @param {Labels} prediction */
function drawRows({ kind, rows, words, none }) {
  /** @type {(Row & {plain?: boolean})[]} */
  const shown =
    kind === "answer"
      ? [...rows, { t: "no answer (begin and end on the first token)", p: none ?? 0, v: null, plain: true }]
      : rows;
  const withNumber = shown.some((row) => row.v !== null);
  const withShare = shown.some((row) => row.p !== null);
  const line = (/** @type {Row & {plain?: boolean}} */ row) => {
    const bar = h("span", { class: "sl-bar" });
    bar.style.setProperty("--share", String(row.p ?? 0));
    return h(
      "tr",
      null,
      h("th", { scope: "row", class: row.plain ? "sl-none" : "sl-label" }, row.t),
      withShare ? h("td", { class: "sl-meter", "aria-hidden": "true" }, h("span", { class: "sl-track" }, bar)) : null,
      withShare ? h("td", { class: "sl-percent" }, percent(row.p ?? 0)) : null,
      withNumber ? h("td", { class: "sl-percent sl-number" }, (row.v ?? 0).toFixed(3)) : null,
    );
  };
  const name = { labels: "label", answer: "answer", choices: "choice" }[kind];
  const head = h(
    "tr",
    null,
    h("th", { scope: "col" }, name),
    withShare ? h("td", { "aria-hidden": "true" }) : null,
    withShare ? h("th", { scope: "col" }, "probability") : null,
    withNumber ? h("th", { scope: "col" }, withShare ? "logit" : "value") : null,
  );
  return h(
    "section",
    { class: "sl-group" },
    h("h3", null, heading(kind)),
    h("table", { class: "sl-rows" }, h("thead", null, head), h("tbody", null, ...shown.map(line))),
    h("p", { class: "sl-tail" }, words),
  );
}

/** Words with their tags, and every token in a table. @param {Tags} prediction */
function drawTags({ rows, tagged, words }) {
  const chips = (tagged ?? []).map(({ t, tag, p }) =>
    h(
      "li",
      { class: "sl-tagged" },
      h("span", { class: "sl-token" }, t),
      h("span", { class: "sl-tag" }, tag),
      h("span", { class: "sl-share" }, percent(p)),
    ),
  );
  const cells = (/** @type {Row} */ one) => [
    h("td", { class: "sl-label" }, one.t),
    h("td", { class: "sl-percent" }, percent(one.p ?? 0)),
  ];
  const lines = rows.map(({ t, best }) =>
    h("tr", null, h("th", { scope: "row", class: "sl-label" }, t), ...best.flatMap(cells)),
  );
  const n = Math.max(0, ...rows.map(({ best }) => best.length));
  const columns = Array.from({ length: n }, (_, i) => [
    h("th", { scope: "col" }, i ? `tag ${i + 1}` : "tag"),
    h("th", { scope: "col" }, "probability"),
  ]).flat();
  return h(
    "section",
    { class: "sl-group sl-wide" },
    h("h3", null, heading("tags")),
    h("ul", { class: "sl-tags" }, ...chips),
    h("p", { class: "sl-tail" }, words),
    h(
      "details",
      null,
      h("summary", null, "Every token, as a table"),
      h(
        "div",
        { class: "sl-scroll", tabindex: "0", role: "region", "aria-label": "Tags of every token" },
        h(
          "table",
          { class: "sl-rows" },
          h("thead", null, h("tr", null, h("th", { scope: "col" }, "token"), ...columns)),
          h("tbody", null, ...lines),
        ),
      ),
    ),
  );
}

/** @param {Similarity} similarity */
function drawSimilarity(similarity) {
  const { cosine, words, read } = similarity;
  const other = otherScore(similarity);
  const dot = h("span", { class: "sl-dot" });
  dot.style.setProperty("--place", `${place(cosine)}%`);
  return h(
    "section",
    { class: "sl-group" },
    h("p", { class: "sl-cosine" }, h("strong", null, cosine.toFixed(3)), " cosine of the two sentences’ vectors"),
    h("div", { class: "sl-line", role: "img", "aria-label": `${cosine.toFixed(3)} on a line from -1 to 1` }, dot),
    h(
      "div",
      { class: "sl-ends", "aria-hidden": "true" },
      h("span", null, "-1 opposite"),
      h("span", null, "0 unrelated"),
      h("span", null, "1 the same"),
    ),
    other ? h("p", { class: "sl-tail" }, other) : null,
    h("p", { class: "sl-tail" }, words),
    read?.length
      ? h(
          "details",
          null,
          h("summary", null, "The tokens that were read"),
          h(
            "ol",
            { class: "sl-reads" },
            ...read.map((tokens) =>
              h("li", null, ...tokens.flatMap((token) => [h("span", { class: "sl-token" }, token), " "])),
            ),
          ),
        )
      : null,
  );
}

/** @param {Prediction} prediction */
const drawPrediction = (prediction) => (prediction.kind === "tags" ? drawTags(prediction) : drawRows(prediction));

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
  const choose = (/** @type {Choice} */ choice, /** @type {number} */ which) =>
    callbacks.choose({ id: choice.id, which, nonce: Date.now() });
  exchange(
    view.body,
    ...(data.similarity
      ? [drawSimilarity(data.similarity)]
      : data.prediction
        ? [drawPrediction(data.prediction)]
        : data.groups.map((group) => drawGroup(group, data, choose))),
  );
  view.body.dataset.drawn = "true";
}

/**
 * Streamlit's entry: called again on the same element whenever the data or the theme changes.
 * @param {import("../base/mounting.js").Component<SaysData>} component
 */
export default function (component) {
  render(component.parentElement, component.data, { choose: (chosen) => component.setTriggerValue("chosen", chosen) });
}
