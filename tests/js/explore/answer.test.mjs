import assert from "node:assert/strict";
import { test } from "node:test";

import { answer, purpose, share, speaker } from "../../../assets/js/explore/first/answer.js";
import { firstColumn } from "../../../assets/js/explore/first/parking.js";
import { fromHead } from "../../../assets/js/picture/matrix.js";

const NAMES = ["[CLS]", "the", "animal", "it", ".", "[SEP]"];
const tokens = NAMES.map((t, i) => ({ t, i, p: [i], s: /** @type {0 | 1} */ (t.startsWith("[") ? 1 : 0) }));
const ROWS = [
  [0.9, 0.02, 0.02, 0.02, 0.02, 0.02],
  [0.4, 0.1, 0.3, 0.1, 0.05, 0.05],
  [0.2, 0.1, 0.5, 0.1, 0.05, 0.05],
  [0.1, 0.04, 0.68, 0.1, 0.03, 0.05],
  [0.1, 0.1, 0.1, 0.1, 0.3, 0.3],
  [0.5, 0.1, 0.1, 0.1, 0.1, 0.1],
];

/** @param {number[][]} rows */
function matrixOf(rows) {
  const [n, m] = [rows.length, rows[0].length];
  const weights = { data: Float32Array.from(rows.flat()), shape: [n, m] };
  return fromHead(/** @type {any} */ ({ meta: { n_query: n, n_key: m }, arrays: { weights } }), null);
}

const matrix = matrixOf(ROWS);
const all = { matrix, queries: tokens, keys: tokens, head: /** @type {const} */ (1), causal: false };
/** @param {any} facts */
const said = (facts) =>
  answer({ ...all, ...facts })
    .map((part) => (typeof part === "string" ? part : part.token))
    .join("");

test("the word that is pointed at is told what it looks at most, with its share", () => {
  assert.equal(said({ now: { query: 3, key: null } }), "In this head it looks most at animal (0.68).");
});

test("where a mark takes most, the word that gets most is named too", () => {
  assert.equal(
    said({ now: { query: 1, key: null } }),
    "In this head the looks most at [CLS] (0.40) and, of the words, at animal (0.30).",
  );
});

test("a cell, a column, a look at itself, and what may not be read", () => {
  assert.equal(said({ now: { query: 3, key: 1 } }), "In this head it looks at the (0.04), most at animal (0.68).");
  assert.equal(said({ now: { query: 3, key: 2 } }), "In this head it looks most at animal (0.68).");
  assert.equal(said({ now: { query: null, key: 2 } }), "In this head animal is looked at most by it (0.68).");
  assert.equal(said({ now: { query: 2, key: null } }), "In this head animal looks most at itself (0.50).");
  const causal = matrixOf([
    [1, NaN],
    [0.3, 0.7],
  ]);
  assert.equal(
    said({ matrix: causal, queries: tokens.slice(1, 3), keys: tokens.slice(2, 4), now: { query: 0, key: 1 } }),
    "In this head the may not look at it: it is masked.",
  );
});

test("a mean, a maximum, norms and what is renormalised are called so", () => {
  const now = { query: 3, key: null };
  assert.match(said({ now, head: "mean" }), /^In the mean over heads it looks most/);
  assert.match(said({ now, head: "max" }), /^In the largest of all heads it/);
  assert.match(said({ now, byNorm: true }), /it takes most from animal/);
  assert.match(said({ now, renormalised: true }), /\(0\.68 of what is shown\)/);
});

test("a share never says 0 or 1 for what is neither", () => {
  assert.deepEqual([0, 0.001, 0.5, 0.999, 1].map(share), ["0.00", "< 0.01", "0.50", "> 0.99", "1.00"]);
});

test("the strongest link between two words speaks for a head, never a mark, a full stop or a look at itself", () => {
  assert.equal(speaker(matrix, tokens, tokens, false), 3);
  const even = matrixOf(ROWS.map((row, q) => row.map((_, k) => (k === 0 || q === k ? 0.5 : 0))));
  assert.equal(speaker(even, tokens, tokens, false), -1);
  const first = tokens.slice(1).map((token, i) => ({ ...token, i, p: [i] }));
  const parked = matrixOf(
    ROWS.slice(1).map((_, q) => Array.from({ length: 5 }, (_, k) => (k === 0 ? 0.9 : k === 1 && q === 2 ? 0.1 : 0))),
  );
  assert.equal(speaker(parked, first, first, true), 2); // the first token of a causal model is where heads park
});

test("what attention is depends on what may be read", () => {
  assert.equal(purpose({ kind: "self", causal: false }), "Each word looks at other words.");
  assert.match(purpose({ kind: "self", causal: true }), /before it/);
  assert.match(purpose({ kind: "cross" }), /that were read/);
});

test("the first column is called strong only where it is the most-read one", () => {
  assert.deepEqual([firstColumn(matrix)?.most, (firstColumn(matrix)?.mean ?? 0).toFixed(2)], [true, "0.37"]);
  assert.equal(firstColumn(matrixOf(ROWS.map((row) => [...row].reverse())))?.most, false);
});
