import assert from "node:assert/strict";
import { test } from "node:test";

import { badge, caption, count, difference, weightText } from "../../../assets/js/base/words.js";
import { MASKED } from "../../../assets/js/base/wire.js";

const facts = { head: 3, nHeads: 12, layers: 1, here: true };
const check = { name: "weights", difference: 3e-8, tolerance: 1e-5, holds: true };

test("the badge says what the proof comes to, in the words that came with it; each answer looks its own way", () => {
  const said = (/** @type {string} */ answer, /** @type {string} */ words, text = words) =>
    badge({ ...facts, meta: { proof: { answer, words, text, reasons: [], checks: [check] } } });
  assert.deepEqual(said("checked", "✓ checked: recomputed", "✓ checked: matches the model to 4e-7"), {
    state: "ok",
    text: "✓ checked: recomputed",
    number: "✓ checked: matches the model to 4e-7",
  });
  for (const [answer, state, words] of [
    ["checked except", "part", "◐ checked, except: q not observed"],
    ["cannot be checked", "none", "○ cannot be checked: it hides q and k"],
    ["differs", "bad", "✗ v is not a number"],
  ])
    assert.deepEqual(said(answer, words), { state, text: words, number: words });
});

test("a mean says what loading dropped, though it has no proof", () => {
  const meta = { proof: null, reserved: "except: what loading dropped or made up" };
  assert.deepEqual(badge({ ...facts, head: "mean", meta }), {
    state: "part",
    text: "◐ mean of 12 heads, except: what loading dropped or made up",
  });
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
  assert.equal(
    caption({ head: 1, hidden: false, renormalised: false, rowsum: [1, 1] }),
    "row looks at column; each row sums to 1",
  );
  assert.match(caption({ head: 1, hidden: true, renormalised: false }), /with what is hidden/);
  assert.equal(caption({ head: 1, hidden: true, renormalised: true }), "row looks at column; each row sums to 1");
  assert.match(caption({ head: "max", hidden: false, renormalised: false }), /more than 1/);
  assert.match(caption({ head: 1, hidden: false, renormalised: false, rowsum: [0.2, 0.7] }), /sink/);
  // JSON has null for a sum of what is not a number: no sink has taken that.
  const lost = caption({ head: 1, hidden: false, renormalised: false, rowsum: [null, null] });
  assert.match(lost, /not numbers/);
  assert.doesNotMatch(lost, /sink|sums to 1/);
  const free = { head: 1, hidden: false, renormalised: false, rowsum: [0.2, 0.7], free: true };
  assert.match(caption(free), /need not sum to 1/);
  assert.equal(caption({ ...free, renormalised: true, rowsum: [1, 1] }), "row looks at column; each row sums to 1");
});

test("masked and NaN are words, never 0.0000", () => {
  assert.equal(weightText(MASKED), "masked");
  assert.equal(weightText(NaN), "not a number");
  assert.equal(weightText(0.43124), "0.4312");
  assert.equal(count(4096), "4,096");
});
