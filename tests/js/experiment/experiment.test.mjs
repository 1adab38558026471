import assert from "node:assert/strict";
import { test } from "node:test";

import { everyHead, Heads, proposalOf, questionOf, switchedOff, written } from "../../../assets/js/experiment/data.js";
import { effectsCsv } from "../../../assets/js/experiment/sheet.js";
import { chance, effect, role, short, signed, verdict } from "../../../assets/js/experiment/words.js";

const layer = (index, n_heads, more = {}) => ({
  stack: "decoder",
  kind: "self",
  index,
  label: `layer ${index}`,
  n_heads,
  n_kv_heads: n_heads,
  queries: "source",
  keys: "source",
  ...more,
});

const variant = (at, head, difference) => ({
  layer: at,
  head,
  edits: [switchedOff({ layer: at, head }, "mean")],
  words: `layer ${at} head ${head} switched off, “so”`,
  difference,
});

const swept = (chanceLargest = 0.2) => ({
  question: { question: "log-probability of the text", begin: 9 },
  unit: "nats a token",
  before: -0.5,
  found: [variant(0, 0, 0.1), variant(0, 1, -0.05), variant(1, 0, -7.3), variant(1, 1, 0.3), variant(1, 2, 0)],
  notes: [],
  chance: chanceLargest === null ? null : { n: 100, largest: chanceLargest, tested: 5 },
  why: "",
  total: 5,
  finished: true,
});

test("the heads are ranked by the size of what they do, and told apart by chance", () => {
  const heads = new Heads([layer(0, 2), layer(1, 3)]);
  heads.take(swept());
  assert.deepEqual(
    heads.ranked.map((i) => heads.places[i].name),
    ["1.0", "1.1", "0.0", "0.1", "1.2"],
  );
  assert.deepEqual(
    heads.places.map(({ i }) => heads.beyond(i)),
    [false, false, true, true, false],
  );
  assert.equal(heads.top, 7.3);
  heads.take(swept(null));
  assert.equal(heads.beyond(2), null);
  heads.take(null);
  assert.equal(heads.n, 0);
  assert.deepEqual(heads.ranked, []);
});

test("an effect is said in words that fit the question", () => {
  const log = { question: "log-probability" };
  assert.equal(effect(log, -7.31, "nats"), "costs 7.3 nats");
  assert.equal(effect(log, 0.204, "nats"), "gains 0.2 nats");
  assert.equal(effect(log, 0, "nats"), "changes nothing");
  assert.equal(effect(log, null, "nats"), "does something that is no number");
  assert.equal(effect({ question: "divergence" }, 0.5, "nats"), "changes the answer by 0.5 nats");
  const vector = { question: "a token's own vector" };
  assert.equal(effect(vector, -0.25, "cosine"), "turns the vector by 0.25 (1 − cosine)");
  assert.equal(effect({ question: "similarity of two sentences" }, -0.1, "cosine, or"), "makes it less alike by 0.1");
  assert.equal(role(log, 2), "it works against the answer");
  assert.equal(role({ question: "divergence" }, 2), "");
  assert.equal(chance(0.21), "chance up to 0.21");
});

test("numbers are short, keep what is small, and have a true minus", () => {
  assert.equal(short(-0.00031), "−0.00031");
  assert.equal(short(1234.5), "1235");
  assert.equal(signed(0.5), "+0.5");
  assert.equal(signed(-7.26), "−7.3");
});

test("a sweep's verdict names those beyond chance, or that there is none, or that it is not known", () => {
  const name = (one) => `${one.layer}.${one.head}`;
  assert.match(verdict(swept(), name), /^2 of 5 heads are beyond what chance does: 1\.0, 1\.1\. In 95 % of cases/);
  assert.match(verdict(swept(9), name), /^No head is beyond what chance does\./);
  assert.match(verdict(swept(null), name), /^Not compared with chance yet/);
  assert.equal(verdict({ ...swept(null), why: "Too few." }, name), "Too few.");
});

const PROPOSALS = [
  {
    id: "difference",
    name: "one word rather than another",
    plain: { question: "difference of two log-probabilities", position: null },
    line: ["What makes it say ", { slot: "token" }, " rather than ", { slot: "other" }, "?"],
    slots: { token: { options: [[3, "a"]], chosen: 3 }, other: { options: [[4, "b"]], chosen: 4 } },
  },
  { id: "answer", name: "its answer", plain: { question: "divergence", position: null }, line: ["?"], slots: {} },
];

test("a question is what its sentence says with what was chosen in it, and is found again from its JSON", () => {
  assert.deepEqual(questionOf(PROPOSALS[0], { other: 9 }), {
    question: "difference of two log-probabilities",
    position: null,
    token: 3,
    other: 9,
  });
  const text = written(questionOf(PROPOSALS[0], { other: 9 }));
  assert.deepEqual(proposalOf(PROPOSALS, text), { at: 0, chosen: { token: 3, other: 9 } });
  assert.equal(proposalOf(PROPOSALS, "{"), null);
  assert.equal(proposalOf(PROPOSALS, '{"question":"another"}'), null);
  assert.equal(written({ b: 1, a: 2 }), '{"a":2,"b":1}');
  assert.deepEqual(everyHead("zero"), { sweep: "heads", how: "zero", texts: [], layer: null });
});

test("the table has every head, what was asked and what chance does, and quotes what needs it", () => {
  const lines = effectsCsv(swept()).split("\r\n");
  assert.equal(lines.length, 7); // names, five heads, the end
  assert.match(lines[3], /^1,0,"layer 1 head 0 switched off, “so”",-7\.3,nats a token,-0\.5,0\.2,true,/);
  assert.match(lines[1], /,false,/);
  assert.match(lines[1], /""question"":""log-probability of the text""/);
});
