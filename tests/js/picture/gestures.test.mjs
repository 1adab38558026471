import assert from "node:assert/strict";
import { test } from "node:test";

import { actionOf } from "../../../assets/js/picture/gestures.js";

const press = (key, mark = null, shiftKey = false) => actionOf({ key, shiftKey }, mark, 5, 7);

test("arrows step, ten cells with Shift; Home and Page keys jump", () => {
  const n = { nQuery: 5, nKey: 7 };
  assert.deepEqual(press("ArrowUp"), { type: "step", dq: -1, dk: 0, ...n });
  assert.deepEqual(press("ArrowRight", null, true), { type: "step", dq: 0, dk: 10, ...n });
  assert.deepEqual(press("End"), { type: "jump", to: "row end", ...n });
  assert.deepEqual(press("PageUp"), { type: "jump", to: "start", ...n });
});

test("what is not marked cannot be pinned, and other keys are nobody's", () => {
  const cell = { query: 2, key: 0 };
  assert.deepEqual(press("Enter", cell), { type: "pin", ...cell });
  assert.deepEqual(press("q", cell), { type: "pin", query: 2 });
  assert.deepEqual(press("k", cell), { type: "pin", key: 0 }); // the first key is a key
  assert.equal(press("k", { query: 2, key: null }), null);
  for (const key of ["Enter", "q", "k", "x"]) assert.equal(press(key), null);
});
