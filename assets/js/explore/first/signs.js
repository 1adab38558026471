/**
 * What the signs in and around tokens mean ([CLS], a blank, a join), from the glossary, which is fetched when the first
 * of them is pointed at.
 *
 * @typedef {import("../../picture/overview.js").Token} Token
 * @typedef {{id: string, signs?: string[], says: string}} Entry
 */
import { asset } from "../../base/addresses.js";

/** Signs that begin a token or stand for one. */
const WITHIN = ["·", "‿", "⏎", "⇥"];
/** What stands for a sign that is not known. */
const UNKNOWN = ["[UNK]", "<unk>"];

/** The sign that this token is, or bears; "" if it bears none. @param {Token} token */
export function signOf({ t, s }) {
  if (s || /^(\[[A-Z]+\]|<[^<>\s]+>)$/.test(t)) return t;
  return WITHIN.find((sign) => t.startsWith(sign)) ?? "";
}

/**
 * What the glossary says of the first of these tokens that is a sign, or bears one.
 * @param {Token[]} tokens
 * @param {Entry[]} entries
 */
export function meaning(tokens, entries) {
  for (const token of tokens) {
    const sign = signOf(token);
    if (!sign) continue;
    const entry =
      entries.find(({ signs }) => signs?.includes(sign)) ??
      (token.s ? entries.find(({ id }) => id === "special") : undefined);
    if (entry) return `${token.t.length > 1 && !WITHIN.includes(sign) ? token.t : sign}: ${entry.says}`;
  }
  return "";
}

/**
 * How many signs of a text the model's vocabulary does not have, as a sentence; "" if it has them all.
 * @param {Token[]} tokens
 */
export function unknown(tokens) {
  const n = tokens.filter(({ t }) => UNKNOWN.includes(t)).length;
  return n ? `${n} sign${n === 1 ? " is" : "s are"} not in this model’s vocabulary.` : "";
}

/** @param {() => void} arrived  called when the glossary has come */
export function createSigns(arrived) {
  /** @type {Entry[]} */
  let entries = [];
  let asked = false;
  return {
    /** @param {Token[]} tokens */
    of(tokens) {
      if (!asked && tokens.some(signOf)) {
        asked = true;
        fetch(asset("lessons/glossary.json"))
          .then((answer) => answer.json())
          .then((found) => {
            entries = found;
            arrived();
          })
          .catch(() => {}); // the signs stay signs
      }
      return meaning(tokens, entries);
    },
  };
}
