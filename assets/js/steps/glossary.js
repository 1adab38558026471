/**
 * Words and symbols with a one-sentence explanation, shown on hover and on focus.
 *
 * @typedef {{id: string, word: string, also: string[], symbols: string[], role?: string, says: string}} Entry
 * @typedef {{words: Map<string, Entry>, symbols: Map<string, Entry>}} Glossary
 */
import { h } from "../base/dom.js";
import { closed, opened } from "../base/popover.js";

/** @param {Entry[]} entries @returns {Glossary} */
export function glossaryOf(entries) {
  const words = new Map();
  const symbols = new Map();
  for (const entry of entries) {
    for (const word of [entry.word, ...entry.also]) words.set(word.toLowerCase(), entry);
    for (const symbol of entry.symbols) symbols.set(symbol, entry);
  }
  return { words, symbols };
}

/**
 * A text in parts: plain text, and words that the glossary has (each entry once).
 *
 * @param {string} text @param {Glossary} glossary @param {Set<string>} [seen]  entries that were explained already
 * @returns {(string | {text: string, entry: Entry})[]}
 */
export function wordsIn(text, glossary, seen = new Set()) {
  const longest = [...glossary.words.keys()].sort((a, b) => b.length - a.length).map(escaped);
  if (!longest.length) return [text];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}_-])(?:${longest.join("|")})(?![\\p{L}\\p{N}_-])`, "giu");
  return cut(text, pattern, (found) => {
    const entry = glossary.words.get(found.toLowerCase());
    if (!entry || seen.has(entry.id)) return null;
    seen.add(entry.id);
    return entry;
  });
}

/**
 * An equation in parts: plain text, and its symbols.
 *
 * @param {string} text @param {Glossary} glossary
 * @returns {(string | {text: string, entry: Entry})[]}
 */
export function symbolsIn(text, glossary) {
  return cut(
    text,
    /[\p{L}]+'?(?:_[\p{L}\p{N}]+)?/gu,
    (found) => glossary.symbols.get(found) ?? glossary.symbols.get(found.replace("'", "")) ?? null,
  );
}

/** @param {string} text @param {RegExp} pattern @param {(found: string) => Entry | null} look */
function cut(text, pattern, look) {
  /** @type {(string | {text: string, entry: Entry})[]} */
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    const entry = look(match[0]);
    if (!entry) continue;
    if (match.index > from) parts.push(text.slice(from, match.index));
    parts.push({ text: match[0], entry });
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}

/** @param {string} word */
function escaped(word) {
  return word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** One tip for the whole view: it follows whatever is hovered or focused. @param {HTMLElement} host */
export function createTip(host) {
  const tip = h("div", { class: "sl-tip", role: "tooltip", id: "sl-tip", hidden: true });
  host.append(tip);
  const hide = () => {
    tip.hidden = true;
    closed(hide);
  };
  /** @param {HTMLElement} over @param {Entry} entry */
  const show = (over, entry) => {
    tip.replaceChildren(h("b", null, entry.word), ` ${entry.says}`);
    tip.hidden = false;
    opened(hide);
    const box = over.getBoundingClientRect();
    const frame = host.getBoundingClientRect();
    const left = Math.min(Math.max(box.left - frame.left, 0), Math.max(frame.width - tip.offsetWidth, 0));
    tip.style.left = `${left}px`;
    tip.style.top = `${box.bottom - frame.top + 4}px`;
  };
  /**
   * A word or symbol with its explanation.
   *
   * @param {string} text @param {Entry} entry @param {boolean} [symbol]
   */
  const term = (text, entry, symbol = false) => {
    const element = h(
      "button",
      {
        type: "button",
        class: `sl-term${entry.role ? ` sl-${entry.role}` : ""}`,
        "aria-describedby": "sl-tip",
        onmouseenter: () => show(element, entry),
        onmouseleave: hide,
        onfocus: () => show(element, entry),
        onblur: hide,
        onclick: () => show(element, entry),
      },
      ...(symbol ? subscripted(text) : [text]),
    );
    return element;
  };
  return { term, hide };
}

/** "k_j" with a lowered j. @param {string} text @returns {(string | HTMLElement)[]} */
export function subscripted(text) {
  const at = text.indexOf("_");
  return at < 1 ? [text] : [text.slice(0, at), h("sub", null, text.slice(at + 1))];
}

/** A text in which every "_j" is lowered. @param {string} text @returns {(string | HTMLElement)[]} */
export function lowered(text) {
  return text
    .split(/(_[\p{L}\p{N}]+)/u)
    .filter(Boolean)
    .map((part) => (part.startsWith("_") && part.length > 1 ? h("sub", null, part.slice(1)) : part));
}
