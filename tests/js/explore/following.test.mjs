import assert from "node:assert/strict";
import { test } from "node:test";

import { createFollowing } from "../../../assets/js/explore/following.js";
import "../support/elements.mjs";

/** An explorer that counts its loads, a server that answers when it is told to, and the text box's voice. */
function page(context) {
  const heard = new EventTarget();
  context.mock.method(globalThis.document, "addEventListener", (name, hear) => heard.addEventListener(name, hear));
  globalThis.document.baseURI ??= "http://here/";
  const app = {
    data: { key: "K0", can: { words: true } },
    selection: { layer: 2, head: 3 },
    loads: [],
    numbers: { load: () => app.loads.push(app.following.key ?? app.data.key) },
    life: new AbortController(),
  };
  const asked = [];
  app.following = createFollowing(app, (url, { body, signal }) => {
    const one = { url: String(url), body: JSON.parse(body), signal };
    asked.push(one);
    return new Promise((resolve) => {
      one.answer = async (found, ok = true) => {
        resolve({ ok, json: async () => found });
        await new Promise((done) => setTimeout(done));
      };
    });
  });
  const type = (detail) => heard.dispatchEvent(Object.assign(new Event("sightline:typed"), { detail }));
  return { app, asked, type };
}

test("a text that rests is asked for under the page's key, and its numbers are shown", async (context) => {
  const { app, asked, type } = page(context);
  type({ text: "cats", pair: "", start: 0, committed: false });
  assert.match(asked[0].url, /sightline\/data\/K0\/typed\/[a-z0-9]{8,40}$/);
  assert.deepEqual(asked[0].body, { text: "cats", pair: "", start: 0, layer: 2, head: 3 });
  await asked[0].answer({ key: "K1", can: { words: false } });
  assert.deepEqual([app.loads, app.following.can], [["K1"], { words: false }]);
  type(null);
  assert.deepEqual(app.loads, ["K1", "K0"]);
});

test("the next text cancels the one before, whose late answer shows nothing", async (context) => {
  const { app, asked, type } = page(context);
  type({ text: "cats" });
  type({ text: "cats and dogs" });
  assert.deepEqual([asked[0].signal.aborted, asked[1].signal.aborted], [true, false]);
  await asked[0].answer({ key: "K1", can: {} });
  assert.deepEqual(app.loads, []);
  await asked[1].answer({ key: "K2", can: {} });
  assert.deepEqual(app.loads, ["K2"]);
});

test("a busy server and a text that cannot be read change nothing", async (context) => {
  const { app, asked, type } = page(context);
  type({ text: "cats" });
  await asked[0].answer({ error: "Others wait" }, false);
  assert.deepEqual([app.loads, app.following.key], [[], null]);
});

test("a text that the server would refuse for its length is not sent", async (context) => {
  const { asked, type } = page(context);
  type({ text: "é".repeat(20_000) });
  assert.equal(asked.length, 0);
  type({ text: "é".repeat(19_000) });
  assert.equal(asked.length, 1);
});

test("what was committed is Python's when it comes, whichever answer is first", async (context) => {
  const { app, asked, type } = page(context);
  type({ text: "cats", committed: true });
  await asked[0].answer({ key: "K1", can: {} });
  app.data = { key: "K1" };
  app.following.arrived();
  assert.equal(app.following.key, null);

  type({ text: "dogs", committed: true });
  app.data = { key: "K2" };
  app.following.arrived();
  await asked[1].answer({ key: "K2", can: {} });
  assert.equal(app.following.key, null);
  assert.deepEqual(app.loads, ["K1"]);
});

test("an option that is changed while something is typed asks for the typed text read so", async (context) => {
  const { app, asked, type } = page(context);
  type({ text: "cats" });
  await asked[0].answer({ key: "K1", can: {} });
  app.data = { key: "K0 without special tokens" };
  app.following.arrived();
  assert.match(asked[1].url, /K0%20without/);
  await asked[1].answer({ key: "K3", can: {} });
  assert.equal(app.following.key, "K3");
});
