import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ALL,
  aligned,
  filtered,
  Heads,
  letters,
  LOOK,
  number,
  parseOnly,
  parseSort,
  pressed,
  rangeOf,
  share,
  sorted,
  strongest,
  writeOnly,
  writeSort,
} from "../../../assets/js/heads/data.js";
import { createAcross } from "../../../assets/js/heads/across.js";
import { answered } from "../../../assets/js/heads/filter.js";
import { createFind, placed } from "../../../assets/js/heads/find.js";
import { hit, legible, split, step } from "../../../assets/js/heads/plot.js";
import { createWrites } from "../../../assets/js/heads/writes.js";
import { HeadsView } from "../../../assets/js/heads/heads.js";
import { LostError } from "../../../assets/js/base/source.js";
import { element } from "../support/elements.mjs";

const metric = (name, more = {}) => ({
  name,
  title: name,
  short: name,
  definition: "",
  unit: "share of attention",
  low: 0,
  high: 1,
  source: "",
  ...more,
});
const layer = (index, n_heads, more = {}) => ({
  stack: "encoder",
  kind: "self",
  index,
  label: `encoder self layer ${index}`,
  n_heads,
  n_kv_heads: n_heads,
  queries: "source",
  keys: "source",
  ...more,
});

/** Two layers of 3 and 2 heads; the third head has no "previous". */
function heads() {
  const values = Float32Array.from([0.5, 0.9, NaN, 0.1, 0.5, 1.5, 0.25, 3, 2, 1]);
  const pack = {
    meta: {
      model: { id: "m" },
      metrics: [metric("previous"), metric("entropy", { high: null, unit: "bits" })],
      layers: [layer(0, 3), layer(1, 2)],
      tokens: { source: [], target: [] },
    },
    arrays: { values: { data: values, shape: [2, 5] } },
  };
  return new Heads(pack);
}
const card = (label, title, more = {}) => ({ answer: label ? "named" : "unlabelled", label, title, at: "", ...more });
const untested = (says) => card(null, "", { answer: "untested", says });
const known = (name) => ["previous", "entropy"].includes(name);

test("each head has its place, its name and its numbers", () => {
  const all = heads();
  assert.deepEqual(
    all.places.map(({ name }) => name),
    ["0.0", "0.1", "0.2", "1.0", "1.1"],
  );
  assert.equal(all.indexOf(1, 0), 3);
  assert.equal(all.indexOf(2, 0), null);
  assert.equal(all.value("entropy", 2), 3);
  assert.ok(Number.isNaN(all.value("previous", 2)));
  assert.equal(all.titleOf(4), "Layer 1 · head 1");
});

test("kinds of attention are told apart by their names", () => {
  const layers = [
    layer(0, 1),
    layer(0, 1, { stack: "decoder", queries: "target", keys: "target" }),
    layer(0, 1, { stack: "decoder", kind: "cross", queries: "target" }),
  ];
  const pack = {
    meta: { model: { id: "m" }, metrics: [metric("previous")], layers, tokens: {} },
    arrays: { values: { data: new Float32Array(3), shape: [1, 3] } },
  };
  const all = new Heads(pack);
  assert.deepEqual(
    all.places.map(({ name }) => name),
    ["enc 0.0", "dec 0.0", "cross 0.0"],
  );
  assert.equal(all.groupOf(2), 2);
});

test("sorting puts heads without the number last, whichever way, and equals in the model's order", () => {
  const all = heads();
  const every = [0, 1, 2, 3, 4];
  assert.deepEqual(sorted(all, every, { by: "previous", down: true }), [1, 0, 4, 3, 2]);
  assert.deepEqual(sorted(all, every, { by: "previous", down: false }), [3, 0, 4, 1, 2]);
  assert.deepEqual(sorted(all, every, { by: "head", down: true }), [4, 3, 2, 1, 0]);
  assert.deepEqual(every, [0, 1, 2, 3, 4], "the argument is left alone");
});

test("sorting by label puts the unlabelled last, whichever way", () => {
  const all = heads();
  all.cards = [
    card(null, ""),
    card("previous", "previous token"),
    card(null, ""),
    card("induction", "induction"),
    null,
  ];
  assert.deepEqual(sorted(all, [0, 1, 2, 3, 4], { by: "label", down: false }), [3, 1, 0, 2, 4]);
  assert.deepEqual(sorted(all, [0, 1, 2, 3, 4], { by: "label", down: true }), [1, 3, 0, 2, 4]);
});

test("the order and the filter go into the address and come back", () => {
  for (const text of ["head", "-previous", "label"]) assert.equal(writeSort(parseSort(text, known)), text);
  assert.deepEqual(parseSort("-nonsense", known), { by: "head", down: false });
  for (const text of ["", "label:induction", "layer:1", "label:-;layer:0;entropy:2.5"])
    assert.equal(writeOnly(parseOnly(text, known)), text);
  assert.deepEqual(parseOnly("layer:x;nonsense:1;entropy:;entropy:Infinity", known), { ...ALL });
});

test("a heading pressed again turns the order round; numbers begin with the largest", () => {
  assert.deepEqual(pressed({ by: "head", down: false }, "entropy"), { by: "entropy", down: true });
  assert.deepEqual(pressed({ by: "entropy", down: true }, "entropy"), { by: "entropy", down: false });
  assert.deepEqual(pressed({ by: "entropy", down: true }, "head"), { by: "head", down: false });
});

test("a filter is a conjunction, and a head without the number does not pass", () => {
  const all = heads();
  all.cards = [
    card(null, ""),
    card("previous", "previous token"),
    card(null, ""),
    card("previous", "previous token"),
    card(null, ""),
  ];
  assert.deepEqual(filtered(all, { ...ALL }), [0, 1, 2, 3, 4]);
  assert.deepEqual(filtered(all, { ...ALL, label: "*" }), [1, 3]);
  assert.deepEqual(filtered(all, { ...ALL, label: "-" }), [0, 2, 4]);
  assert.deepEqual(filtered(all, { ...ALL, label: "previous", layer: 1 }), [3]);
  assert.deepEqual(filtered(all, { ...ALL, metric: "previous", least: 0.5 }), [0, 1, 4]);
  assert.deepEqual(filtered(all, { ...ALL, metric: "previous", least: 0 }), [0, 1, 3, 4]);
});

test("a head that could not be tested is neither unlabelled nor labelled, and is found by its own filter", () => {
  const all = heads();
  all.cards = [
    untested("Could not be tested, because ."),
    card("previous", "previous token"),
    card(null, ""),
    card("first", "first token (sink)", { at: "at 16 tokens" }),
    null,
  ];
  assert.deepEqual(filtered(all, { ...ALL, label: "?" }), [0]);
  assert.deepEqual(filtered(all, { ...ALL, label: "*" }), [1, 3]);
  assert.deepEqual(filtered(all, { ...ALL, label: "-" }), [2, 4]);
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => all.nameOfLabel(i)),
    ["could not be tested", "previous token", "unlabelled", "first token (sink) at 16 tokens"],
  );
  assert.equal(parseOnly("label:?", known).label, "?");
});

test("the three answers are counted apart, and nothing tested is not called normal", () => {
  const why = "Could not be tested, because the vocabulary is too small.";
  assert.equal(answered([untested(why), untested(why)]), why);
  assert.equal(
    answered([card("previous", "previous token"), card(null, ""), untested(why)]),
    "1 of 3 heads carries a label; 1 is unlabelled, which is normal; 1 could not be tested.",
  );
  assert.equal(
    answered([card("previous", "previous token"), card(null, "")]),
    "1 of 2 heads carries a label; the others are unlabelled, which is normal.",
  );
  const partly = "Could not be tested: induction, because the vocabulary is too small.";
  const told = answered([card(null, "", { untested: partly }), card(null, "", { untested: partly })]);
  assert.equal(told, `0 of 2 heads carry a label; the others are unlabelled, which is normal. ${partly}`);
});

test("a scale is fixed where the metric has a top, and says so where it has none", () => {
  assert.deepEqual(rangeOf(metric("x"), [0.2]), { low: 0, high: 1, says: "fixed scale, 0 to 1 share of attention" });
  const open = rangeOf(metric("x", { high: null, unit: "bits" }), [0.5, NaN, 3.25]);
  assert.deepEqual([open.high, open.says], [3.25, "0 to 3.25 bits, the largest here"]);
  assert.equal(rangeOf(metric("x", { high: null, unit: "bits" }), [NaN]).high, 1);
  assert.equal(share({ low: -1, high: 1, says: "" }, 0), 0.5);
  assert.equal(share({ low: 0, high: 1, says: "" }, -0.1), 0);
  assert.ok(Number.isNaN(share({ low: 0, high: 1, says: "" }, NaN)));
});

test("numbers are short, with a true minus, and a missing one is a dash", () => {
  assert.equal(number(0.68), "0.68");
  assert.equal(number(-1), "−1");
  assert.equal(number(null), "–");
  assert.equal(aligned(-0.001, { low: 0, high: 1, says: "" }), "0.00");
  assert.equal(aligned(7.25, { low: 0, high: 12, says: "" }), "7.3");
  assert.equal(aligned(NaN, { low: 0, high: 1, says: "" }), "–");
});

test("a look from one word to another becomes a metric, and goes away again", () => {
  const all = heads();
  all.setLook(
    {
      meta: { of: 16, null: 0.1 },
      arrays: {
        weights: { data: Float32Array.from([NaN, 0.2, 0.7, 0.1, NaN]), shape: [5] },
        rank: { data: new Int32Array(5), shape: [5] },
      },
    },
    "it → animal",
  );
  assert.deepEqual(
    all.choices.map(({ name }) => name),
    [LOOK, "previous", "entropy"],
  );
  assert.deepEqual(strongest(all, LOOK, 8), [2, 1, 3]);
  all.setLook(null);
  assert.equal(all.metric(LOOK), undefined);
  assert.ok(Number.isNaN(all.value(LOOK, 1)));
});

test("every label has a letter of its own, always the same one", () => {
  const given = letters([
    { label: "previous", title: "previous token" },
    { label: "punctuation", title: "punctuation" },
    { label: "other", title: "punt" },
  ]);
  assert.deepEqual(
    [...given],
    [
      ["previous", "P"],
      ["punctuation", "U"],
      ["other", "T"],
    ],
  );
});

test("a place among others is said in words", () => {
  assert.deepEqual(
    [1, 2, 3, 11, 12, 22, 113].map((rank) => placed(rank, 200)),
    ["strongest of 200", "2nd of 200", "3rd of 200", "11th of 200", "12th of 200", "22nd of 200", "113th of 200"],
  );
});

test("labelled heads move to the second curve, and a head without both numbers has no point", () => {
  const figure = {
    data: [
      { name: "no label", x: [0.5, 0.25, NaN, 0.75], y: [0, 1, 1, 0.5] },
      { name: "labelled", x: [], y: [], text: [] },
    ],
    layout: { xaxis: {} },
  };
  const found = split(figure, [3, 2, 1, 0], (i) => ["", "P", "Q", ""][i]);
  assert.deepEqual(found.figure.data, [
    { name: "no label", x: [0.75, 0.5], y: [0.5, 0] },
    { name: "labelled", x: [0.25], y: [1], text: ["P"] },
  ]);
  assert.deepEqual(found.numbers, [
    { i: 3, x: 0.75, y: 0.5 },
    { i: 1, x: 0.25, y: 1 },
    { i: 0, x: 0.5, y: 0 },
  ]);
  assert.deepEqual(figure.data[1].text, []); // the server's figure serves the next filter too
  assert.deepEqual(split(figure, [0], () => "").figure.data[0].x, [0.5]);
});

test("a letter that would lie on another is left out", () => {
  const at = (x, y, letter) => ({ x, y, letter });
  assert.deepEqual(legible([at(0, 0, "P"), at(9, 9, "N"), at(9, 30, "F"), at(10, 40, "I")], 14), ["P", "", "F", ""]);
});

test("the nearest point is hit, if it is near", () => {
  const all = [
    { i: 4, x: 10, y: 10 },
    { i: 7, x: 20, y: 10 },
  ];
  assert.equal(hit(all, 13, 10)?.i, 4);
  assert.equal(hit(all, 17, 10)?.i, 7);
  assert.equal(hit(all, 60, 10), null);
});

test("arrows lead to the next point on their side", () => {
  const all = [
    { i: 0, x: 0, y: 50 },
    { i: 1, x: 30, y: 52 },
    { i: 2, x: 32, y: 0 },
    { i: 3, x: 90, y: 50 },
  ];
  assert.equal(step(all, all[0], "ArrowRight")?.i, 1);
  assert.equal(step(all, all[1], "ArrowUp")?.i, 2);
  assert.equal(step(all, all[3], "ArrowRight"), null);
  assert.equal(step(all, null, "ArrowRight")?.i, 0);
  assert.equal(step(all, all[0], "End")?.i, 3);
});

/**
 * A page of which only "look from … to …" is drawn, on three words; its server gives `answers` by path, one after
 * another.
 */
function looking(answers) {
  const all = heads();
  all.tokens.source = ["the", "cat", "sat"].map((word, i) => ({ t: word, w: i, word, s: 0 }));
  const pack = {
    meta: { of: 3, null: 0.3, queries: [0], keys: [1] },
    arrays: { rank: { data: [1, 2, 3, 3, 3] }, weights: { data: Float32Array.from([0.875, 0.5, 0.25, 0.125, 0]) } },
  };
  const view = Object.assign(Object.create(HeadsView.prototype), {
    heads: all,
    group: 0,
    pair: { query: null, key: null },
    lookOf: null,
    lookFailed: "",
    data: { by_norm: false },
    shownKey: "key",
    frame: { announce() {} },
    metric: "previous",
    metric_x: "entropy",
    metric_y: "previous",
    sort: { by: "head", down: false },
    only: { ...ALL },
    report() {},
    source: { pack: async (path) => (await answers[path.split("/").slice(3).join("/")]) ?? pack },
  });
  const find = createFind(view);
  view.frame.find = find;
  view.draw = () => find.draw();
  const [list, rest] = [find.element.find("sl-find-ranked"), find.element.children.at(-1)];
  return { view, seen: (part) => !part.hidden && part.style.visibility !== "hidden", list, rest };
}

test("the numbers of one pair of words are never seen under the question about another", async () => {
  let come;
  const { view, seen, list } = looking({
    "2/1": new Promise((resolve) => {
      come = resolve;
    }),
  });
  await view.setPair({ query: 0, key: 1 });
  assert.ok(seen(list));
  const done = view.setPair({ query: 2, key: 1 });
  assert.ok(!seen(list));
  come();
  await done;
  assert.ok(seen(list));
  assert.equal(view.heads.look.title, "sat → cat");
});

test("a pair of words whose numbers do not come is said to have none, where they would be", async () => {
  const failure = Promise.reject(new Error("The server did not answer."));
  failure.catch(() => {});
  const { view, seen, list, rest } = looking({ "2/1": failure });
  await view.setPair({ query: 0, key: 1 });
  assert.equal(view.metric, LOOK);
  await view.setPair({ query: 2, key: 1 });
  assert.ok(!seen(list));
  assert.ok(seen(rest));
  assert.equal(rest.textContent, "The server did not answer.");
  assert.equal(view.heads.look, undefined);
  assert.deepEqual([view.metric, view.sort.by], ["previous", "head"]);
  await view.setPair({ query: 0, key: 1 });
  assert.ok(seen(list));
  assert.match(rest.textContent, /^Weight/);
});

test("a pair of words that was chosen and left at once changes nothing when its numbers fail to come", async () => {
  let fail;
  const { view, seen, list } = looking({
    "2/1": new Promise((_, reject) => {
      fail = reject;
    }),
  });
  const left = view.setPair({ query: 2, key: 1 });
  await view.setPair({ query: 0, key: 1 });
  fail(new Error("The server did not answer."));
  await left;
  assert.ok(seen(list));
  assert.equal(view.lookFailed, "");
});

for (const [what, create] of [
  ["what a token draws on", createAcross],
  ["what a head writes", createWrites],
]) {
  test(`${what} is asked for again once it was lost, and nobody waits meanwhile`, async () => {
    const all = heads();
    all.tokens.source = ["the", "cat"].map((word, i) => ({ t: word, w: i, word, s: 0 }));
    const asked = [];
    const view = Object.assign(Object.create(HeadsView.prototype), {
      heads: all,
      group: 0,
      selected: 1,
      pair: { query: null, key: null },
      shownKey: "key",
      theme: {},
      source: {
        pack: async (path) => {
          asked.push(path);
          throw new LostError("They are being computed again.");
        },
      },
    });
    const part = create(view);
    part.draw();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(part.element.getAttribute("aria-busy"), null);
    assert.match(part.element.textContent, /being computed again/);
    part.draw();
    assert.deepEqual(asked, [asked[0], asked[0]]);
  });
}
