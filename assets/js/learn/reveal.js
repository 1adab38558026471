/**
 * What was predicted and what is so, in one picture: bars with both, and the numbers beside them.
 *
 * @typedef {import("./told.d.ts").Question} Question
 * @typedef {import("./told.d.ts").Answer} Answer
 * @typedef {import("./told.d.ts").Marked} Marked
 * @typedef {{name: string, so: number, yours: number | null, mark: string}} Row
 */
import { h } from "../base/dom.js";

const VERDICT_WORDS = { right: "✓ Right.", nearly: "≈ Nearly.", no: "✕ Not so.", shown: "Shown." };
/** Heads that are listed beside the one that was named. */
const BEST = 5;

/** @param {Question} question @param {Answer} answer @param {Marked} marked */
export function createReveal(question, answer, marked) {
  return h(
    "div",
    { class: "sl-learn-reveal", "data-verdict": marked.verdict },
    h(
      "p",
      { class: "sl-learn-verdict", tabindex: "-1" },
      h("b", null, VERDICT_WORDS[marked.verdict]),
      " ",
      marked.says,
    ),
    picture(question, rowsOf(question, answer, marked.values)),
    h("p", null, marked.why),
  );
}

/**
 * The rows of the picture, in the order of the question.
 * @param {Question} question @param {Answer} answer @param {number[]} values @returns {Row[]}
 */
export function rowsOf({ kind, words, among }, answer, values) {
  if (kind === "number") {
    const yours = typeof answer === "number" ? answer : null;
    return [{ name: "the number", so: values[0], yours, mark: "" }];
  }
  if (kind === "sketch") {
    const drawn = Array.isArray(answer) ? /** @type {number[]} */ (answer) : null;
    const sum = drawn?.reduce((a, b) => a + b, 0) ?? 0;
    return among.map((place, i) => ({
      name: words[place],
      so: values[i],
      yours: drawn && sum ? drawn[i] / sum : null,
      mark: "",
    }));
  }
  const rows = words.map((name, i) => ({ name, so: values[i], yours: null, mark: "" }));
  if (kind === "find-head") return best(rows, answer);
  rows.forEach((row, i) => {
    if (kind === "point" ? answer === i : answer === row.name) row.mark = "you";
  });
  if (kind === "order" && Array.isArray(answer)) {
    const given = /** @type {string[]} */ (answer);
    rows.forEach((row) => (row.mark = `your ${given.indexOf(row.name) + 1}.`));
    rows.sort((a, b) => a.so - b.so);
  }
  return rows;
}

/** The best heads, and the one that was named. @param {Row[]} rows @param {Answer} answer @returns {Row[]} */
function best(rows, answer) {
  const ordered = [...rows].sort((a, b) => b.so - a.so);
  return ordered
    .filter((row, i) => i < BEST || row.name === answer)
    .map((row) => (row.name === answer ? { ...row, mark: "you" } : row));
}

/** @param {Question} question @param {Row[]} rows */
function picture({ kind, words, query }, rows) {
  const drawn = rows.some((row) => row.yours !== null);
  const most = Math.max(1e-9, ...rows.flatMap((row) => [Math.abs(row.so), Math.abs(row.yours ?? 0)]));
  const full = kind === "point" || kind === "sketch" || kind === "find-head" ? Math.max(1, most) : most;
  const of = {
    point: "share",
    sketch: "share",
    number: "number",
    order: "number",
    which: "number",
    "find-head": "score",
  };
  const whose = query === null ? "" : ` Row of “${words[query]}”.`;
  const scale = full === 1 ? "Bars run from 0 to 1." : `The longest bar is ${format(most)}.`;
  const said = `What is so${drawn ? ", and what you said" : ""}.${whose} ${scale}`;
  return h(
    "table",
    { class: "sl-learn-picture" },
    h("caption", null, said),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col" }, kind === "find-head" ? "head" : "what"),
        h("th", { scope: "col" }, of[kind]),
        drawn && h("th", { scope: "col" }, "yours"),
        h("td", { class: "sl-learn-track", "aria-hidden": "true" }),
      ),
    ),
    h("tbody", null, ...rows.map((row) => line(row, full, drawn))),
  );
}

/** @param {Row} row @param {number} full @param {boolean} drawn */
function line({ name, so, yours, mark }, full, drawn) {
  /** @param {number} value */
  const width = (value) => `--w: ${((100 * Math.abs(value)) / full).toFixed(2)}%`;
  return h(
    "tr",
    { "data-yours": mark === "you" || null },
    h("th", { scope: "row" }, h("bdi", null, name), mark && h("span", { class: "sl-learn-mark" }, ` ${mark}`)),
    h("td", { class: "sl-number" }, format(so)),
    drawn && h("td", { class: "sl-number" }, yours === null ? "–" : format(yours)),
    h(
      "td",
      { class: "sl-learn-track", "aria-hidden": "true" },
      h("span", { class: "sl-learn-so", style: width(so), "data-below": so < 0 || null }),
      yours !== null && h("span", { class: "sl-learn-yours", style: width(yours), "data-below": yours < 0 || null }),
    ),
  );
}

/** @param {number} value */
const format = (value) => value.toFixed(2).replace("-", "−");
