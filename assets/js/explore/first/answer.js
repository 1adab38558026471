/**
 * The answer in words: what attention is, what the word that is pointed at looks at in this head, and what a mark such
 * as [CLS] is. It stands in a place of fixed height, so that nothing moves while the pointer does.
 *
 * @typedef {import("../app.js").App} App
 * @typedef {import("../../picture/overview.js").Token} Token
 * @typedef {import("../../base/selection.js").Mark} Mark
 * @typedef {{token: string, role: "query" | "key"}} Named
 * @typedef {(string | Named)[]} Sentence  with the tokens that it names
 */
import { h } from "../../base/dom.js";
import { strongestOf } from "../../picture/matrix.js";
import { active } from "../../base/selection.js";
import { MASKED } from "../../base/wire.js";
import { createSigns, unknown } from "./signs.js";

/** Of longer matrices the strongest link is not looked for among all cells. */
const MOST_CELLS = 250_000;
/** Characters of a token that a sentence shows. */
const LONGEST = 24;

/** @param {string} t @param {"query" | "key"} role @returns {Named} */
const named = (t, role) => ({ token: t.length > LONGEST ? `${t.slice(0, LONGEST)}…` : t, role });

/** A share with two decimals, never 0 or 1 for what is neither. @param {number} w */
export function share(w) {
  if (w > 0 && w < 0.005) return "< 0.01";
  if (w < 1 && w >= 0.995) return "> 0.99";
  return w.toFixed(2);
}

/** What attention is, for this kind of layer. @param {{kind: string, causal?: boolean} | null} layer */
export function purpose(layer) {
  if (layer?.kind === "cross") return "Each word that is written looks at the words that were read.";
  return layer?.causal ? "Each word looks at itself and the words before it." : "Each word looks at other words.";
}

/**
 * Does attention often rest here, whatever the text says?
 * @param {Token} token
 * @param {number} at
 * @param {boolean} causal
 */
const rests = (token, at, causal) => Boolean(token.s) || (causal && at === 0);

/** Is this a word, and not a mark or a sign of punctuation? @param {Token | undefined} token */
const isWord = (token) => token !== undefined && !token.s && /[\p{L}\p{N}]/u.test(token.t);

/**
 * The query of the strongest link between two words of this head; -1 if no words are linked. It speaks for a head as
 * long as nothing is pointed at.
 *
 * @param {Pick<import("../../picture/matrix.js").Matrix, "single" | "nQuery" | "nKey" | "at" | "meta">} matrix
 * @param {Token[]} queries @param {Token[]} keys @param {boolean} causal
 */
export function speaker(matrix, queries, keys, causal) {
  let best = { q: -1, w: 0 };
  const look = (/** @type {number} */ q, /** @type {number} */ k, /** @type {number} */ w) => {
    if (w > best.w && isWord(keys[k]) && !rests(keys[k], k, causal) && !(queries === keys && q === k)) best = { q, w };
  };
  if (matrix.single && matrix.nQuery * matrix.nKey <= MOST_CELLS) {
    for (let q = 0; q < matrix.nQuery; q++) {
      if (!isWord(queries[q])) continue;
      for (let k = 0; k < matrix.nKey; k++) look(q, k, matrix.at(q, k).weight);
    }
  } else for (const { q, k, w } of matrix.meta?.strongest ?? []) if (isWord(queries[q])) look(q, k, w);
  return best.q;
}

/**
 * What the marked word, or cell, does in this head.
 *
 * @param {object} facts
 * @param {import("../../picture/matrix.js").Matrix} facts.matrix
 * @param {Mark} facts.now
 * @param {Token[]} facts.queries @param {Token[]} facts.keys
 * @param {import("../../base/selection.js").Head} facts.head
 * @param {boolean} facts.causal
 * @param {boolean} [facts.byNorm]  shares of what is moved, not weights
 * @param {boolean} [facts.renormalised]  shares of what is shown
 * @returns {Sentence}
 */
export function answer({ matrix, now, queries, keys, head, causal, byNorm = false, renormalised = false }) {
  const where = { mean: "In the mean over heads ", max: "In the largest of all heads " }[head] ?? "In this head ";
  const of = renormalised ? " of what is shown" : "";
  const number = (/** @type {number} */ w) => ` (${share(w)}${of})`;
  const looks = byNorm ? "takes" : "looks";
  const at = byNorm ? "from" : "at";
  if (now.query === null) {
    const key = /** @type {number} */ (now.key);
    const best = top(matrix.line("key", key)?.weights, () => true);
    const name = named(keys[key]?.t ?? "", "key");
    if (!best) return [where, name, " is looked at by words that this picture does not tell apart."];
    const by = named(queries[best.index]?.t ?? "", "query");
    return [where, name, ` ${byNorm ? "gives most to" : "is looked at most by"} `, by, `${number(best.weight)}.`];
  }
  const query = now.query;
  const who = named(queries[query]?.t ?? "", "query");
  const weights = matrix.line("query", query)?.weights;
  const what = (/** @type {number} */ k) =>
    queries === keys && k === query ? "itself" : named(keys[k]?.t ?? "", "key");
  const best = top(weights, () => true);
  if (!weights) return [where, who, ` ${looks} ${at} words that this picture does not tell apart yet.`];
  if (!best) return [where, who, " may read nothing."];
  const most = [what(best.index), number(best.weight)];
  if (now.key !== null && now.key !== best.index) {
    const weight = weights[now.key];
    if (weight === MASKED)
      return [where, who, " may not look at ", named(keys[now.key]?.t ?? "", "key"), ": it is masked."];
    return [where, who, ` ${looks} ${at} `, what(now.key), `${number(weight)}, most ${at} `, ...most, "."];
  }
  const word = top(weights, (k) => isWord(keys[k]) && !rests(keys[k], k, causal));
  if (now.key === null && word && word.index !== best.index && rests(keys[best.index], best.index, causal))
    return [
      where,
      who,
      ` ${looks} most ${at} `,
      ...most,
      ` and, of the words, ${at} `,
      what(word.index),
      `${number(word.weight)}.`,
    ];
  return [where, who, ` ${looks} most ${at} `, ...most, "."];
}

/**
 * The largest weight of a line among these places.
 * @param {Float32Array | undefined} weights
 * @param {(at: number) => boolean} counts
 */
function top(weights, counts) {
  if (!weights) return null;
  return (
    strongestOf(
      weights.map((w, at) => (counts(at) ? w : NaN)),
      1,
    ).top[0] ?? null
  );
}

/** @param {App} app */
export function createAnswer(app) {
  const element = h("p", { class: "sl-answer", "data-testid": "sl-answer" });
  const signs = createSigns(() => app.request(1));
  /** @type {{matrix: App["matrix"], query: number}} */
  let spoken = { matrix: null, query: -1 };
  let drawn = "";

  function draw() {
    const { matrix, overview, selection, queries, keys } = app;
    if (!matrix || !overview) return;
    const layer = overview.layerOf(selection.layer);
    const causal = Boolean(layer?.causal);
    const marked = active(selection);
    if (!marked && spoken.matrix !== matrix) spoken = { matrix, query: speaker(matrix, queries, keys, causal) };
    const now = marked ?? (spoken.query < 0 ? null : { query: spoken.query, key: null });
    const read = app.hiding();
    const said = now
      ? answer({
          matrix,
          now,
          queries,
          keys,
          head: selection.head,
          causal,
          byNorm: Boolean(app.data.options?.by_norm),
          renormalised: read.renormalised,
        })
      : [];
    const pointed = [marked?.key ?? null, marked?.query ?? null].map((at, i) =>
      at === null ? undefined : (i ? queries : keys)[at],
    );
    const sign = signs.of(pointed.filter((token) => token !== undefined));
    const missing = unknown(keys);
    const tail =
      sign || [missing, now ? "Point at another word." : "Point at a word to see at what."].filter(Boolean).join(" ");
    show([`${purpose(layer)} `, ...said, ` ${tail}`]);
  }

  /** @param {Sentence} sentence */
  function show(sentence) {
    const text = sentence.map((part) => (typeof part === "string" ? part : part.token)).join("");
    if (text === drawn) return;
    drawn = text;
    element.title = text; // where a long token leaves too little room
    element.replaceChildren(
      ...sentence.map((part) =>
        typeof part === "string" ? part : h("bdi", { class: `sl-mono sl-${part.role}` }, part.token),
      ),
    );
  }

  return { element, draw };
}
