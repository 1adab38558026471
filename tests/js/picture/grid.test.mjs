import assert from "node:assert/strict";
import { test } from "node:test";

import { choiceAt, corner, geometry, hit, neighbour, placeOf, walk } from "../../../assets/js/picture/grid.js";
import { Overview, groupsOf } from "../../../assets/js/picture/overview.js";
import { smallOverview } from "../support/packs.mjs";

const everything = { has: () => true };
const layer = (stack, kind, n_heads = 3, n_kv_heads = n_heads) => ({ stack, kind, n_heads, n_kv_heads });
const encoderDecoder = groupsOf(
  [
    layer("encoder", "self"),
    layer("encoder", "self"),
    layer("decoder", "self"),
    layer("decoder", "cross"),
    layer("decoder", "self"),
    layer("decoder", "cross"),
  ],
  everything,
);

test("layers are grouped by stack and kind, in order of appearance", () => {
  assert.deepEqual(
    encoderDecoder.map((g) => [g.id, g.layers]),
    [
      ["encoder:self", [0, 1]],
      ["decoder:self", [2, 4]],
      ["decoder:cross", [3, 5]],
    ],
  );
});

test("every thumbnail is hit at its own middle, and names one choice", () => {
  const [group] = encoderDecoder;
  const g = geometry(420, group, 14);
  for (let row = 0; row <= group.layers.length; row++) {
    for (let col = 0; col < group.nHeads + 2; col++) {
      const { x, y } = corner(g, row, col);
      const found = hit(g, group, x + g.thumb / 2, y + g.thumb / 2);
      const aggregateRow = row === group.layers.length;
      assert.deepEqual(found, aggregateRow && col < group.nHeads ? null : { row, col });
      if (!found) continue;
      const { layer: name, head } = choiceAt(group, row, col);
      assert.deepEqual(placeOf(encoderDecoder, name, head), { group: 0, row, col });
    }
  }
  assert.equal(hit(g, group, 2, 2), null);
});

test("the atlas fits its column while thumbnails are at least 16 pixels", () => {
  for (const width of [330, 440, 700]) {
    const g = geometry(width, { ...encoderDecoder[0], nHeads: 12, nKvHeads: 12 }, 14);
    assert.ok(g.width <= width, `${g.width} in ${width}`);
  }
});

test("arrows walk the grid, the aggregates and the next group, and stop at the ends", () => {
  const at = (group, row, col) => ({ group, row, col });
  assert.deepEqual(walk(encoderDecoder, at(0, 0, 0), "ArrowRight"), at(0, 0, 1));
  assert.deepEqual(walk(encoderDecoder, at(0, 0, 2), "ArrowRight"), at(0, 0, 3));
  assert.deepEqual(walk(encoderDecoder, at(0, 0, 0), "ArrowLeft"), at(0, 0, 0));
  assert.deepEqual(walk(encoderDecoder, at(0, 1, 0), "ArrowDown"), at(0, 2, 3));
  assert.deepEqual(walk(encoderDecoder, at(0, 2, 4), "ArrowDown"), at(1, 0, 4));
  assert.deepEqual(walk(encoderDecoder, at(1, 0, 4), "ArrowUp"), at(0, 2, 4));
  assert.deepEqual(walk(encoderDecoder, at(0, 1, 4), "Home"), at(0, 1, 0));
  assert.deepEqual(walk(encoderDecoder, at(0, 1, 0), "End"), at(0, 1, 2));
  const top = at(0, 0, 1);
  assert.equal(walk(encoderDecoder, top, "ArrowUp"), top);
});

test("previous and next go through all heads in reading order", () => {
  let place = { group: 0, row: 0, col: 0 };
  const seen = new Set();
  for (let i = 0; i < 40; i++) {
    seen.add(JSON.stringify(place));
    place = neighbour(encoderDecoder, place, 1);
  }
  assert.equal(seen.size, 18);
  for (let i = 0; i < 40; i++) place = neighbour(encoderDecoder, place, -1);
  assert.deepEqual(place, { group: 0, row: 0, col: 0 });
});

test("a choice that does not exist becomes the nearest one that does", () => {
  const overview = new Overview("k", smallOverview());
  assert.deepEqual(overview.nearest(1, 2), { layer: 1, head: 2 });
  assert.deepEqual(overview.nearest(99, 99), { layer: 1, head: 2 });
  assert.deepEqual(overview.nearest("all:decoder:self", "mean"), { layer: 0, head: "mean" });
  assert.deepEqual(overview.nearest("all:encoder:self", 2), { layer: 0, head: 2 });
});

test("titles name the layer and the head, counted from 0", () => {
  const overview = new Overview("k", smallOverview());
  assert.equal(overview.title(1, 2), "Layer 1 · head 2");
  assert.equal(overview.title(1, "mean"), "Layer 1 · mean over heads");
  assert.equal(overview.title("all:encoder:self", "max"), "All layers · maximum over heads");
});
