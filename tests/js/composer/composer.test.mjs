import assert from "node:assert/strict";
import { test } from "node:test";

import { createCounter } from "../../../assets/js/composer/count.js";
import {
  byTopic,
  charactersBefore,
  clip,
  clipSentence,
  countWords,
  cutWords,
  indexOf,
  isBlank,
  isCountable,
  lookFor,
  moveActive,
  nextStart,
  previousStart,
  wellFormed,
} from "../../../assets/js/composer/text.js";

test("a lone surrogate becomes U+FFFD, with or without String.prototype.toWellFormed", () => {
  const cases = [
    ["a\uD83Db", "a\uFFFDb"],
    ["\uDE00", "\uFFFD"],
    ["😀", "😀"],
    ["\uD83D\uD83D\uDE00", "\uFFFD😀"],
  ];
  const native = String.prototype.toWellFormed;
  try {
    for (const [text, expected] of cases) {
      String.prototype.toWellFormed = native;
      assert.equal(wellFormed(text), expected);
      String.prototype.toWellFormed = undefined;
      assert.equal(wellFormed(text), expected);
    }
  } finally {
    String.prototype.toWellFormed = native;
  }
});

test("a text is cut at the limit, never inside a character, and what was cut is counted", () => {
  assert.deepEqual(clip("abc", 3), { text: "abc", dropped: 0 });
  assert.deepEqual(clip("abcdefg", 5), { text: "abcde", dropped: 2 });
  assert.deepEqual(clip("ab😀", 3), { text: "ab", dropped: 2 });
  assert.equal(clipSentence(100000, 900000), "Only the first 100,000 characters are kept; 900,000 more were left out.");
  assert.equal(clipSentence(100000, 1), "Only the first 100,000 characters are kept; 1 more was left out.");
});

test("blanks, tabs and new lines are no text", () => {
  assert.ok(isBlank(" \t\n\u00a0"));
  assert.ok(!isBlank(" . "));
});

test("a question is asked up to 200,000 bytes of JSON in UTF-8", () => {
  assert.ok(isCountable({ text: "a".repeat(100_000), pair: "é".repeat(49_000) }));
  assert.ok(!isCountable({ text: "é".repeat(100_000), pair: "" }));
  assert.ok(!isCountable({ text: '"'.repeat(100_000), pair: "" }));
});

test("the count names the limit, and over it says how much is read", () => {
  assert.deepEqual(countWords(null), { words: "", over: false });
  assert.deepEqual(countWords({ n: null, limit: 512 }), { words: "", over: false }); // the model is not there yet
  assert.deepEqual(countWords({ n: 1, limit: null }), { words: "1 token", over: false });
  assert.deepEqual(countWords({ n: 512, limit: 512 }), { words: "512 of 512 tokens", over: false });
  assert.deepEqual(countWords({ n: 1700, limit: 512 }), {
    words: "512 of 1,700 tokens fit; the rest is not read",
    over: true,
  });
  assert.deepEqual(countWords({ n: 1700, limit: 512, more: true }), {
    words: "512 of more than 1,700 tokens fit; the rest is not read",
    over: true,
  });
});

test("the words around the cut are quoted, with dots where there is more", () => {
  assert.equal(cutWords("one two three", 7), "Read up to “one two”, not from “three”.");
  assert.equal(cutWords("one two three four", 7, 0, 4), "Read up to “…two”, not from “thr…”.");
});

test("a later window says where it begins, and that it reaches the end", () => {
  assert.equal(
    cutWords("one two three four", 13, 4),
    "Read from “two three four” up to “one two three”, not from “four”.",
  );
  assert.equal(cutWords("one two three", 13, 8), "Read from “three” to the end.");
});

test("the next window begins an eighth before the end of this one, with a whole word, and always later", () => {
  const text = "word ".repeat(40); // 200 characters
  assert.equal(nextStart(text, 0, 80), 70);
  assert.equal(nextStart(text, 70, 150), 140);
  assert.equal(nextStart("x".repeat(100), 0, 40), 40); // one word without an end
  for (let start = 0, cut = 80; cut < text.length; cut = start + 80) {
    const next = nextStart(text, start, cut);
    assert.ok(next > start && next <= cut, `${start} → ${next}`);
    start = next;
  }
});

test("the window before is as long, overlaps by an eighth, and never begins before the text", () => {
  const text = "word ".repeat(40);
  assert.equal(previousStart(text, 140, 80), 70);
  assert.equal(previousStart(text, 30, 80), 0);
});

test("characters are counted as Python counts them", () => {
  const text = "a😀b😀c";
  assert.equal(charactersBefore(text, text.indexOf("b")), 2);
  assert.equal(indexOf(text, 2), text.indexOf("b"));
  assert.equal(indexOf(text, 99), text.length);
  for (let n = 0; n <= 5; n++) assert.equal(charactersBefore(text, indexOf(text, n)), n);
});

const GALLERY = [
  { id: "1", title: "It", text: "It was tired.", look_for: "it → animal", topic: "coreference" },
  { id: "2", title: "Pair", text: "A?", pair: "B.", look_for: "A → B", topic: "pairs" },
  { id: "3", title: "Them", text: "They met.", look_for: "they → two", topic: "coreference" },
];

test("what to look for belongs to the whole example: the same text with another second sentence has none", () => {
  assert.equal(lookFor(GALLERY, "It was tired."), "it → animal");
  assert.equal(lookFor(GALLERY, "A?", "B."), "A → B");
  assert.equal(lookFor(GALLERY, "A?"), "");
  const dates = [{ ...GALLERY[0], text: "03/04/21", target: "2021-04-03", look_for: "0 → 3" }];
  assert.equal(lookFor(dates, "03/04/21", "", "2021-04-03"), "0 → 3");
  assert.equal(lookFor(dates, "03/04/21"), "");
});

test("topics and their examples keep the order of the gallery", () => {
  const shape = byTopic(GALLERY).map(({ topic, examples }) => [topic, examples.map((e) => e.id)]);
  assert.deepEqual(shape, [
    ["coreference", ["1", "3"]],
    ["pairs", ["2"]],
  ]);
});

test("arrows stop at the ends, letters go to the next title that starts so, other keys are left alone", () => {
  const titles = ["It", "Pair", "Them", "Into"];
  assert.equal(moveActive("ArrowDown", 3, titles), 3);
  assert.equal(moveActive("ArrowUp", 0, titles), 0);
  assert.equal(moveActive("ArrowDown", -1, titles), 0);
  assert.equal(moveActive("End", 0, titles), 3);
  assert.equal(moveActive("i", 0, titles), 3);
  assert.equal(moveActive("I", 3, titles), 0);
  assert.equal(moveActive("z", 0, titles), null);
  assert.equal(moveActive("Tab", 0, titles), null);
});

test("only the newest text is counted, after a pause, and an older answer that comes late is dropped", async () => {
  const asked = [];
  const answers = [];
  const counter = createCounter({
    pause: 5,
    ask: (body) => new Promise((resolve) => asked.push({ body, resolve })),
    answer: (count, body) => answers.push([count.n, body.text]),
  });
  counter.count({ text: "a" });
  counter.count({ text: "ab" }); // within the pause: "a" is never asked
  await new Promise((done) => setTimeout(done, 30));
  assert.deepEqual(
    asked.map(({ body }) => body.text),
    ["ab"],
  );
  counter.count({ text: "abc" });
  await new Promise((done) => setTimeout(done, 30));
  asked[1].resolve({ n: 3 });
  asked[0].resolve({ n: 2 }); // late
  await new Promise((done) => setTimeout(done, 5));
  assert.deepEqual(answers, [[3, "abc"]]);
});

test("a server that cannot count is answered by 'not known'; a stopped question by nothing", async () => {
  const answers = [];
  const counter = createCounter({
    pause: 1,
    ask: () => Promise.reject(new Error("410")),
    answer: (count) => answers.push(count),
  });
  counter.count({ text: "a" });
  await new Promise((done) => setTimeout(done, 20));
  assert.deepEqual(answers, [null]);
  counter.count({ text: "b" });
  counter.stop();
  await new Promise((done) => setTimeout(done, 20));
  assert.deepEqual(answers, [null]);
});
