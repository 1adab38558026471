import assert from "node:assert/strict";
import { test } from "node:test";

import { rowsOf } from "../../../assets/js/learn/reveal.js";

const question = (/** @type {object} */ more) => ({
  kind: "point",
  asks: "?",
  why_not: "",
  words: ["[CLS]", "the", "fox", "[SEP]"],
  among: [1, 2],
  query: 2,
  digits: null,
  ...more,
});

test("what was pointed at is marked, by its place and not by its word", () => {
  const rows = rowsOf(question({ words: ["the", "fox", "the"], among: [0, 1, 2] }), 2, [0.2, 0.5, 0.3]);
  assert.deepEqual(
    rows.map(({ name, so, mark }) => [name, so, mark]),
    [
      ["the", 0.2, ""],
      ["fox", 0.5, ""],
      ["the", 0.3, "you"],
    ],
  );
});

test("drawn bars of any size stand as shares beside what is so", () => {
  const rows = rowsOf(question({ kind: "sketch" }), [30, 10], [0.25, 0.75]);
  assert.deepEqual(
    rows.map(({ name, so, yours }) => [name, so, yours]),
    [
      ["the", 0.25, 0.75],
      ["fox", 0.75, 0.25],
    ],
  );
});

test("an order stands as it is so, each with the place that it was given", () => {
  const rows = rowsOf(question({ kind: "order", words: ["a", "b", "c"] }), ["c", "a", "b"], [2, 3, 1]);
  assert.deepEqual(
    rows.map(({ name, mark }) => [name, mark]),
    [
      ["c", "your 1."],
      ["a", "your 2."],
      ["b", "your 3."],
    ],
  );
});

test("of heads the best are shown, and the one that was named, however low", () => {
  const words = ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2", "2.0"];
  const rows = rowsOf(question({ kind: "find-head", words }), "0.0", [0, 0.1, 0.6, 0.5, 0.4, 0.3, 0.2]);
  assert.deepEqual(
    rows.map(({ name }) => name),
    ["0.2", "1.0", "1.1", "1.2", "2.0", "0.0"],
  );
  assert.equal(rows.at(-1)?.mark, "you");
});

test("nothing was said: nothing stands beside what is so", () => {
  assert.equal(rowsOf(question({ kind: "number" }), null, [1.5])[0].yours, null);
  assert.ok(rowsOf(question({ kind: "sketch" }), null, [0.25, 0.75]).every(({ yours }) => yours === null));
});
