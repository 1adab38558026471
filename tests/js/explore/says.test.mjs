import assert from "node:assert/strict";
import { test } from "node:test";

import { heading, otherScore, percent, place, rest, spread } from "../../../assets/js/explore/says.js";

test("a probability is never said to be 0 or 100 % when it is neither", () => {
  assert.equal(percent(0.25), "25.0 %");
  assert.equal(percent(0.00001), "< 0.1 %");
  assert.equal(percent(0.99999), "> 99.9 %");
  assert.equal(percent(0), "0.0 %");
  assert.equal(percent(1), "100.0 %");
});

test("what is not shown is summed up, unless everything is shown", () => {
  const choices = [
    { id: 0, t: "a", p: 0.5 },
    { id: 1, t: "b", p: 0.25 },
  ];
  assert.equal(rest(choices, 1002), "all 1,000 others together: 25.0 %");
  assert.equal(rest(choices, 2), "");
});

test("rounding never leaves less than nothing for the others", () => {
  assert.equal(rest([{ id: 0, t: "a", p: 1.0000001 }], 3), "all 2 others together: 0.0 %");
});

test("the spread names its ends", () => {
  assert.equal(spread(1.5, 512), "spread 1.50 bits (0 = certain, 9.0 = no idea)");
});

test("a cosine has its place between -1 and 1", () => {
  assert.deepEqual([-1, 0, 1, 1.00001].map(place), [0, 50, 100, 100]);
});

test("a model that compares in another way than by the cosine says by which", () => {
  assert.equal(
    otherScore({ cosine: 0.5, words: "", function: "dot", score: 21.5 }),
    "21.500 dot product, which this model compares by",
  );
  assert.equal(otherScore({ cosine: 0.5, words: "", function: "cosine", score: 0.5 }), "");
  assert.equal(otherScore({ cosine: 0.5, words: "" }), "");
});

test("every kind of prediction has a heading", () => {
  for (const kind of ["labels", "tags", "answer", "choices"])
    assert.ok(heading(/** @type {any} */ (kind)).startsWith("The model’s"));
});
