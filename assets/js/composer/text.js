/**
 * The text box's arithmetic on strings: what fits, what is counted, what is said about it. No DOM.
 */

/**
 * @typedef {object} Example one sentence of the gallery
 * @property {string} id
 * @property {string} title
 * @property {string} text
 * @property {string} [pair] second sentence
 * @property {string} [target] what the decoder has written
 * @property {string} look_for one line: what to look for in the picture
 * @property {string} topic
 */

/**
 * @typedef {object} Count the server's exact answer for one text
 * @property {number|null} n tokens, special ones included; null: not known yet
 * @property {number|null} limit how many the model reads; null: no limit known
 * @property {number|null} [cut_from] character of the text from which nothing is read; null: everything is
 * @property {number} [specials] how many of n the tokenizer adds
 * @property {boolean} [more] the text is longer than was counted: n is of its beginning
 */

export const MAX_CHARACTERS = 100_000; // the same as the server's: longer texts are cut
export const MAX_COUNTED_BYTES = 200_000; // the same as the server's: longer questions are not asked while typing

const number = new Intl.NumberFormat("en");

/** A string that survives JSON and UTF-8: a lone half of a surrogate pair becomes U+FFFD. @param {string} text */
export function wellFormed(text) {
  if (typeof text.toWellFormed === "function") return text.toWellFormed();
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
}

/**
 * The first `max` UTF-16 units, never half a character.
 * @param {string} text
 * @returns {{text: string, dropped: number}} what is kept, and how many units were not
 */
export function clip(text, max = MAX_CHARACTERS) {
  if (text.length <= max) return { text, dropped: 0 };
  const splitsPair = /[\uD800-\uDBFF]/.test(text[max - 1]) && /[\uDC00-\uDFFF]/.test(text[max]);
  const kept = text.slice(0, splitsPair ? max - 1 : max);
  return { text: kept, dropped: text.length - kept.length };
}

/** @param {number} kept @param {number} dropped */
export function clipSentence(kept, dropped) {
  const rest = dropped === 1 ? "1 more was" : `${number.format(dropped)} more were`;
  return `Only the first ${number.format(kept)} characters are kept; ${rest} left out.`;
}

/** Nothing a tokenizer could read. @param {string} text */
export function isBlank(text) {
  return text.trim() === "";
}

/** Whether a question is short enough to be asked while somebody types. @param {object} body */
export function isCountable(body) {
  return new TextEncoder().encode(JSON.stringify(body)).length <= MAX_COUNTED_BYTES;
}

/**
 * What the line under the box says.
 * @param {Count|null} count null: not known
 * @param {boolean} [later] counted from a later place than the text's beginning
 * @returns {{words: string, over: boolean}}
 */
export function countWords(count, later = false) {
  if (!count) return { words: "", over: false };
  const { n, limit } = count;
  if (n === null) return { words: "", over: false };
  const tokens = n === 1 ? "token" : "tokens";
  const all = `${count.more ? "more than " : ""}${number.format(n)}`;
  if (limit === null || limit === undefined) return { words: `${all} ${tokens}`, over: false };
  const over = n > limit;
  const words = over
    ? `${number.format(limit)} of ${all} tokens${later ? " from there on" : ""} fit; the rest is not read`
    : `${number.format(n)} of ${number.format(limit)} tokens`;
  return { words, over };
}

/**
 * The words on both sides of the cut, so that it can be found in a long text.
 * @param {string} text
 * @param {number} cut index from which nothing is read; the text's length: it is read to its end
 * @param {number} [start] index from which it is read
 */
export function cutWords(text, cut, start = 0, around = 24) {
  const ahead = (/** @type {number} */ from) => {
    const words = text.slice(from, from + around).trim();
    return `“${words}${from + around < text.length ? "…" : ""}”`;
  };
  const begins = start > 0 ? `Read from ${ahead(start)}` : "Read";
  if (cut >= text.length) return `${begins} to the end.`;
  const before = text.slice(Math.max(0, cut - around), cut).trimStart();
  return `${begins} up to “${cut > around ? "…" : ""}${before}”, not from ${ahead(cut)}.`;
}

/** Each window begins this share of its length before the last one ends, so that no sentence is read in halves only. */
const OVERLAP = 1 / 8;

/**
 * Where the window after this one begins: before its end, at the beginning of a word.
 * @param {string} text
 * @param {number} start index from which the model reads now
 * @param {number} cut index from which it does not read
 */
export function nextStart(text, start, cut) {
  const at = wordStart(text, Math.ceil(cut - OVERLAP * (cut - start)));
  return at > start ? at : cut; // one word as long as the window
}

/**
 * Where the window before this one begins; near the text's beginning, there.
 * @param {string} text
 * @param {number} start index from which the model reads now
 * @param {number} length of a window
 */
export function previousStart(text, start, length) {
  const at = Math.floor(start - (1 - OVERLAP) * length);
  return at < OVERLAP * length ? 0 : wordStart(text, at);
}

/** The beginning of the word at `index`. @param {string} text @param {number} index */
function wordStart(text, index) {
  while (index > 0 && !/\s/.test(text[index - 1])) index--;
  return index;
}

/** How Python counts: characters, not UTF-16 units. @param {string} text @param {number} index */
export const charactersBefore = (text, index) => [...text.slice(0, index)].length;

/** Index of the character that Python calls `n`. @param {string} text @param {number} n */
export function indexOf(text, n) {
  let index = 0;
  for (const character of text) {
    if (n-- <= 0) break;
    index += character.length;
  }
  return index;
}

/**
 * What to look for in these texts, if they are one of the gallery's; with another decoder text other heads do it.
 * @param {Example[]} examples @param {string} text
 */
export function lookFor(examples, text, pair = "", target = "") {
  const same = (/** @type {Example} */ e) => e.text === text && (e.pair ?? "") === pair && (e.target ?? "") === target;
  return examples.find(same)?.look_for ?? "";
}

/**
 * The gallery by topic, both in order of appearance.
 * @param {Example[]} examples
 * @returns {{topic: string, examples: Example[]}[]}
 */
export function byTopic(examples) {
  const groups = new Map();
  for (const example of examples) groups.set(example.topic, [...(groups.get(example.topic) ?? []), example]);
  return [...groups].map(([topic, members]) => ({ topic, examples: members }));
}

/**
 * Where a key moves the active option of a list; null if the key means nothing to a list.
 * @param {string} key as in KeyboardEvent.key
 * @param {number} active index, -1 for none
 * @param {string[]} titles
 */
export function moveActive(key, active, titles) {
  const last = titles.length - 1;
  if (key === "ArrowDown") return Math.min(active + 1, last);
  if (key === "ArrowUp") return Math.max(active - 1, 0);
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key.length !== 1 || key === " ") return null;
  const starts = (/** @type {string} */ title) => title.toLowerCase().startsWith(key.toLowerCase());
  for (let step = 1; step <= titles.length; step++) {
    const index = (active + step) % titles.length;
    if (starts(titles[index])) return index;
  }
  return null;
}
