import assert from "node:assert/strict";
import { test } from "node:test";

import { createSync, echoes, payload } from "../../../assets/js/base/sync.js";
import { fileName } from "../../../assets/js/base/save.js";

const options = {
  hide_special: false,
  hide_first: false,
  renormalise: false,
  words: false,
  by_norm: false,
  per_head_scale: false,
  threshold: 0.05,
  picture: "heatmap",
};
const tokens = [{ i: 1 }, { i: 2 }, { i: 5 }];

function app() {
  const sent = [];
  return {
    sent,
    overview: {},
    selection: { layer: 2, head: 3, pin: null, hover: null, cursor: null },
    options,
    queries: tokens,
    keys: tokens,
    data: { echo: null, link: "?m=minilm", link_note: "" },
    callbacks: { setState: (name, value) => sent.push([name, value]) },
  };
}

test("Python hears original token indices and every option, in less than 1 kB", () => {
  const view = payload({ layer: 2, head: "mean", pin: { query: 2, key: null } }, options, tokens, tokens);
  assert.deepEqual(view, { layer: 2, head: "mean", query: 5, key: null, ...options });
  assert.ok(JSON.stringify(view).length < 1024);
});

test("an echo stands for the view only if all that it names is equal", () => {
  const view = payload({ layer: 2, head: 3, pin: null }, options, tokens, tokens);
  assert.ok(echoes({ ...view }, view));
  assert.ok(!echoes({ ...view, head: 4 }, view));
  assert.ok(!echoes(null, view));
});

test("the same choice is told once", () => {
  const here = app();
  const sync = createSync(here);
  sync.now();
  sync.now();
  assert.equal(here.sent.length, 1);
  here.selection = { ...here.selection, head: 4 };
  sync.now();
  assert.equal(here.sent.length, 2);
});

test("what came from Python is not told back", () => {
  const here = app();
  const sync = createSync(here);
  sync.agree();
  sync.now();
  assert.equal(here.sent.length, 0);
});

test("a choice that is taken along is not told once more", async () => {
  const here = app();
  const sync = createSync(here);
  assert.ok(!sync.owes(1000));
  sync.later();
  assert.ok(sync.owes(0));
  assert.equal(sync.take().head, 3);
  assert.ok(!sync.owes(0));
  sync.now();
  assert.equal(here.sent.length, 0);
});

test("a choice that had to be changed here is told to Python", async () => {
  const here = app();
  const sync = createSync(here);
  here.data.echo = payload({ layer: 2, head: 3, pin: { query: 1, key: null } }, options, tokens, tokens);
  sync.agree();
  await new Promise((resolve) => setTimeout(resolve, 380));
  assert.deepEqual(
    here.sent.map(([, view]) => view.query),
    [null],
  );
});

test("choices are told once they have settled", async () => {
  const here = app();
  const sync = createSync(here);
  for (const head of [4, 5, 6]) {
    here.selection = { ...here.selection, head };
    sync.later();
  }
  assert.equal(here.sent.length, 0);
  await new Promise((resolve) => setTimeout(resolve, 380));
  assert.deepEqual(
    here.sent.map(([, view]) => view.head),
    [6],
  );
});

test("Copy link waits for the link of what is on screen", async () => {
  globalThis.location = /** @type {any} */ ({ origin: "http://here", pathname: "/explore" });
  const here = app();
  const sync = createSync(here);
  const waiting = sync.link();
  assert.equal(here.sent.length, 1);
  here.data = { echo: here.sent[0][1], link: "?v=1&l=2", link_note: "" };
  sync.arrived();
  assert.deepEqual(await waiting, { url: "http://here/explore?v=1&l=2", says: "" });
});

test("Copy link says why there is none, and does not wait for ever", async () => {
  const here = app();
  const sync = createSync(here, 20);
  assert.match((await sync.link()).says, /not ready/);
  here.data = { echo: here.sent[0][1], link: null, link_note: "The text is too long for a link." };
  assert.deepEqual(await sync.link(), { url: null, says: "The text is too long for a link." });
});

test("files are named after the head", () => {
  assert.equal(fileName("svg", 2, 3, "svg"), "sightline-layer2-head3.svg");
  assert.equal(fileName("csv", "all:encoder:self", "mean", "csv"), "sightline-layerall-encoder-self-headmean.csv");
  assert.equal(fileName("trace", 2, 3, "safetensors"), "sightline-trace.safetensors");
});
