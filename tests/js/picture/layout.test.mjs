import assert from "node:assert/strict";
import { test } from "node:test";

import {
  cellAt,
  cellBox,
  closest,
  heatmapGeometry,
  isWhole,
  pan,
  reveal,
  thin,
  tilesOf,
  wholeView,
  windowAround,
  zoom,
} from "../../../assets/js/picture/layout.js";

const given = { width: 460, maxHeight: 520, nQuery: 13, nKey: 17, queryLabel: 60, keyLabel: 70, size: 14 };

test("every cell is hit at its own middle", () => {
  const g = heatmapGeometry(given);
  const view = wholeView(13, 17);
  for (const [query, key] of [
    [0, 0],
    [12, 16],
    [5, 11],
  ]) {
    const box = cellBox(g.plot, view, query, key);
    assert.deepEqual(cellAt(g, view, box.x + box.w / 2, box.y + box.h / 2, 13, 17), { query, key });
  }
});

test("a query label is a query without a key, a key label a key without a query, outside is nothing", () => {
  const g = heatmapGeometry(given);
  const view = wholeView(13, 17);
  const box = cellBox(g.plot, view, 4, 6);
  assert.deepEqual(cellAt(g, view, g.plot.x - 10, box.y + box.h / 2, 13, 17), { query: 4, key: null });
  assert.deepEqual(cellAt(g, view, box.x + box.w / 2 + 1, g.plot.y - 2, 13, 17), { query: null, key: 6 });
  assert.equal(cellAt(g, view, g.plot.x + g.plot.w + 30, g.plot.y + 5, 13, 17), null);
});

test("a key label is hit along its slant, not above its column", () => {
  const g = heatmapGeometry(given);
  const view = wholeView(13, 17);
  const box = cellBox(g.plot, view, 0, 3);
  const up = 40;
  const at = cellAt(g, view, box.x + box.w / 2 + up / Math.tan(g.slant), g.plot.y - up, 13, 17);
  assert.deepEqual(at, { query: null, key: 3 });
});

test("the plot fits its container, whatever the numbers of queries and keys", () => {
  for (const [nQuery, nKey] of [
    [1, 1],
    [2, 3],
    [512, 512],
    [7, 300],
    [300, 7],
    [4096, 4096],
  ]) {
    for (const width of [296, 460, 900]) {
      const g = heatmapGeometry({ ...given, width, nQuery, nKey });
      assert.ok(g.plot.x + g.plot.w <= width + 1, `${nQuery}×${nKey} in ${width}: ${g.plot.x + g.plot.w}`);
      assert.ok(g.plot.w >= 40 && g.plot.h >= 40);
      assert.ok(g.plot.h <= 520, `${nQuery}×${nKey}: ${g.plot.h}`);
    }
  }
});

test("cells of a square matrix are square", () => {
  const { plot } = heatmapGeometry({ ...given, nQuery: 16, nKey: 16 });
  assert.ok(Math.abs(plot.w - plot.h) <= 1);
});

test("labels thin out instead of overlapping", () => {
  assert.equal(thin(20, 14), 1);
  assert.equal(thin(10, 14), 2);
  assert.equal(thin(0.1, 14), 200);
});

test("zooming keeps the cell under the pointer in its place", () => {
  const before = wholeView(100, 100);
  const about = { query: 30.5, key: 80.5 };
  const after = zoom(before, 4, about, 100, 100);
  assert.equal(after.q, 25);
  const place = (view) => [(about.query - view.q0) / view.q, (about.key - view.k0) / view.k];
  assert.deepEqual(place(after), place(before));
});

test("zoom ends at a few cells and at the whole", () => {
  let view = wholeView(100, 50);
  for (let i = 0; i < 20; i++) view = zoom(view, 2, { query: 99, key: 49 }, 100, 50);
  assert.equal(view.q, 4);
  assert.ok(view.q0 + view.q <= 100 && view.k0 + view.k <= 50);
  for (let i = 0; i < 20; i++) view = zoom(view, 0.5, { query: 99, key: 49 }, 100, 50);
  assert.ok(isWhole(view, 100, 50));
  assert.deepEqual(view, wholeView(100, 50));
});

test("panning stops at the edges", () => {
  const view = zoom(wholeView(100, 100), 4, { query: 50, key: 50 }, 100, 100);
  const moved = pan(view, -1000, 1000, 100, 100);
  assert.equal(moved.q0, 0);
  assert.equal(moved.k0, 75);
});

test("a cell outside the view is brought in with the least movement, one inside moves nothing", () => {
  const view = { q0: 10, k0: 10, q: 20, k: 20 };
  assert.equal(reveal(view, { query: 15, key: 15 }, 100, 100), view);
  assert.deepEqual(reveal(view, { query: 30, key: 5 }, 100, 100), { q0: 11, k0: 5, q: 20, k: 20 });
});

test("a long row is shown in part, around the token that must be seen", () => {
  assert.deepEqual(windowAround(50, 200, 0, null), { from: 0, to: 50 });
  assert.deepEqual(windowAround(4096, 200, 0, null), { from: 0, to: 200 });
  assert.deepEqual(windowAround(4096, 200, 0, 1000), { from: 900, to: 1100 });
  assert.deepEqual(windowAround(4096, 200, 900, 950), { from: 900, to: 1100 });
  assert.deepEqual(windowAround(4096, 200, 0, 4095), { from: 3896, to: 4096 });
});

test("a view needs just the tiles that it touches", () => {
  assert.deepEqual(tilesOf({ q0: 250, k0: 0, q: 20, k: 100 }, 1000, 1000), [
    { row0: 0, col0: 0 },
    { row0: 256, col0: 0 },
  ]);
  assert.equal(tilesOf({ q0: 0, k0: 0, q: 600, k: 600 }, 600, 600).length, 9);
});

test(
  "all of 30 tokens have room for their names in 468 " +
    "pixels, whatever their length, and the picture stays " +
    "low",
  () => {
    for (const label of [20, 60, 90, 140, 400]) {
      const g = heatmapGeometry({
        ...given,
        width: 468,
        maxHeight: 410,
        nQuery: 30,
        nKey: 30,
        queryLabel: label,
        keyLabel: label,
      });
      assert.ok(g.plot.w / 30 >= closest(14) && g.plot.h / 30 >= closest(14), `${label}: ${g.plot.w} × ${g.plot.h}`);
      assert.ok(g.height <= 1.35 * 410 + 4);
    }
  },
);

test("labels lean where they can, and are upright where leaning ones would be left out", () => {
  const slant = (nKey) => heatmapGeometry({ ...given, nQuery: nKey, nKey }).slant;
  assert.ok(slant(12) < Math.PI / 2);
  assert.equal(slant(34), Math.PI / 2);
  assert.ok(slant(500) < Math.PI / 2); // most are left out either way
});

test("the numbers of thousands of rows are never cut", () => {
  for (const number of [40, 200]) {
    const g = heatmapGeometry({ ...given, nQuery: 3000, nKey: 3000, number });
    assert.ok(g.labelW - 8 >= number);
  }
});
