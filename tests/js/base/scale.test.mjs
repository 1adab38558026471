import assert from "node:assert/strict";
import { test } from "node:test";

import { contrast, lookup, parseColour, pixel, rampAt, textOn } from "../../../assets/js/base/scale.js";

const ramp = [
  [246, 243, 239],
  [177, 144, 188],
  [35, 21, 79],
];

test("a weight of 0 has the first colour, of 1 the last, and one between two stops lies between them", () => {
  assert.deepEqual(rampAt(ramp, 0), ramp[0]);
  assert.deepEqual(rampAt(ramp, 1), ramp[2]);
  assert.deepEqual(rampAt(ramp, 0.25), [212, 194, 214]);
  assert.deepEqual(rampAt(ramp, 7), ramp[2]);
});

test("computed colours are read in each way that a browser writes them", () => {
  assert.deepEqual(parseColour("rgb(1, 2, 3)"), [1, 2, 3]);
  assert.deepEqual(parseColour("rgba(1, 2, 3, 0.5)"), [1, 2, 3]);
  assert.deepEqual(parseColour("color(srgb 1 0.5 0)"), [255, 128, 0]);
  assert.deepEqual(parseColour("#0a0b0c"), [10, 11, 12]);
  assert.equal(parseColour("oklch(0.5 0.1 30)"), null);
});

test("text on any colour of the scale can be read (WCAG AA, 4.5 to 1)", () => {
  for (let x = 0; x <= 1; x += 0.01) {
    const ground = rampAt(ramp, x);
    assert.ok(contrast(ground, textOn(ground)) >= 4.5, `${x}`);
  }
});

test("the masked code is transparent, NaN has a colour outside the scale, 0 the first colour", () => {
  const table = lookup({ ramp, nan: [194, 65, 12] });
  assert.equal(table[255], 0);
  assert.equal(table[254], pixel([194, 65, 12]));
  assert.equal(table[0], pixel(ramp[0]));
  assert.equal(table[253], pixel(ramp[2]));
});

test("scaled per head, the head's largest weight gets the last colour", () => {
  const table = lookup({ ramp, nan: [0, 0, 0] }, 0.5);
  assert.equal(table[127], pixel(ramp[2]));
  assert.equal(table[0], pixel(ramp[0]));
});
