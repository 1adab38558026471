import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { signedPlace, topOf } from "../../../assets/js/picture/signed.js";
import { glossaryOf, symbolsIn, wordsIn } from "../../../assets/js/steps/glossary.js";
import { checkText, keysShown, largest, written } from "../../../assets/js/steps/number.js";
import { productsOf, productsPanel } from "../../../assets/js/steps/products.js";
import { shares } from "../../../assets/js/steps/writes.js";
import { Steps } from "../../../assets/js/steps/steps.js";
import "../support/elements.mjs";

const entries = JSON.parse(readFileSync(new URL("../../../assets/lessons/glossary.json", import.meta.url), "utf8"));
const glossary = glossaryOf(entries);

test("a number has the chosen decimals and a true minus sign", () => {
  assert.equal(written(-0.12345, 4), "−0.1235");
  assert.equal(written(21.6875, 2), "21.69");
  assert.equal(written(-Infinity, 4), "−∞");
  assert.equal(written(NaN, 4), "not a number");
});

test("a sum that is no number is said to be none: JSON has null for it", () => {
  const one = { data: Float32Array.of(1), shape: [1] };
  const pack = {
    meta: { total: null, bias: null, factor: 1, left: "h", right: "W", over: "component" },
    arrays: { left: one, right: one, products: one, order: { data: Int32Array.of(0), shape: [1] }, rest: one },
  };
  const panel = productsPanel({
    opened: { name: "written", at: [0], shown: 12 },
    meta: { layer: 1, head: 2, query: 3 },
    source: { kept: new Map([["ledger/1/2/3/products/written/0/0", { pack }]]), waiting: new Map() },
    value: () => NaN,
    has: () => false,
    digits: 4,
  });
  const [total] = panel.all((one) => one.attributes["data-product"] === "total");
  assert.equal(total.textContent, "not a number");
});

test("what is written parses back to the number at its precision", () => {
  for (const x of [0, -1.5e-7, 3.14159265, -2718.28]) {
    for (const digits of [2, 6]) {
      assert.ok(Math.abs(Number(written(x, digits).replace("−", "-")) - x) <= 0.5 * 10 ** -digits + 1e-12);
    }
  }
});

test("the largest magnitudes come first, in order of position", () => {
  assert.deepEqual(largest([0.1, -5, 3, 0, 4], 3), [1, 2, 4]);
  assert.deepEqual(largest([1, 2], 12), [0, 1]);
});

test("of many keys those with the largest weights are shown, and whoever is followed", () => {
  const order = [7, 3, 9, 0, 1, 2, 4, 5, 6, 8];
  assert.deepEqual(keysShown(order, 3), [3, 7, 9]);
  assert.deepEqual(keysShown(order, 3, [5, null]), [3, 5, 7, 9]);
  assert.deepEqual(keysShown(order, 3, [99]), [3, 7, 9]);
});

test("zero lies in the middle of the signed scale, both ends equally far", () => {
  assert.equal(signedPlace(0, 2), 0.5);
  assert.equal(signedPlace(2, 2), 1);
  assert.equal(signedPlace(-2, 2), 0);
  assert.equal(signedPlace(0, 0), 0.5);
  assert.equal(topOf([1, -3, NaN, -Infinity]), 3);
});

test("words of the glossary are found once, whole, and without their case", () => {
  const parts = wordsIn("A Query finds keys; the query, not a keyboard.", glossary);
  const found = parts.filter((part) => typeof part !== "string").map((part) => [part.text, part.entry.id]);
  assert.deepEqual(found, [
    ["Query", "q"],
    ["keys", "k"],
  ]);
  assert.equal(
    parts.map((part) => (typeof part === "string" ? part : part.text)).join(""),
    "A Query finds keys; the query, not a keyboard.",
  );
});

test("the longest word wins: residual stream, not residual", () => {
  const [, part] = wordsIn("the residual stream", glossary);
  assert.equal(part.text, "residual stream");
});

test("symbols of an equation are found with their index", () => {
  const parts = symbolsIn("s_j = q · k_j", glossary);
  assert.deepEqual(
    parts.filter((part) => typeof part !== "string").map((part) => part.entry.id),
    ["s", "q", "k"],
  );
});

test("every entry of the glossary is one sentence", () => {
  for (const { id, says, symbols, also } of entries) {
    assert.match(says, /^[^.]*[^.](\. \d|\.\d|…|[^.])*\.$|\.$/, id);
    assert.ok(Array.isArray(symbols) && Array.isArray(also), id);
  }
  assert.equal(new Set(entries.map((entry) => entry.id)).size, entries.length);
});

test("a check says how far off it is, or that there is no number", () => {
  const check = { name: "v", difference: 0.02, tolerance: 1e-5, holds: false, reason: "float32" };
  const fault = { where: "key 2, component 3", ours: 0.5, models: null };
  assert.equal(checkText(check, undefined), "✗ v differs by 2e-2, tolerance 1e-5");
  assert.equal(
    checkText({ ...check, difference: null }, fault),
    "✗ v is not a number: 0.5 here, not a number in the model (key 2, component 3)",
  );
  assert.equal(
    checkText({ ...check, difference: 0, holds: true }, undefined),
    "✓ v: differs by 0, tolerance 1e-5 (float32)",
  );
});

test("while another place is on its way, what is drawn and asked for is of the ledger that is shown", async () => {
  const asked = [];
  const source = { kept: new Map(), waiting: new Set(), pack: (path) => (asked.push(path), new Promise(() => {})) };
  const app = Object.assign(Object.create(Steps.prototype), {
    source,
    shown: "key/1/2/3",
    place: { layer: 5, head: 0, query: 4, step: "x" },
    digits: 4,
    paintings: [],
    failed: "",
    meta: { layer: 1, head: 2, query: 3, blocks: { k: 4 }, steps: [{ name: "x" }], made_by: {}, opens: [] },
    arrays: { head_shares: { data: [0.5, 0.25, 0.25], shape: [3] }, head_norms: { data: [1, 2, 3], shape: [3] } },
  });
  app.ask("k", 6);
  productsOf(app, "scores", [1]);
  assert.deepEqual(asked, ["ledger/1/2/3/rows/k/4", "ledger/1/2/3/products/scores/1/0"]);
  const chosen = shares(app)[0].all((one) => "data-chosen" in one.attributes);
  assert.deepEqual(
    chosen.map((row) => row.all("th")[0].textContent),
    ["head 2"],
  );
});

test("what was lost is asked for again when Python has answered, and its next loss is told of", () => {
  const source = { lost: true };
  const select = { layer: 0, head: 0, query: 0, key: null, step: "x", mode: "story" };
  const app = Object.assign(Object.create(Steps.prototype), {
    source,
    sourceKey: "key",
    seed: 1,
    failed: "ledger/0/0/0/rows/k/0",
    frame: { styled: new Promise(() => {}) },
  });
  app.update({ key: "key", seed: 1, select }, {});
  assert.ok(source.lost && app.failed);
  app.update({ key: "key", seed: 2, select }, {});
  assert.ok(!source.lost && !app.failed);
});
