/** How numbers and marks are put into words: the same everywhere on screen. */
import { MASKED } from "./wire.js";

const FEW = new Intl.NumberFormat("en");

/** 4096 → "4,096" @param {number} n */
export function count(n) {
  return FEW.format(n);
}

/** A weight with 4 decimals, or the word for what is not a weight. @param {number} weight */
export function weightText(weight) {
  if (weight === MASKED) return "masked";
  if (weight !== weight) return "not a number";
  return weight.toFixed(4);
}

/**
 * A difference as short as it is honest: 4.1e-7 → "4e-7", 0.02 → "0.02".
 * @param {number | null} x null in JSON, which has no NaN
 */
export function difference(x) {
  if (x === null || x !== x) return "not a number";
  if (x === 0) return "0";
  if (Math.abs(x) >= 1e-3) return String(Number(x.toPrecision(2)));
  return x.toExponential(0).replace("e+", "e");
}

/** @param {string} token */
export function quoted(token) {
  return `“${token}”`;
}

/**
 * What the badge says.
 *
 * @param {{head: number | "mean" | "max", nHeads: number, layers: number, meta: import("../picture/packs").HeadMeta |
 *   null, here: boolean}} facts
 *   here: the head's own answer can still come
 * @returns {{state: "ok" | "part" | "bad" | "wait" | "none", text: string, number?: string}} number: the same with the
 *   largest difference, for who asks
 */
export function badge({ head, nHeads, layers, meta, here }) {
  if (head === "mean" || head === "max") {
    const over = layers > 1 ? `${nHeads} heads in ${layers} layers` : `${nHeads} heads`;
    const text = `${head === "mean" ? "mean" : "maximum"} of ${over}`;
    return meta?.reserved ? { state: "part", text: `◐ ${text}, ${meta.reserved}` } : { state: "none", text };
  }
  if (!meta) return here ? { state: "wait", text: "checking…" } : { state: "none", text: "not checked on this page" };
  const { proof } = meta;
  if (!proof?.checks.length) return { state: "none", text: "no proof for this picture" };
  return { state: stateOf(proof.answer), text: proof.words, number: proof.text };
}

/**
 * How an answer of `attention_core.record.verdict` looks; its words are made there.
 * @param {string} answer
 * @returns {"ok" | "part" | "none" | "bad"}
 */
export function stateOf(answer) {
  if (answer === "checked") return "ok";
  if (answer === "checked except") return "part";
  return answer === "cannot be checked" ? "none" : "bad";
}

/**
 * The sentence that every map carries, true for this picture. `free`: rows that somebody gave, which need not sum to 1.
 *
 * @param {{head: number | "mean" | "max", hidden: boolean, renormalised: boolean, rowsum?: [number | null, number |
 *   null] | null, free?: boolean}} facts
 *   rowsum: smallest and largest sum of a row; null for a sum that is no number
 */
export function caption({ head, hidden, renormalised, rowsum = null, free = false }) {
  const looks = "row looks at column";
  if (head === "max") return `${looks}; the largest weight over heads, so a row may sum to more than 1`;
  if (free && !renormalised) return `${looks}; rows need not sum to 1, as whoever gave them says`;
  if (hidden && !renormalised) return `${looks}; each row sums to 1 with what is hidden`;
  const most = rowsum && !hidden ? rowsum[1] : 1;
  if (most === null) return `${looks}; no row has a sum: its weights are not numbers`;
  if (most < 0.999) return `${looks}; each row sums to 1 with the sink’s share`;
  return `${looks}; each row sums to 1`;
}

/**
 * What to do, for this screen: `hands` where there are fingers alone, and then nothing about keys.
 *
 * @param {string} keys @param {string} hands
 */
export function advice(keys, hands) {
  return globalThis.matchMedia?.("(hover: none) and (pointer: coarse)").matches ? hands : keys;
}
