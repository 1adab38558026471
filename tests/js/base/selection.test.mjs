import assert from "node:assert/strict";
import { test } from "node:test";

import { active, carried, initial, originalOf, positionOf, reduce } from "../../../assets/js/base/selection.js";

const run = (state, ...actions) => actions.reduce(reduce, state);
const n = { nQuery: 5, nKey: 7 };

test("hover has priority over the pin while it lasts", () => {
  const pinned = run(initial(), { type: "pin", query: 2, key: 3 });
  const hovering = run(pinned, { type: "hover", query: 4, key: null });
  assert.deepEqual(active(hovering), { query: 4, key: null });
  assert.deepEqual(active(run(hovering, { type: "leave" })), { query: 2, key: 3 });
});

test("pinning the same cell again releases it, and so does Escape", () => {
  const pinned = run(initial(), { type: "pin", query: 2, key: 3 });
  assert.equal(run(pinned, { type: "pin", query: 2, key: 3 }).pin, null);
  assert.equal(run(pinned, { type: "release" }).pin, null);
  assert.deepEqual(run(pinned, { type: "pin", query: 2 }).pin, { query: 2, key: null });
});

test("nothing that changes nothing makes a new state", () => {
  const state = run(initial(2, 3), { type: "hover", query: 1, key: 1 });
  assert.equal(reduce(state, { type: "hover", query: 1, key: 1 }), state);
  assert.equal(reduce(state, { type: "choose", layer: 2, head: 3 }), state);
  assert.equal(reduce(initial(), { type: "leave" }).hover, null);
});

test("another head keeps the pin, except where the tokens are others", () => {
  const pinned = run(initial(2, 3), { type: "pin", query: 1 });
  assert.deepEqual(reduce(pinned, { type: "choose", layer: 2, head: "mean" }).pin, { query: 1, key: null });
  assert.equal(reduce(pinned, { type: "choose", layer: 9, head: 0, keepPin: false }).pin, null);
});

test("arrows enter at the first cell, move one cell, and stop at the edge", () => {
  const first = run(initial(), { type: "step", dq: 0, dk: 1, ...n });
  assert.deepEqual(first.hover, { query: 0, key: 0 });
  const on = run(first, { type: "step", dq: 1, dk: 0, ...n }, { type: "step", dq: 0, dk: 1, ...n });
  assert.deepEqual(on.hover, { query: 1, key: 1 });
  const far = run(on, { type: "step", dq: 10, dk: 0, ...n }, { type: "step", dq: 0, dk: 10, ...n });
  assert.deepEqual(far.hover, { query: 4, key: 6 });
});

test("arrows go on from the pinned cell, and from where they were after leaving", () => {
  const pinned = run(initial(), { type: "pin", query: 2, key: 3 }, { type: "step", dq: 0, dk: -1, ...n });
  assert.deepEqual(pinned.hover, { query: 2, key: 2 });
  const back = run(
    initial(),
    { type: "step", dq: 1, dk: 0, ...n },
    { type: "step", dq: 1, dk: 0, ...n },
    { type: "leave" },
    { type: "step", dq: 1, dk: 0, ...n },
  );
  assert.deepEqual(back.hover, { query: 2, key: 0 });
});

test("Home and End go along the row", () => {
  const state = run(initial(), { type: "pin", query: 2, key: 3 }, { type: "jump", to: "row end", ...n });
  assert.deepEqual(state.hover, { query: 2, key: 6 });
  assert.deepEqual(run(state, { type: "jump", to: "row start", ...n }).hover, { query: 2, key: 0 });
  assert.deepEqual(run(state, { type: "jump", to: "end", ...n }).hover, { query: 4, key: 6 });
});

test("a pin is carried by the token's original index through hiding and words", () => {
  const words = [
    { i: 1, p: [1] },
    { i: 2, p: [2, 3, 4] },
  ];
  assert.equal(positionOf(3, words), 1);
  assert.equal(positionOf(0, words), null);
  assert.equal(positionOf(null, words), null);
  assert.equal(originalOf(1, words), 2);
  assert.equal(originalOf(null, words), null);
});

test("a pin survives a new text only on the same token at the same place", () => {
  const token = (t, i) => ({ t, i, p: [i] });
  const before = [token("the", 0), token("cat", 1)];
  assert.equal(carried(1, before, [token("the", 0), token("cat", 1), token("sat", 2)], true), 1);
  assert.equal(carried(1, before, [token("a", 0), token("dog", 1)], true), null);
  assert.equal(carried(1, before, [token("the", 0)], true), null);
  assert.equal(carried(1, before, [{ t: "cats", i: 1, p: [1, 2] }], false), 1);
  assert.equal(carried(null, before, before, true), null);
});

test("Escape takes back where the keys have walked to before it releases the pin", () => {
  const walked = run(initial(), { type: "pin", query: 2, key: 3 }, { type: "step", dq: 1, dk: 0, ...n });
  const once = run(walked, { type: "release" });
  assert.deepEqual([once.hover, once.pin], [null, { query: 2, key: 3 }]);
  assert.equal(run(once, { type: "release" }).pin, null);
  const pointed = run(initial(), { type: "pin", query: 2, key: 3 }, { type: "hover", query: 4, key: 4 });
  assert.equal(run(pointed, { type: "release" }).pin, null);
});
