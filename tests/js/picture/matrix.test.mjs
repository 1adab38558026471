import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Matrix,
  blockMax,
  fromHead,
  fromOverview,
  received,
  spreadAndReach,
  strongestOf,
} from "../../../assets/js/picture/matrix.js";
import { Overview } from "../../../assets/js/picture/overview.js";
import { MASKED, U2, unpack } from "../../../assets/js/base/wire.js";
import { pack, smallOverview } from "../support/packs.mjs";

const code = (/** @type {number} */ w) => Math.round(w * 65533);

test("a single strong link stays visible however small the picture gets", () => {
  const codes = new Uint16Array(37 * 41);
  codes[23 * 41 + 29] = 60000;
  for (const block of [2, 3, 5, 7, 41]) {
    const small = blockMax(codes, 37, 41, block, block);
    assert.equal(Math.max(...small.codes), 60000);
    assert.equal(small.codes[Math.floor(23 / block) * small.cols + Math.floor(29 / block)], 60000);
  }
});

test("a block is masked only if all its cells are, and NaN if any is", () => {
  const m = U2.masked;
  const codes = Uint16Array.of(m, m, m, 5, m, m, m, m, 1, U2.nan, 2, 3);
  const small = blockMax(codes, 3, 4, 2, 2);
  assert.deepEqual([...small.codes], [m, 5, U2.nan, 3]);
});

test("a part of a picture is reduced like a picture of its own", () => {
  const codes = Uint16Array.from({ length: 35 }, (_, i) => i);
  const part = blockMax(codes, 5, 7, 2, 2, { r0: 1, c0: 2, r1: 5, c1: 7 });
  assert.equal(part.rows, 2);
  assert.equal(part.cols, 3);
  assert.deepEqual([...part.codes], [17, 19, 20, 31, 33, 34]);
});

test("rows are queries and columns are keys", () => {
  const weights = Float32Array.of(0.75, 0.25, NaN, 0, 0.5, 0.5);
  const matrix = fromHead(unpack(pack({ n_query: 2, n_key: 3 }, { weights, shape: [2, 3] })), null);
  assert.equal(matrix.at(0, 1).weight, 0.25);
  assert.equal(matrix.at(0, 2).weight, MASKED);
  assert.deepEqual([...matrix.line("query", 1).weights], [0, 0.5, 0.5]);
  assert.deepEqual([...matrix.line("key", 0).weights], [0.75, 0]);
});

test("q·k of the cell comes with an exact weight, and not where nothing may be read", () => {
  const weights = Float32Array.of(0.75, NaN, 0.5, 0.5);
  const scores = Float32Array.of(3, -8, 1, 2);
  const matrix = fromHead(unpack(pack({ n_query: 2, n_key: 2 }, { weights }, { scores })), null);
  assert.deepEqual(matrix.at(0, 0), { weight: 0.75, score: 3, exact: true, bound: false });
  assert.equal(matrix.at(0, 1).score, null);
});

test("an exact line replaces the rounded value as soon as it is there", () => {
  const codes = Uint16Array.of(code(0.1), code(0.9), code(0.3), code(0.7));
  const matrix = new Matrix({ nQuery: 2, nKey: 2, codes, rows: 2, cols: 2, quality: "rounded" });
  assert.ok(Math.abs(matrix.at(1, 0).weight - 0.3) < 8e-6);
  assert.equal(matrix.at(1, 0).exact, false);
  matrix.lines.set("query:1", { weights: Float32Array.of(0.25, 0.75), scores: Float32Array.of(4, 5) });
  assert.deepEqual(matrix.at(1, 0), { weight: 0.25, score: 4, exact: true, bound: false });
  assert.equal(matrix.line("query", 1).exact, true);
});

test("while only block maxima are known, a cell is a bound and a row is unknown", () => {
  const codes = Uint16Array.of(code(0.5), code(0.25), code(1), 0);
  const matrix = new Matrix({ nQuery: 7, nKey: 7, codes, rows: 2, cols: 2, quality: "overview" });
  assert.equal(matrix.blockQ, 4);
  assert.equal(matrix.at(5, 2).weight, 1);
  assert.equal(matrix.at(5, 2).bound, true);
  assert.equal(matrix.line("query", 5), null);
  assert.equal(received(matrix), null);
});

test("a tile gives single cells where it lies", () => {
  const matrix = new Matrix({ nQuery: 7, nKey: 7, codes: new Uint16Array(4), rows: 2, cols: 2, quality: "rounded" });
  matrix.tiles.set("4/4", {
    codes: Uint16Array.from({ length: 9 }, (_, i) => i * 100),
    rows: 3,
    cols: 3,
    row0: 4,
    col0: 4,
  });
  assert.ok(Math.abs(matrix.at(5, 6).weight - 500 / 65533) < 1e-9);
  assert.equal(matrix.at(5, 6).bound, false);
  assert.equal(matrix.at(3, 6).bound, true);
});

test("a head of the overview is the right part of the buffer", () => {
  const overview = new Overview("k", smallOverview());
  const matrix = fromOverview(overview, 1, 2);
  assert.equal(matrix.codes[0], (1 * 3 + 2) * 25);
  assert.equal(matrix.quality, "rounded");
  const mean = fromOverview(overview, "all:encoder:self", "mean");
  assert.equal(mean.quality, "overview");
  assert.equal(mean.codes[0], 4 * 9);
  assert.equal(fromOverview(overview, 1, 7), null);
});

test("the strongest come first, masked and NaN are left out, the rest is counted", () => {
  const { top, rest, sum } = strongestOf(Float32Array.of(0.1, MASKED, 0.4, NaN, 0.3, 0.2), 2);
  assert.deepEqual(
    top.map((x) => x.index),
    [2, 4],
  );
  assert.equal(rest.count, 2);
  assert.ok(Math.abs(rest.weight - 0.3) < 1e-6);
  assert.ok(Math.abs(sum - 1) < 1e-6);
});

test("spread is 0 bits on one key and log2(n) when uniform; reach is the mean distance", () => {
  assert.deepEqual(spreadAndReach(Float32Array.of(0, 1, 0), 2, [0, 1, 2]), { entropy: 0, reach: 1 });
  const { entropy, reach } = spreadAndReach(Float32Array.of(0.25, 0.25, 0.25, 0.25), 0, [0, 1, 2, 3]);
  assert.equal(entropy, 2);
  assert.equal(reach, 1.5);
});

test("the attention received is the mean over the queries that may read the key", () => {
  const m = U2.masked;
  const codes = Uint16Array.of(code(1), m, code(0.5), code(0.5));
  const mean = received(new Matrix({ nQuery: 2, nKey: 2, codes, rows: 2, cols: 2, quality: "rounded" }));
  assert.ok(Math.abs(mean[0] - 0.75) < 1e-4);
  assert.ok(Math.abs(mean[1] - 0.5) < 1e-4);
});
