import assert from "node:assert/strict";
import { test } from "node:test";

import { createNumbers } from "../../../assets/js/explore/numbers.js";
import { pack, smallOverview } from "../support/packs.mjs";
import "../support/elements.mjs";

test("exact lines that are lost, again and again, are told of each time Python has answered", async () => {
  const told = [];
  const asked = [];
  const { meta, arrays } = smallOverview();
  const overview = pack(meta, { heads: arrays.heads.data }, { aggregates: arrays.aggregates.data });
  globalThis.fetch = async (address) => {
    asked.push(new URL(address).pathname.split("/key/")[1]);
    return asked.at(-1) === "overview" ? new Response(overview) : new Response("", { status: 410 });
  };
  const app = {
    data: { key: "key" },
    callbacks: { setTrigger: (name, key) => told.push([name, key]) },
    life: new AbortController(),
    overview: null,
    selection: { layer: 0, head: 0, pin: { query: 1, key: 1 }, hover: null },
    frame: { state: { show() {} } },
    rest() {},
    request() {},
    show(found) {
      app.overview = found;
    },
  };
  const numbers = createNumbers(app);
  await numbers.load();
  app.matrix = { lines: new Map() };
  const rested = () => {
    numbers.lineLater();
    return new Promise((resolve) => setTimeout(resolve, 100));
  };
  await rested();
  await rested();
  assert.equal(told.length, 1);
  numbers.renewed();
  await rested();
  assert.deepEqual(told, [
    ["lost", "key"],
    ["lost", "key"],
  ]);
  assert.equal(asked.filter((path) => path.startsWith("line/")).length, 3);
});
