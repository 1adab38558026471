import assert from "node:assert/strict";
import { test } from "node:test";

import "../support/elements.mjs"; // makes `document`
import { createSentence } from "../../../assets/js/explore/sentence.js";

/** A text of so many tokens of which only block maxima are known. @param {number} n */
function app(n) {
  const tokens = Array.from({ length: n }, (_, i) => ({ t: `w${i}`, i, p: [i], s: 0 }));
  const ramp = [
    [0, 0, 0],
    [255, 255, 255],
  ];
  return {
    queries: tokens,
    keys: tokens,
    selection: { pin: null, hover: null },
    rested: null,
    options: {},
    overview: {},
    matrix: { single: false, line: () => null },
    theme: { ramp },
    request() {},
  };
}

test("two presses on “Later tokens” before the next frame turn two pages", () => {
  const sentence = createSentence(app(700));
  sentence.draw();
  const [later] = sentence.element.all((one) => one.attributes["aria-label"] === "Later tokens").slice(-1);
  later.onclick();
  later.onclick();
  sentence.draw();
  const shown = sentence.element.all((one) => "data-at" in one.attributes);
  assert.deepEqual([shown[0].attributes["data-at"], shown.length], ["400", 200]);
});
