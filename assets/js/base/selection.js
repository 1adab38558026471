/**
 * What is chosen: the head, the cell under the pointer and the pinned one. A pure reducer; nothing here draws.
 *
 * A mark is a query, a key, or both (a cell), as positions among the tokens shown. Hover has priority over the pin
 * while it lasts.
 *
 * @typedef {{query: number | null, key: number | null}} Mark
 * @typedef {number | "mean" | "max"} Head
 * @typedef {{layer: number | string, head: Head, hover: Mark | null, pin: Mark | null, cursor: Mark | null}} Selection
 * @typedef {{type: "choose", layer: number | string, head: Head, keepPin?: boolean}
 *   | {type: "hover", query?: number | null, key?: number | null}
 *   | {type: "leave"}
 *   | {type: "pin", query?: number | null, key?: number | null}
 *   | {type: "place", pin: Mark | null}
 *   | {type: "release"}
 *   | {type: "step", dq: number, dk: number, nQuery: number, nKey: number}
 *   | Jump} Action
 * @typedef {{type: "jump", to: "row start" | "row end" | "start" | "end", nQuery: number, nKey: number}} Jump
 */

/** @param {number | string} layer @param {Head} head @returns {Selection} */
export function initial(layer = 0, head = 0) {
  return { layer, head, hover: null, pin: null, cursor: null };
}

/** What every picture marks: the hover while it lasts, else the pin. @param {Selection} state @returns {Mark | null} */
export function active(state) {
  return state.hover ?? state.pin;
}

/** @param {Mark | null} a @param {Mark | null} b */
export function same(a, b) {
  return a === b || (a !== null && b !== null && a.query === b.query && a.key === b.key);
}

/**
 * @param {Selection} state
 * @param {Action} action
 * @returns {Selection}  the same object if nothing changes
 */
export function reduce(state, action) {
  switch (action.type) {
    case "choose": {
      if (action.layer === state.layer && action.head === state.head) return state;
      const pin = action.keepPin === false ? null : state.pin;
      return { ...state, layer: action.layer, head: action.head, pin, hover: null };
    }
    case "hover": {
      const hover = mark(action);
      return same(hover, state.hover) ? state : { ...state, hover };
    }
    case "leave":
      return state.hover === null ? state : { ...state, hover: null };
    case "pin": {
      const pin = mark(action);
      return same(pin, state.pin) ? { ...state, pin: null } : { ...state, pin, cursor: pin };
    }
    case "place":
      return same(action.pin, state.pin) ? state : { ...state, pin: action.pin };
    case "release":
      // One thing at a time: the cell that the keys have walked to, then the pin.
      if (state.pin && state.hover && same(state.hover, state.cursor) && !same(state.hover, state.pin))
        return { ...state, hover: null };
      return state.pin === null && state.hover === null ? state : { ...state, pin: null, hover: null };
    case "step":
    case "jump": {
      const { dq, dk } = action.type === "step" ? action : { dq: 0, dk: 0 };
      const from = start(state, dq, dk);
      const cursor = action.type === "step" ? from : jump(from, action);
      const query = clamp(cursor.query + dq, action.nQuery);
      const key = clamp(cursor.key + dk, action.nKey);
      return { ...state, hover: { query, key }, cursor: { query, key } };
    }
    default:
      return state;
  }
}

/** @param {{query?: number | null, key?: number | null}} action @returns {Mark | null} */
function mark({ query = null, key = null }) {
  return query === null && key === null ? null : { query, key };
}

/**
 * Where the keyboard starts: at the marked cell; without one, just outside the first, so that one step enters it.
 * @param {Selection} state
 * @param {number} dq
 * @param {number} dk
 */
function start(state, dq, dk) {
  const from = active(state) ?? state.cursor;
  if (!from) return { query: dq ? Math.min(-dq, 0) : 0, key: dk ? Math.min(-dk, 0) : 0 };
  return { query: from.query ?? 0, key: from.key ?? 0 };
}

function jump(/** @type {{query: number, key: number}} */ from, /** @type {Jump} */ { to, nQuery, nKey }) {
  if (to === "row start") return { query: from.query, key: 0 };
  if (to === "row end") return { query: from.query, key: nKey - 1 };
  return to === "start" ? { query: 0, key: 0 } : { query: nQuery - 1, key: nKey - 1 };
}

function clamp(/** @type {number} */ x, /** @type {number} */ n) {
  return Math.min(Math.max(x, 0), Math.max(n - 1, 0));
}

/**
 * Carry a mark over to another list of tokens (tokens hidden, words for pieces): the same original token, if it is
 * still shown.
 *
 * @param {number | null} index  original token index
 * @param {{i: number, p: number[]}[]} tokens
 * @returns {number | null}  position among the tokens shown
 */
export function positionOf(index, tokens) {
  if (index === null || index === undefined) return null;
  const at = tokens.findIndex((token) => token.p.includes(index));
  return at < 0 ? null : at;
}

/**
 * The original index of a shown token, as Python and the link know it.
 * @param {number | null} at
 * @param {{i: number}[]} tokens
 */
export function originalOf(at, tokens) {
  return at === null || !tokens[at] ? null : tokens[at].i;
}

/**
 * The original index of a pinned token, if it is still the same token among the new ones.
 *
 * @param {number | null} at  position among the old tokens
 * @param {{i: number, p: number[], t: string}[]} before @param {{i: number, p: number[], t: string}[]} after
 * @param {boolean} sameTexts  false where words replace pieces or the other way round: then the text may differ
 */
export function carried(at, before, after, sameTexts) {
  const index = originalOf(at, before);
  const to = positionOf(index, after);
  if (at === null || to === null) return null;
  return sameTexts && after[to].t !== before[at].t ? null : index;
}
