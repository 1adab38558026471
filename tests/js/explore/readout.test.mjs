import assert from "node:assert/strict";
import { test } from "node:test";

import { scored } from "../../../assets/js/explore/readout.js";

/** @param {boolean | undefined} exact @param {any} [selection] @param {any} [options] */
const app = (exact, selection = { layer: 0, head: 1 }, options = {}) =>
  /** @type {any} */ ({ overview: { layerOf: () => ({ exact }) }, selection, options });

test("q·k is promised for one head, piece by piece, of a layer that has q and k", () => {
  assert.equal(scored(app(true)), true);
});

test("nothing promises q·k where only weights are known, of a mean, of all layers, or of whole words", () => {
  assert.equal(scored(app(false)), false);
  assert.equal(scored(app(true, { layer: 0, head: "mean" })), false);
  assert.equal(scored(app(true, { layer: "all:encoder:self", head: "mean" })), false);
  assert.equal(scored(app(true, { layer: 0, head: 1 }, { words: true })), false);
});
