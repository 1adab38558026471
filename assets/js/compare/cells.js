/**
 * Two heads on the same rows and columns, and what is said of a cell. Nothing here draws.
 *
 * @typedef {import("./packs").Place} Place
 * @typedef {"a" | "b"} Side
 * @typedef {{a: number, b: number, difference: number, ofA: number, ofB: number}} Cell
 */
import { Matrix } from "../picture/matrix.js";
import { U2 } from "../base/wire.js";

/** What a side's cell is. */
export const READ = 0;
export const MASKED = 1;
export const NOT_THERE = 2;

export class Cells {
  /** @param {import("./packs").CellsPack} pack */
  constructor({ meta, arrays }) {
    this.meta = meta;
    this.rows = meta.rows;
    this.columns = meta.columns;
    this.a = arrays.a.data;
    this.b = arrays.b.data;
    this.difference = arrays.difference.data;
    this.ofA = arrays.of_a.data;
    this.ofB = arrays.of_b.data;
    this.apart = arrays.apart.data;
    this.top = meta.top ?? 1;
    this.matrices = { a: this.matrix(this.a, this.ofA), b: this.matrix(this.b, this.ofB) };
  }

  get nRows() {
    return this.rows.length;
  }

  get nColumns() {
    return this.columns.length;
  }

  /** @param {number} row @param {number} column @returns {Cell} */
  at(row, column) {
    const i = row * this.nColumns + column;
    return { a: this.a[i], b: this.b[i], difference: this.difference[i], ofA: this.ofA[i], ofB: this.ofB[i] };
  }

  /** A side's weights as a picture. @param {Float32Array} weights @param {Uint8Array} kinds */
  matrix(weights, kinds) {
    const codes = new Uint16Array(weights.length);
    for (let i = 0; i < codes.length; i++) {
      const w = weights[i];
      codes[i] = kinds[i] ? U2.masked : w === w ? Math.round(Math.min(Math.max(w, 0), 1) * U2.top) : U2.nan;
    }
    const [nQuery, nKey] = [this.nRows, this.nColumns];
    return new Matrix({ nQuery, nKey, codes, rows: nQuery, cols: nKey, quality: "rounded" });
  }

  /**
   * The difference as one-byte codes: 127 is 0, `top` is as far as they go.
   * @param {number} top
   */
  signed(top) {
    const codes = new Uint8Array(this.difference.length);
    for (let i = 0; i < codes.length; i++) {
      const d = this.difference[i];
      const both = this.ofA[i] !== NOT_THERE && this.ofB[i] !== NOT_THERE && (!this.ofA[i] || !this.ofB[i]);
      codes[i] = !both ? 255 : d === d ? 127 + Math.round(Math.min(Math.max(d / (top || 1), -1), 1) * 126) : 254;
    }
    return codes;
  }

  /**
   * The row or column in which a token stands: A's, or B's where A has none.
   * @param {Place[]} places @param {number | null | undefined} a @param {number | null | undefined} b
   */
  placeOf(places, a, b) {
    const at = places.findIndex((place) =>
      a !== null && a !== undefined ? place.i.includes(a) : b !== null && b !== undefined && place.j.includes(b),
    );
    return at < 0 ? null : at;
  }
}

/** 0.314 → "+0.31", −0.2 → "−0.20"; "" where there is none. @param {number} x */
export function signed(x) {
  if (x !== x) return "";
  const text = Math.abs(x).toFixed(2);
  return text === "0.00" ? "0.00" : `${x > 0 ? "+" : "−"}${text}`;
}

/** Which of the two has more. @param {number} x */
export function more(x) {
  if (x !== x) return "only one side has it";
  if (Math.abs(x) < 0.005) return "the same";
  return x > 0 ? "more in A" : "more in B";
}

/** A side's number, or why there is none. @param {number} value @param {number} kind @param {string} name */
export function numberOf(value, kind, name) {
  if (kind === NOT_THERE) return `not in ${name}`;
  if (kind === MASKED) return "masked";
  return value === value ? value.toFixed(2) : "not a number";
}

/** A place in words: “bank”, or “river” in A and “city” in B. @param {Place} place */
export function nameOf({ a, b, same }) {
  if (a === null) return `“${b}” (B only)`;
  if (b === null) return `“${a}” (A only)`;
  return same || a === b ? `“${a}”` : `“${a}” in A, “${b}” in B`;
}

/** A side's label of a place. @param {Place} place @param {Side | "both"} side */
export function labelOf(place, side) {
  if (side !== "both") return place[side] ?? "–";
  if (place.a === null || place.b === null) return `${place.a ?? place.b} (${place.a === null ? "B" : "A"})`;
  return place.same || place.a === place.b ? place.a : `${place.a}/${place.b}`;
}

/**
 * A cell, a row or a column in a sentence.
 * @param {Cells} cells @param {{query: number | null, key: number | null}} mark
 */
export function sentence(cells, { query, key }) {
  if (query !== null && key !== null) {
    const cell = cells.at(query, key);
    const both = cell.difference === cell.difference;
    const tail = both ? `; A − B ${signed(cell.difference)}, ${more(cell.difference)}` : "; no difference";
    return (
      `${nameOf(cells.rows[query])} looks at ${nameOf(cells.columns[key])}: ` +
      `A ${numberOf(cell.a, cell.ofA, "A")}, B ${numberOf(cell.b, cell.ofB, "B")}${tail}`
    );
  }
  if (query !== null) {
    const apart = cells.apart[query];
    const says = apart === apart ? `${apart.toFixed(2)} of its attention lies elsewhere` : "only one side has this row";
    return `${nameOf(cells.rows[query])}: ${says}`;
  }
  return key !== null ? `${nameOf(cells.columns[key])} as it is looked at` : "";
}

/**
 * Columns of a row, the largest differences first; what only one side has comes last.
 * @param {Cells} cells @param {number} row
 */
export function ranked(cells, row) {
  const size = (/** @type {number} */ column) => {
    const d = Math.abs(cells.at(row, column).difference);
    return d === d ? d : -1;
  };
  return Array.from({ length: cells.nColumns }, (_, i) => i).sort((x, y) => size(y) - size(x) || x - y);
}

/**
 * Pairs put together by hand, with one more; those that it crosses, or that hold one of its tokens, are taken apart.
 * @param {string} fixed "3-4_6-5" @param {number} a @param {number} b
 */
export function fixedWith(fixed, a, b) {
  const kept = pairsIn(fixed).filter(([i, j]) => (i < a && j < b) || (i > a && j > b));
  return [...kept, /** @type {[number, number]} */ ([a, b])]
    .sort(([i], [j]) => i - j)
    .map((pair) => pair.join("-"))
    .join("_");
}

/** @param {string} fixed @returns {[number, number][]} */
export function pairsIn(fixed) {
  if (!fixed) return [];
  return fixed.split("_").map((part) => /** @type {[number, number]} */ (part.split("-").map(Number)));
}

/**
 * Layer and head of each place in a list over all heads.
 * @param {{n_heads: number}[]} layers @param {number} at
 */
export function headAt(layers, at) {
  for (let layer = 0; layer < layers.length; layer++) {
    if (at < layers[layer].n_heads) return { layer, head: at };
    at -= layers[layer].n_heads;
  }
  return null;
}

/**
 * The place of a head in such a list.
 * @param {{n_heads: number}[]} layers @param {number} layer @param {number} head
 */
export function indexOf(layers, layer, head) {
  return layers.slice(0, layer).reduce((sum, one) => sum + one.n_heads, head);
}
