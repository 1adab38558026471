import assert from "node:assert/strict";
import { test } from "node:test";

import { nearest } from "../../../assets/js/grow/curves.js";
import { Live, going, statusWords } from "../../../assets/js/grow/live.js";
import { cellWords } from "../../../assets/js/grow/maps.js";
import { Run, csv, curvesCsv, mapCsv, runOf, same, square, table } from "../../../assets/js/grow/run.js";
import { Grow } from "../../../assets/js/grow/grow.js";
import { unpack } from "../../../assets/js/base/wire.js";
import { pack } from "../support/packs.mjs";

/** 2 layers × 3 heads, 2 scores, 3 tokens: every number can be told from every other. */
const FACTS = {
  name: "toy",
  title: "3 heads",
  settings: { task: "toy", seed: 5, heads: 3, positions: "none" },
  tokens: ["a", "b", "a"],
  n_layers: 2,
  n_heads: 3,
  n_steps: 70,
  chance: 1.1,
  scores: [
    { name: "one", title: "one", short: "1", says: "", even: 0.2, targets: [] },
    { name: "two", title: "two", short: "2", says: "", even: 0.2, targets: [] },
  ],
  moments: [],
};

/** @param {number[]} steps @param {number} first */
function packOf(steps, first = 0, facts = FACTS, more = {}) {
  const n = steps.length;
  const maps = Uint8Array.from({ length: n * 6 * 6 }, (_, i) =>
    Math.min(253, steps[Math.floor(i / 36)] + (Math.floor(i / 6) % 6) * 10 + (i % 6)),
  );
  const scores = Float32Array.from({ length: n * 12 }, (_, i) => (i % 12) / 12 + (first + Math.floor(i / 12)) / 1000);
  return unpack(
    pack(
      { facts, first, ...more },
      { steps: Int32Array.from(steps) },
      { loss: Float32Array.from(steps, (s) => (s ? 1 / s : NaN)) },
      { right: new Float32Array(n).fill(NaN) },
      { seconds: new Float32Array(n) },
      { maps, shape: [n, 2, 3, 6] },
      { scores, shape: [n, 2, 2, 3] },
    ),
  );
}

test("a run gives back the map, the weight and the score of each head at each save", () => {
  const run = runOf(packOf([0, 20, 70]));
  assert.equal(run.saved, 3);
  assert.deepEqual([...run.map(1, 1, 2)], [70, 255, 255, 71, 72, 255, 73, 74, 75]);
  assert.equal(run.weight(1, 1, 2, 2, 0), 73 / 253);
  assert.equal(run.weight(1, 1, 2, 0, 1), -1); // may not be read
  assert.ok(Math.abs(run.score(2, 1, 0, 2) - (8 / 12 + 0.002)) < 1e-6);
  assert.deepEqual(run.best(0), { layer: 1, head: 2, value: run.score(2, 0, 1, 2) });
  assert.ok(Number.isNaN(run.loss[0]));
});

test("a live run takes each save once, and none that has something missing before it", () => {
  const run = runOf(packOf([0, 20]));
  assert.equal(run.add(packOf([20, 40], 1)), 1);
  assert.deepEqual(run.steps, [0, 20, 40]);
  assert.equal(run.add(packOf([90], 7)), 0);
  assert.deepEqual(run.steps, [0, 20, 40]);
  assert.equal(run.add(packOf([], 3, { ...FACTS, moments: [{ name: "one", title: "one forms", step: 20 }] })), 0);
  assert.equal(run.facts.moments.length, 1);
});

test("triangles become squares, masked above the diagonal", () => {
  assert.deepEqual([...square(Uint8Array.from([1, 2, 3, 4, 5, 6]), 2)], [1, 255, 2, 3, 4, 255, 5, 6]);
});

test("a run whose queries look everywhere has whole maps, of as many columns as there are keys", () => {
  const facts = { ...FACTS, n_layers: 1, n_heads: 2, keys: ["x", "y"], causal: false };
  const run = new Run(facts);
  const [n, scores] = [1, facts.scores.length];
  const arrays = /** @type {any} */ ({
    steps: { data: Int32Array.from([4]) },
    loss: { data: Float32Array.from([1]) },
    right: { data: Float32Array.from([NaN]) },
    seconds: { data: Float32Array.from([NaN]) },
    maps: { data: Uint8Array.from({ length: 12 }, (_, i) => 10 + i) },
    scores: { data: new Float32Array(n * scores * 2) },
  });
  assert.equal(run.add({ meta: { facts, first: 0 }, arrays }), 1);
  assert.deepEqual(run.shape, { nQuery: 3, nKey: 2 });
  assert.deepEqual([...run.map(0, 0, 1)], [16, 17, 18, 19, 20, 21]);
  assert.equal(run.weight(0, 0, 1, 2, 1), 21 / 253);
  assert.equal(run.weight(0, 0, 0, 0, 1), 11 / 253); // a later key: nothing is masked
  assert.match(mapCsv(run, 0, 0, 1), /query \\ key,0 x,1 y\r\n0 /);
});

test("a head is called after its largest score, if that is large enough", () => {
  const run = runOf(packOf([0]));
  assert.deepEqual(run.role(0, 0, 0, 0.4)?.score, 1);
  assert.equal(run.role(0, 0, 0, 0.99), null);
});

test("the nearest save to a step of training", () => {
  assert.equal(nearest([0, 20, 70], 44), 1);
  assert.equal(nearest([0, 20, 70], 46), 2);
  assert.equal(nearest([0, 20, 70], 1e9), 2);
  assert.equal(nearest([], 3), -1);
});

test("tables and files have every number, and nothing where there is none", () => {
  const run = runOf(packOf([0, 20]));
  const { head, rows } = table(run);
  assert.equal(head.length, 2 + 2 * 6);
  assert.equal(head[2], "one, layer 0 head 0");
  assert.deepEqual(rows[1].slice(0, 3), ["20", "0.0500", "0.001"]);
  assert.equal(rows[0][1], "");
  assert.equal(curvesCsv(run).split("\r\n").length, 4);
  assert.equal(mapCsv(run, 1, 0, 0).split("\r\n")[1], `0 a,${(20 / 253).toFixed(3)},,`);
});

test("a token with a comma or a quotation mark stays one cell", () => {
  assert.equal(csv([["a,b", 'say "x"', "c"]]), '"a,b","say ""x""",c\r\n');
});

test("a cell says who looks at whom, and that masked is not zero", () => {
  const run = runOf(packOf([20]));
  assert.equal(cellWords(run, 0, 0, 0, 2, 1), "a (2) looks at b (1): 0.09");
  assert.equal(cellWords(run, 0, 0, 0, 0, 1), "a (0) may not look ahead at b (1)");
});

test("the same settings make the same run", () => {
  assert.ok(same(FACTS.settings, { ...FACTS.settings }));
  assert.ok(!same(FACTS.settings, { ...FACTS.settings, seed: 6 }));
  assert.ok(!same(FACTS.settings, null));
});

test("where a run stands, in words", () => {
  const status = { state: "queued", ahead: 2, step: 0, n_steps: 1200, seconds: 0, says: "" };
  assert.equal(statusWords(/** @type {any} */ (status)), "In the queue: 2 runs before yours. It starts by itself.");
  assert.ok(going(/** @type {any} */ (status)));
  assert.equal(
    statusWords({ ...status, state: "running", step: 1100, seconds: 31.4 }),
    "Growing: step 1,100 of 1,200, 31 s",
  );
  assert.ok(!going({ ...status, state: "stopped" }));
});

const RUNNING = { state: "running", ahead: 0, step: 20, n_steps: 70, seconds: 1, says: "" };

/** A server that answers with one thing after another. @param {any[]} answers */
function serving(answers) {
  const asked = [];
  return {
    asked,
    get: async (/** @type {string} */ url) => {
      asked.push(url);
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
}

const ok = (/** @type {any} */ found, /** @type {any} */ status) => ({
  ok: true,
  status: 200,
  arrayBuffer: async () =>
    pack(
      { facts: FACTS, first: found.first, status },
      { steps: Int32Array.from(found.steps) },
      { loss: Float32Array.from(found.steps) },
      { right: Float32Array.from(found.steps) },
      { seconds: Float32Array.from(found.steps) },
      { maps: new Uint8Array(found.steps.length * 36) },
      { scores: new Float32Array(found.steps.length * 12) },
    ).buffer,
});

test(
  "a live run asks only for the saves that it does " + "not have, and ends when the server has forgotten " + "it",
  async () => {
    const { asked, get } = serving([
      ok({ steps: [0, 20], first: 0 }, RUNNING),
      ok({ steps: [40], first: 2 }, RUNNING),
      { ok: false, status: 410 },
    ]);
    const live = new Live("k", "http://x/live/k/", /** @type {any} */ (get));
    let changes = 0;
    live.changed = () => (changes += 1);
    for (let i = 0; i < 3; i++) await live.ask();
    live.end();
    assert.deepEqual(asked, ["http://x/live/k/?from=0", "http://x/live/k/?from=2", "http://x/live/k/?from=3"]);
    assert.deepEqual(live.run?.steps, [0, 20, 40]);
    assert.equal(changes, 3);
    assert.ok(live.lost);
    assert.equal(live.status?.state, "failed");
  },
);

test("one answer that does not come is no end", async () => {
  const { get } = serving([new TypeError("no network"), ok({ steps: [0], first: 0 }, RUNNING)]);
  const live = new Live("k", "http://x/", /** @type {any} */ (get));
  await live.ask();
  await live.ask();
  live.end();
  assert.ok(!live.lost);
  assert.equal(live.run?.saved, 1);
});

test("a view that leaves lets another go on showing the same run", () => {
  const live = {};
  const view = () =>
    Object.assign(Object.create(Grow.prototype), {
      live,
      pause() {},
      life: new AbortController(),
      report: { cancel() {} },
      announce: { cancel() {} },
      frame: { remove() {} },
      follows() {},
    });
  const [old, fresh] = [view(), view()];
  live.changed = fresh.follows;
  old.destroy();
  assert.equal(live.changed, fresh.follows);
  fresh.destroy();
  assert.notEqual(live.changed, fresh.follows);
});
