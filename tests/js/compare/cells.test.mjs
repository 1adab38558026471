/** What is said of a cell of two heads, and which tokens are put together by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Cells,
  fixedWith,
  headAt,
  indexOf,
  labelOf,
  nameOf,
  pairsIn,
  ranked,
  sentence,
  signed,
} from "../../../assets/js/compare/cells.js";
import { cellsCsv } from "../../../assets/js/compare/sheet.js";

const bank = { a: "bank", b: "bank", i: [1], j: [1], same: true };
const river = { a: "river", b: "city", i: [2], j: [2], same: false };
const then = { a: null, b: "then", i: [], j: [3], same: false };
const nan = NaN;

/** Two rows and three columns; the last column is B's alone, one cell is masked on both sides. */
function cells() {
  const arrays = {
    a: { data: Float32Array.of(0.75, 0.25, nan, 1, nan, nan), shape: [2, 3] },
    b: { data: Float32Array.of(0.25, 0.25, 0.5, 0.5, nan, 0.5), shape: [2, 3] },
    difference: { data: Float32Array.of(0.5, 0, nan, 0.5, nan, nan), shape: [2, 3] },
    of_a: { data: Uint8Array.of(0, 0, 2, 0, 1, 2), shape: [2, 3] },
    of_b: { data: Uint8Array.of(0, 0, 0, 0, 1, 0), shape: [2, 3] },
    apart: { data: Float32Array.of(0.5, 0.5), shape: [2] },
  };
  const meta = {
    rows: [bank, river],
    columns: [bank, river, then],
    top: 0.5,
    mean: 0.5,
    says: "",
    notes: [],
    by: "tokens",
  };
  return new Cells({ meta, arrays });
}

test("a cell is said with both sides' numbers, the sign, and who has more", () => {
  const said = sentence(cells(), { query: 0, key: 0 });
  assert.equal(said, "“bank” looks at “bank”: A 0.75, B 0.25; A − B +0.50, more in A");
});

test("what one side has not, or may not read, is no zero", () => {
  assert.match(sentence(cells(), { query: 0, key: 2 }), /“then” \(B only\): A not in A, B 0\.50; no difference/);
  assert.match(sentence(cells(), { query: 1, key: 1 }), /A masked, B masked; no difference/);
});

test("signs are written, and a difference that rounds to nothing has none", () => {
  assert.deepEqual([signed(0.314), signed(-0.2), signed(-0.001), signed(nan)], ["+0.31", "−0.20", "0.00", ""]);
});

test("names and labels tell both sides", () => {
  assert.equal(nameOf(river), "“river” in A, “city” in B");
  assert.deepEqual(
    [labelOf(river, "both"), labelOf(then, "a"), labelOf(then, "both")],
    ["river/city", "–", "then (B)"],
  );
});

test("a word that two tokenizers write in their own way has one name, and each side's label is its own", () => {
  const sat = { a: "sat", b: "·sat", i: [2], j: [1], same: true };
  assert.deepEqual([nameOf(sat), labelOf(sat, "both"), labelOf(sat, "b")], ["“sat”", "sat", "·sat"]);
});

test("codes of the difference: 127 is 0, the scale's end is 126 from it, 255 is one side's alone or masked", () => {
  assert.deepEqual([...cells().signed(0.5)], [253, 127, 255, 253, 255, 255]);
  assert.deepEqual([...cells().signed(1)].slice(0, 2), [190, 127]);
});

test("a row is ranked by the size of its differences, what has none last", () => {
  assert.deepEqual(ranked(cells(), 0), [0, 1, 2]);
});

test("tokens put together by hand take apart what they cross", () => {
  assert.equal(fixedWith("", 3, 4), "3-4");
  assert.equal(fixedWith("1-1_5-6", 3, 4), "1-1_3-4_5-6");
  assert.equal(fixedWith("1-5_6-7", 3, 4), "3-4_6-7");
  assert.deepEqual(pairsIn("3-4_5-6"), [[3, 4], [5, 6]]); // prettier-ignore
});

test("a place in a list of heads is a layer and a head, and back", () => {
  const layers = [{ n_heads: 3 }, { n_heads: 5 }];
  assert.deepEqual(headAt(layers, 4), { layer: 1, head: 1 });
  assert.equal(indexOf(layers, 1, 1), 4);
  assert.equal(headAt(layers, 8), null);
});

test("the table has a line for each cell, and says why a number is missing", () => {
  const lines = cellsCsv(cells()).split("\r\n");
  assert.equal(lines.length, 1 + 6 + 1);
  assert.equal(lines[1], "bank,bank,bank,bank,0.75,0.25,0.5,");
  assert.equal(lines[3], "bank,bank,,then,,0.5,,not in A");
});
