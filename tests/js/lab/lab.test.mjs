import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "../../../assets/js/lab/bar.js";
import { figure } from "../../../assets/js/lab/compare.js";
import { IDEAS } from "../../../assets/js/lab/ideas.js";
import { labelOf, layoutOf, tightly } from "../../../assets/js/lab/flow.js";
import { look, overhang, topFor } from "../../../assets/js/lab/grid.js";
import {
  at,
  cellText,
  dragged,
  exact,
  foremost,
  makers,
  next,
  repeats,
  shown,
  sliderRange,
  terms,
  typed,
  walk,
} from "../../../assets/js/lab/numbers.js";
import { foot, foremostPair, labelPlaces, length, scaleOf } from "../../../assets/js/lab/plane.js";
import { createQueue } from "../../../assets/js/lab/queue.js";
import { proposed } from "../../../assets/js/lab/real.js";
import { TEMPERATURES, placeOf } from "../../../assets/js/lab/switches.js";

const matrix = (id, rows, columns, values, more = {}) => ({
  id,
  name: id.split(":")[0],
  head: null,
  symbol: id,
  title: "",
  formula: "",
  role: "",
  kind: "signed",
  editable: false,
  shape: [rows, columns],
  rows: Array.from({ length: rows }, (_, i) => `r${i}`),
  columns: Array.from({ length: columns }, (_, i) => `c${i}`),
  words: true,
  values,
  ...more,
});

test("a result has two decimals and a true minus sign, a large one fewer", () => {
  assert.equal(shown(-0.456), "−0.46");
  assert.equal(shown(-0.001), "0.00");
  assert.equal(shown(123.456), "123.5");
  assert.equal(shown(-4321.9), "−4322");
  assert.equal(shown(2.5e8), "2.5e8");
  assert.equal(shown(null), "−∞");
});

test("a typed number stays as short as it was typed, and its box holds it exactly", () => {
  assert.equal(typed(2), "2");
  assert.equal(typed(-0.5), "−0.5");
  assert.equal(typed(0.123456), "0.123");
  assert.equal(typed(0.0001), "1e−4");
  assert.equal(exact(0.1 + 0.2), "0.30000000000000004");
});

test("a masked score is −∞ and a masked weight is 0, never the other way round", () => {
  assert.equal(cellText(matrix("masked:0", 1, 1, [null]), 0, 0), "−∞");
  assert.equal(cellText(matrix("weights:0", 1, 1, [null]), 0, 0), "0");
});

test("arrows walk and stop at the edges; Home and End go along the row", () => {
  assert.deepEqual(walk("ArrowRight", 1, 2, [5, 7]), [1, 3]);
  assert.deepEqual(walk("ArrowUp", 0, 2, [5, 7]), [0, 2]);
  assert.deepEqual(walk("End", 1, 2, [5, 7]), [1, 6]);
  assert.deepEqual(walk("Home", 3, 2, [5, 7], true), [0, 0]);
  assert.equal(walk("a", 0, 0, [5, 7]), null);
  assert.deepEqual(next(1, 6, [5, 7], 1), [2, 0]);
  assert.equal(next(4, 6, [5, 7], 1), null);
});

test("a product's cell comes from a row and a column, and its products add up to it", () => {
  const x = matrix("x", 2, 3, [1, 2, 3, 4, 5, 6]);
  const w = matrix("w_q", 3, 2, [1, 0, -1, 2, 0.5, 1]);
  const q = matrix("q", 2, 2, [0.5, 7, 2, 16], { made: { by: "columns", left: "x", right: "w_q" } });
  const find = (id) => ({ x, w_q: w, q })[id];
  assert.deepEqual(makers(q, 1, 0), [
    { id: "x", row: 1, column: null },
    { id: "w_q", row: null, column: 0 },
  ]);
  for (let r = 0; r < 2; r++)
    for (let c = 0; c < 2; c++) {
      const sum = terms(q, r, c, find).reduce((total, one) => total + one.product, 0);
      assert.equal(sum, at(q, r, c));
    }
});

test("a score comes from two rows, of the head's own columns", () => {
  const q = matrix("q", 2, 4, [1, 2, 3, 4, 5, 6, 7, 8]);
  const k = matrix("k", 2, 4, [1, 0, 2, 0, 0, 1, 0, 2]);
  const scores = matrix("scores:1", 2, 2, [6, 8, 14, 16], {
    made: { by: "rows", left: "q", right: "k", from: 2, width: 2 },
  });
  const find = (id) => ({ q, k })[id];
  assert.deepEqual(terms(scores, 1, 0, find), [
    { left: 7, right: 2, product: 14 },
    { left: 8, right: 0, product: 0 },
  ]);
  assert.deepEqual(makers(scores, 1, 0), [
    { id: "q", row: 1, column: null, from: 2, to: 4 },
    { id: "k", row: 0, column: null, from: 2, to: 4 },
  ]);
});

test("an output takes the head's own columns of V; a joined cell is one of its head's", () => {
  const output = matrix("output:1", 2, 3, [], {
    made: { by: "columns", left: "weights:1", right: "v", from: 3, width: 3 },
  });
  assert.deepEqual(makers(output, 0, 2)[1], { id: "v", row: null, column: 5 });
  const joined = matrix("joined", 2, 6, [], {
    made: { by: "joined", left: "output:0", parts: ["output:0", "output:1"], width: 3 },
  });
  assert.deepEqual(makers(joined, 1, 4), [{ id: "output:1", row: 1, column: 1 }]);
});

test("of many products the largest are written and the rest is summed", () => {
  const all = [0.1, -5, 3, 0.2, 4].map((product) => ({ product }));
  const { few, others, rest } = foremost(all, 3);
  assert.deepEqual(
    few.map((one) => one.product),
    [-5, 3, 4],
  );
  assert.equal(others, 2);
  assert.ok(Math.abs(rest - 0.3) < 1e-12);
});

test("a matrix is folded only if it repeats the one that it was made from", () => {
  const scaled = matrix("scaled:0", 1, 2, [1, 2]);
  const find = () => scaled;
  const made = { by: "cell", left: "scaled:0" };
  assert.ok(repeats(matrix("masked:0", 1, 2, [1, 2], { made }), find));
  assert.ok(!repeats(matrix("masked:0", 1, 2, [1, null], { made }), find));
  assert.ok(!repeats(matrix("output:0", 1, 2, [1, 2], { made }), find));
});

test("the slider has room for the number, and dragging goes in whole steps", () => {
  assert.deepEqual(sliderRange(0.4), { min: -3, max: 3, step: 0.05 });
  assert.equal(sliderRange(-7).max, 10);
  assert.equal(sliderRange(10000).max, 10000);
  assert.equal(dragged(1, 8, false), 1.1);
  assert.equal(dragged(1, -9, false), 0.9);
  assert.equal(dragged(9999, 4e6, false), 10000);
});

test("an action is told until it is done, and previews of a slider make way for the edit", () => {
  const sent = [];
  let run = () => {};
  const queue = createQueue((actions) => sent.push(actions), { now: () => 0, later: (call) => (run = call) });
  queue.tell({ do: "cell", text: "1" });
  queue.tell({ do: "cell", text: "2" });
  assert.deepEqual(
    sent.at(-1).map((one) => one.text),
    ["1", "2"],
  );
  assert.ok(sent.at(-1)[0].n < sent.at(-1)[1].n);
  queue.done(sent.at(-1)[0].n);
  queue.pass({ text: "2.1" });
  queue.pass({ text: "2.2" });
  assert.equal(sent.length, 2); // throttled
  run();
  assert.deepEqual(
    sent.at(-1).map((one) => [one.do, one.text]),
    [
      ["cell", "2"],
      ["preview", "2.2"],
    ],
  );
  queue.tell({ do: "cell", text: "2.3" });
  assert.deepEqual(
    sent.at(-1).map((one) => [one.do, one.text]),
    [
      ["cell", "2"],
      ["cell", "2.3"],
    ],
  );
  run();
  assert.equal(sent.length, 4); // the preview that waited is not told after the edit
});

test("colours: 0 is the middle, a pale matrix stays pale, masked has none", () => {
  const ramp = Array.from({ length: 9 }, (_, i) => [i * 30, 0, 0]);
  const colours = { signed: ramp, weights: ramp, nan: [0, 0, 0] };
  assert.equal(look(0, "signed", 1, colours).background, "rgb(120 0 0)");
  assert.equal(look(1, "weights", 1, colours).background, "rgb(240 0 0)");
  assert.equal(look(null, "signed", 1, colours), null);
  assert.equal(topFor(matrix("x", 1, 2, [0.1, -0.2])), 1);
  assert.equal(topFor(matrix("x", 1, 3, [0.1, -4, null])), 4);
});

test("leaning labels get room only where they reach beyond the last column", () => {
  assert.equal(overhang([9, 2, 2, 2]), 0);
  assert.ok(overhang([2, 2, 9]) > 1);
});

test("the maps stand side by side while there is room for them", () => {
  const side = [4, 2, 2, 2].map((columns) => ({ shape: [5, columns], rows: ["the", "animal"] }));
  assert.equal(layoutOf(side, 1230, 14), "beside");
  assert.equal(layoutOf(side, 860, 14), "cross");
  assert.equal(layoutOf(side, 366, 14), "rows");
  assert.equal(labelOf(["a", "abcdefghijklmn"]), 9);
  const maps = (chars) => [false, false, true, false].map((folded) => ({ folded, chars }));
  assert.equal(tightly(["the", "cat", "sat"], maps(4), 1230, 14), false); // room for all
  const seven = ["the", "animal", "was", "tired", "so", "it", "slept"];
  assert.equal(tightly(seven, maps(4), 1230, 14), true); // 0.40: one line without the words between
  assert.equal(tightly(seven, maps(6), 1230, 14), false); // −10.40: no line of all anyway
});

test("the picture in the plane: the longest arrow fits, the foot is the projection", () => {
  const { scale, grid } = scaleOf([
    { x: 3, y: -4 },
    { x: 1, y: 1 },
  ]);
  assert.ok(4 * scale <= 150 && 4 * scale > 100);
  assert.equal(grid, 2);
  assert.equal(length({ x: 3, y: 4 }), 5);
  assert.deepEqual(foot({ x: 2, y: 0 }, { x: 3, y: 7 }), { x: 3, y: 0 });
  assert.deepEqual(foot({ x: 0, y: 0 }, { x: 3, y: 7 }), { x: 0, y: 0 });
  assert.deepEqual(
    foremostPair(
      [{ length: 0.2 }, { length: 2 }],
      [
        [1, 0],
        [0.5, 3],
      ],
    ),
    { query: 1, key: 1 },
  );
});

test("labels of arrows in the same place do not lie on one another", () => {
  const placed = labelPlaces([
    { x: 10, y: 10 },
    { x: 10, y: 10 },
    { x: 12, y: 11 },
  ]);
  for (let i = 0; i < 3; i++) for (let j = 0; j < i; j++) assert.ok(Math.abs(placed[i].y - placed[j].y) >= 17);
});

test("words, temperatures, tokens and figures", () => {
  assert.deepEqual(wordsOf("  the cat\tsat "), ["the", "cat", "sat"]);
  assert.equal(TEMPERATURES[placeOf(1)], 1);
  assert.equal(TEMPERATURES[placeOf(0.06)], 0.07);
  assert.deepEqual(
    proposed([{ special: true }, { special: false }, { special: false }, { special: false }, { special: true }]),
    [1, 2, 3],
  );
  assert.equal(figure(-0.5, "bits"), "−0.500 bits");
  assert.equal(figure(0.00001234, ""), "1.2e−5");
  assert.equal(figure(0.0456, ""), "0.0456");
  assert.equal(figure(0, ""), "0.000");
  assert.equal(figure(null, "bits"), "none");
});

test("an idea says what is so in the state that is shown, and offers the way that is open", () => {
  const idea = (title, switches = {}, more = {}) => {
    const { says, tries } = IDEAS.find((one) => one.title === title);
    const app = {
      head: 0,
      found: new Map(),
      data: {
        switches: { softmax: "softmax", positions: "none", causal: false, window: null, ...switches },
        shuffled: 0,
        ...more,
      },
    };
    return { says: says(app), tries: typeof tries?.[0] === "function" ? tries[0](app) : tries?.[0] };
  };
  assert.match(idea("Softmax makes probabilities").says, /positive and sums to 1/);
  assert.deepEqual(
    ["none", "hard max"].map((softmax) =>
      /need not sum to 1/.test(idea("Softmax makes probabilities", { softmax }).says),
    ),
    [true, false],
  );
  assert.equal(idea("Softmax makes probabilities", { softmax: "none" }).tries, "with softmax");
  assert.match(idea("Distance costs nothing").says, /unchanged, until positions, a causal mask or a window/);
  for (const switched of [{ causal: true }, { window: 0 }, { positions: "alibi" }])
    assert.match(idea("Distance costs nothing", switched).says, /change with its place/);
  assert.match(
    idea("Order is invisible without positions", {}, { shuffled: 2.2e-16 }).says,
    /same rows, shuffled \(largest difference 2.2e−16\)/,
  );
  assert.match(
    idea("Order is invisible without positions", { positions: "rotary" }, { shuffled: 0.75 }).says,
    /up to 0.750. Order counts/,
  );
  assert.match(
    idea("Order is invisible without positions", { causal: true }, { shuffled: null }).says,
    /cannot be shuffled/,
  );
  assert.equal(idea("Order is invisible without positions", { positions: "rotary" }).tries, "switch positions off");
});
