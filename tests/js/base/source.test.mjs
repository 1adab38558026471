import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpSource, InlineSource, LostError, sourceAt } from "../../../assets/js/base/source.js";
import { pack } from "../support/packs.mjs";

const answer = (bytes, status = 200) => new Response(bytes, { status });
const bytes = pack({ version: 1 }, { weights: Float32Array.of(1, 2, 3) });

test("two parts of the view that ask for the same picture share one request", async () => {
  const asked = [];
  const source = new HttpSource("http://here/data/k/", { fetch: async (url) => (asked.push(url), answer(bytes)) });
  const [a, b] = await Promise.all([source.head(2, 3), source.head(2, 3)]);
  assert.equal(a, b);
  assert.equal(await source.head(2, 3), a);
  assert.deepEqual(asked, ["http://here/data/k/head/2/3"]);
});

test("addresses are those of the data routes", async () => {
  const asked = [];
  const source = new HttpSource("http://here/data/k/", {
    fetch: async (url) => (asked.push(url.replace("http://here/data/k/", "")), answer(bytes)),
  });
  await source.overview();
  await source.head("all:encoder:self", "mean");
  await source.line(1, 2, "key", 7);
  await source.tile(1, 2, 256, 512);
  assert.deepEqual(asked, ["overview", "head/all:encoder:self/mean", "line/1/2/key/7", "tile/1/2/256/512"]);
});

test("410 tells once that the numbers are lost", async () => {
  let lost = 0;
  const source = new HttpSource("http://here/data/k/", {
    fetch: async () => answer("", 410),
    onLost: () => (lost += 1),
  });
  await assert.rejects(source.head(0, 0), LostError);
  await assert.rejects(source.head(0, 1), LostError);
  assert.equal(lost, 1);
});

test("numbers that are lost a second time are told of a second time", async () => {
  let lost = 0;
  const codes = [410, 410, 200, 410, 410];
  const source = new HttpSource("http://here/data/k/", {
    fetch: async () => (codes[0] === 200 ? answer(bytes, codes.shift()) : answer("", codes.shift())),
    onLost: () => (lost += 1),
  });
  await assert.rejects(source.head(0, 0), LostError);
  await assert.rejects(source.line(0, 0, "query", 1), LostError);
  await source.head(0, 0);
  await assert.rejects(source.line(0, 0, "query", 1), LostError);
  await assert.rejects(source.tile(0, 0, 0, 0), LostError);
  assert.equal(lost, 2);
});

test("a failed request says so in words and is asked again next time", async () => {
  let works = false;
  const source = new HttpSource("http://here/data/k/", {
    fetch: async () => {
      if (!works) throw new TypeError("Failed to fetch");
      return answer(bytes);
    },
  });
  await assert.rejects(source.overview(), /server did not answer/);
  works = true;
  assert.equal((await source.overview()).meta.version, 1);
});

test("the server's own sentence is shown", async () => {
  const source = new HttpSource("http://here/data/k/", {
    fetch: async () => answer(JSON.stringify({ error: "there is no query 9" }), 404),
  });
  await assert.rejects(source.line(0, 0, "query", 9), /there is no query 9/);
});

test("what is kept stays within its bytes; the least recently used goes first", async () => {
  let asked = 0;
  const source = new HttpSource("http://here/data/k/", {
    fetch: async () => ((asked += 1), answer(bytes)),
    limit: bytes.length * 2,
  });
  for (const head of [0, 1, 0, 2]) await source.head(0, head);
  assert.equal(asked, 3);
  assert.ok(source.bytes <= bytes.length * 2);
  await source.head(0, 0);
  assert.equal(asked, 3);
  await source.head(0, 1);
  assert.equal(asked, 4);
});

test("a standalone page answers from itself, with null for what it does not carry", async () => {
  const source = new InlineSource({ overview: Buffer.from(bytes).toString("base64") });
  assert.equal((await source.overview()).meta.version, 1);
  assert.equal(await source.head(0, 0), null);
  assert.equal(await source.line(0, 0, "query", 0), null);
  await assert.rejects(new InlineSource({}).overview(), /no picture/);
});

test("two views of the same numbers have one source, until its numbers are lost", () => {
  const told = [];
  const first = sourceAt("http://server/data/a/", () => told.push("first"));
  const second = sourceAt("http://server/data/a/", () => told.push("second"));
  assert.equal(second, first);
  second.onLost();
  assert.deepEqual(told, ["second"]); // who came last is there to hear it
  second.lost = true;
  assert.notEqual(
    sourceAt("http://server/data/a/", () => {}),
    second,
  );
  assert.notEqual(
    sourceAt("http://server/data/b/", () => {}),
    second,
  );
});
