import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { meaning, signOf, unknown } from "../../../assets/js/explore/first/signs.js";

const entries = JSON.parse(readFileSync(new URL("../../../assets/lessons/glossary.json", import.meta.url), "utf8"));
/** @param {string} t @param {0 | 1} s */
const token = (t, s = 0) => ({ t, i: 0, p: [0], s });

test("marks, blanks and joins say what they are", () => {
  assert.match(meaning([token("[CLS]", 1)], entries), /^\[CLS\]: A mark that the model puts before every text/);
  assert.match(meaning([token("[SEP]", 1)], entries), /where a text ends/);
  assert.match(meaning([token("[UNK]")], entries), /not in this model's vocabulary/);
  assert.match(meaning([token("‿ing")], entries), /^‿: Joins a piece/);
  assert.match(meaning([token("·fish")], entries), /^·: The blank before a word/);
  assert.match(meaning([token("<2de>", 1)], entries), /^<2de>: A mark that the model's tokenizer adds/);
});

test("a plain word, and what only looks like a mark, says nothing", () => {
  assert.equal(meaning([token("animal")], entries), "");
  assert.equal(signOf(token("[x]")), "");
  assert.equal(meaning([token("<b>")], entries), "");
});

test("signs that the vocabulary does not have are counted", () => {
  assert.equal(unknown([token("[UNK]"), token("a"), token("<unk>")]), "2 signs are not in this model’s vocabulary.");
  assert.equal(unknown([token("a"), token("[UNK]")]), "1 sign is not in this model’s vocabulary.");
  assert.equal(unknown([token("[CLS]", 1), token("a")]), "");
});

test("every sign has one entry", () => {
  const signs = entries.flatMap((/** @type {{signs?: string[]}} */ entry) => entry.signs ?? []);
  assert.equal(new Set(signs).size, signs.length);
  for (const sign of ["[CLS]", "[SEP]", "[UNK]", "[MASK]", "·", "##"]) assert.ok(signs.includes(sign), sign);
});
