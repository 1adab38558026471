import assert from "node:assert/strict";
import { test } from "node:test";

import { badge, caption, count, difference, weightText } from "../../assets/js/words.js";
import { MASKED } from "../../assets/js/wire.js";

const facts = { head: 3, nHeads: 12, layers: 1, here: true };
const check = { name: "weights", difference: 3e-8, tolerance: 1e-5, holds: true };

test("the badge says how closely the head matches the model", () => {
  assert.deepEqual(badge({ ...facts, meta: { proof: { holds: true, worst: 4.1e-7, checks: [check] } } }), { state: "ok", text: "✓ matches the model to 4e-7" });
});

test("the badge claims no match where the model gave its weights only", () => {
  assert.deepEqual(badge({ ...facts, meta: { proof: { only: "weights only", holds: true, worst: 0, checks: [check] } } }), { state: "none", text: "weights only" });
});
test("the badge names the step that fails, its difference and the tolerance", () => {
  const failed = { ...check, difference: 0.0203, holds: false };
  const { state, text } = badge({ ...facts, meta: { proof: { holds: false, worst: 0.0203, checks: [{ ...check, name: "q" }, failed] } } });
  assert.equal(state, "bad");
  assert.equal(text, "✗ weights differ by 0.02 (tolerance 1e-5)");
});

test("the badge says that a step is not a number, not by how much it differs", () => {
  const said = (/** @type {string} */ name) => badge({ ...facts, meta: { proof: { holds: false, worst: null, checks: [{ ...check, name, difference: null, holds: false }] } } });
  assert.deepEqual(said("v"), { state: "bad", text: "✗ v is not a number" });
  assert.deepEqual(said("weights"), { state: "bad", text: "✗ weights are not numbers" });
});

test("no check is never shown as a match", () => {
  assert.equal(badge({ ...facts, meta: { proof: { holds: true, worst: 0, checks: [] } } }).state, "none");
  assert.equal(badge({ ...facts, meta: { proof: null } }).state, "none");
  assert.deepEqual(badge({ ...facts, meta: null }), { state: "wait", text: "checking…" });
  assert.equal(badge({ ...facts, meta: null, here: false }).state, "none");
});

test("a difference that is not a number is said to be none", () => {
  assert.equal(difference(null), "not a number");
  assert.equal(difference(NaN), "not a number");
  assert.equal(difference(0), "0");
});

test("means and maxima say of what", () => {
  assert.equal(badge({ ...facts, head: "mean", meta: null }).text, "mean of 12 heads");
  assert.equal(badge({ ...facts, head: "max", layers: 6, meta: null }).text, "maximum of 12 heads in 6 layers");
});

test("the sentence under the map is true for what is hidden, for maxima and for sinks", () => {
  assert.equal(caption({ head: 1, hidden: false, renormalised: false, rowsum: [1, 1] }), "row looks at column; each row sums to 1");
  assert.match(caption({ head: 1, hidden: true, renormalised: false }), /with what is hidden/);
  assert.equal(caption({ head: 1, hidden: true, renormalised: true }), "row looks at column; each row sums to 1");
  assert.match(caption({ head: "max", hidden: false, renormalised: false }), /more than 1/);
  assert.match(caption({ head: 1, hidden: false, renormalised: false, rowsum: [0.2, 0.7] }), /sink/);
});

test("masked and NaN are words, never 0.0000", () => {
  assert.equal(weightText(MASKED), "masked");
  assert.equal(weightText(NaN), "not a number");
  assert.equal(weightText(0.43124), "0.4312");
  assert.equal(count(4096), "4,096");
});
