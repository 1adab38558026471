/**
 * One head's weights as the browser knows them at this moment: exact, in two bytes, or as block maxima.
 *
 * The same head gets better as answers arrive: the overview's picture at once, then the head's own numbers, then the
 * exact line of the query under the pointer. Rows are queries, columns are keys, everywhere.
 */
import { MASKED, U2, codesOf, encodeU2, weight } from "../base/wire.js";

/** @typedef {{weights: Float32Array, scores: Float32Array | null}} Line */

export class Matrix {
  /**
   * @param {object} facts
   * @param {number} facts.nQuery  number of queries shown
   * @param {number} facts.nKey    number of keys shown
   * @param {Uint8Array | Uint16Array} facts.codes  the picture, rows × cols
   * @param {number} facts.rows
   * @param {number} facts.cols
   * @param {Float32Array | null} [facts.weights]  exact weights, NaN = masked
   * @param {Float32Array | null} [facts.scores]   q·k of every cell
   * @param {"exact" | "rounded" | "overview"} facts.quality
   * @param {import("./packs").HeadMeta | null} [facts.meta]  header of the head's answer, once it has come
   */
  constructor({ nQuery, nKey, codes, rows, cols, weights = null, scores = null, quality, meta = null }) {
    this.nQuery = nQuery;
    this.nKey = nKey;
    this.codes = codes;
    this.rows = rows;
    this.cols = cols;
    this.weights = weights;
    this.scores = scores;
    this.quality = quality;
    this.meta = meta;
    this.kind = codesOf(codes);
    // Blocks are square; the longer side tells how large they are, the shorter one may be rounded away.
    const block = Math.max(Math.ceil(nQuery / rows), Math.ceil(nKey / cols));
    this.blockQ = block;
    this.blockK = block;
    /** @type {Map<string, Line>} exact lines that were fetched: "query:3", "key:7" */
    this.lines = new Map();
    /** @type {Map<string, {codes: Uint16Array, rows: number, cols: number, row0: number, col0: number}>} */
    this.tiles = new Map();
    /** @type {Set<string>} tiles that were asked for */
    this.wanted = new Set();
    /** @type {number | undefined} */
    this.knownPeak = undefined;
  }

  /** True if every cell of the picture is one cell of the matrix. */
  get single() {
    return this.blockQ === 1 && this.blockK === 1;
  }

  /**
   * The best weight known for a cell: 0..1, NaN, or MASKED; `bound` if it is only the maximum of the cell's block.
   *
   * @param {number} query @param {number} key
   * @returns {{weight: number, score: number | null, exact: boolean, bound: boolean}}
   */
  at(query, key) {
    const line = this.lines.get(`query:${query}`);
    if (line) return cell(line.weights[key], line.scores ? line.scores[key] : null, this.nanAt(query, key));
    const column = this.lines.get(`key:${key}`);
    if (column) return cell(column.weights[query], column.scores ? column.scores[query] : null, this.nanAt(query, key));
    if (this.weights) {
      const i = query * this.nKey + key;
      return cell(this.weights[i], this.scores ? this.scores[i] : null, this.nanAt(query, key));
    }
    const tile = this.tileAt(query, key);
    if (tile) return { weight: tile.weight, score: null, exact: false, bound: false };
    return { weight: this.pictureAt(query, key), score: null, exact: false, bound: !this.single };
  }

  /** @param {number} query @param {number} key */
  pictureAt(query, key) {
    const code = this.codes[Math.floor(query / this.blockQ) * this.cols + Math.floor(key / this.blockK)];
    return weight(code, this.kind);
  }

  /** True if the picture has the sign of NaN here: exact lines have one NaN for "masked" and for "not a number". */
  nanAt(/** @type {number} */ query, /** @type {number} */ key) {
    const shown = this.pictureAt(query, key);
    return shown !== shown;
  }

  /** @param {number} query @param {number} key */
  tileAt(query, key) {
    for (const tile of this.tiles.values()) {
      const r = query - tile.row0;
      const c = key - tile.col0;
      if (r >= 0 && c >= 0 && r < tile.rows && c < tile.cols)
        return { weight: weight(tile.codes[r * tile.cols + c], U2) };
    }
    return null;
  }

  /**
   * Every weight of one query's row or one key's column; null while only block maxima are known.
   *
   * @param {"query" | "key"} axis
   * @param {number} index
   * @returns {{weights: Float32Array, scores: Float32Array | null, exact: boolean} | null}  MASKED and NaN as in `at`
   */
  line(axis, index) {
    const length = axis === "query" ? this.nKey : this.nQuery;
    const fetched = this.lines.get(`${axis}:${index}`);
    if (!fetched && !this.weights && !this.single) return null;
    const weights = new Float32Array(length);
    const scores = fetched ? fetched.scores : this.scores ? new Float32Array(length) : null;
    for (let i = 0; i < length; i++) {
      const q = axis === "query" ? index : i;
      const k = axis === "query" ? i : index;
      if (fetched) weights[i] = cell(fetched.weights[i], null, this.nanAt(q, k)).weight;
      else if (this.weights) {
        weights[i] = cell(this.weights[q * this.nKey + k], null, this.nanAt(q, k)).weight;
        if (scores) scores[i] = /** @type {Float32Array} */ (this.scores)[q * this.nKey + k];
      } else weights[i] = weight(this.codes[q * this.nKey + k], this.kind);
    }
    return { weights, scores, exact: Boolean(fetched || this.weights) };
  }

  /** Largest weight of the picture (for a colour scale of its own); 0 if there is none. */
  get peak() {
    this.knownPeak ??= peakOf(this.codes);
    return this.knownPeak;
  }
}

/**
 * NaN stands for "masked" in exact weights, unless the picture says that it is a real NaN (a row with nothing left).
 *
 * @param {number} value @param {number | null} score @param {boolean} nan
 */
function cell(value, score, nan) {
  const known = value === value ? value : nan ? NaN : MASKED;
  return { weight: known, score: known === MASKED || score !== score ? null : score, exact: true, bound: false };
}

/** @param {Uint8Array | Uint16Array} codes @returns {number} 0..1 */
export function peakOf(codes) {
  const { top } = codesOf(codes);
  let best = 0;
  for (let i = 0; i < codes.length; i++) if (codes[i] <= top && codes[i] > best) best = codes[i];
  return best / top;
}

/**
 * The matrix of a head from the overview alone.
 *
 * @param {import("./overview.js").Overview | null} overview
 * @param {number | string} layer @param {number | string} head
 * @returns {Matrix | null}
 */
export function fromOverview(overview, layer, head) {
  const found = overview?.picture(layer, head);
  if (!found) return null;
  const { codes, rows, cols, nQuery, nKey } = found;
  const whole = codes instanceof Uint16Array && rows === nQuery && cols === nKey;
  return new Matrix({ nQuery, nKey, codes, rows, cols, quality: whole ? "rounded" : "overview" });
}

/**
 * The matrix of a head from the server's answer.
 *
 * @param {import("./packs").HeadPack} pack
 * @param {Matrix | null} before  what was known (its picture tells masked cells from NaN)
 */
export function fromHead({ meta, arrays }, before) {
  const nQuery = meta.n_query;
  const nKey = meta.n_key;
  if (arrays.weights) {
    const weights = arrays.weights.data;
    const scores = arrays.scores?.data ?? null;
    const codes = encodeU2(weights);
    if (before && before.single && before.nQuery === nQuery && before.nKey === nKey) {
      for (let i = 0; i < codes.length; i++) if (before.codes[i] === before.kind.nan) codes[i] = U2.nan;
    }
    return new Matrix({ nQuery, nKey, codes, rows: nQuery, cols: nKey, weights, scores, quality: "exact", meta });
  }
  if (!arrays.picture) throw new Error("a head comes with its weights or with a picture of them; this one has neither");
  const { data: codes, shape } = arrays.picture;
  return new Matrix({ nQuery, nKey, codes, rows: shape[0], cols: shape[1], quality: "rounded", meta });
}

/**
 * Block maximum of a picture, so that one strong link stays visible however small the picture gets. A block is masked
 * only if all its cells are, and NaN if any of them is.
 *
 * @param {Uint8Array | Uint16Array} codes  rows × cols
 * @param {number} rows @param {number} cols
 * @param {number} blockR @param {number} blockC  cells per block
 * @param {{r0?: number, c0?: number, r1?: number, c1?: number}} [part]  the part to reduce; all of it if left out
 */
export function blockMax(codes, rows, cols, blockR, blockC, { r0 = 0, c0 = 0, r1 = rows, c1 = cols } = {}) {
  const { nan, masked } = codesOf(codes);
  const outRows = Math.ceil((r1 - r0) / blockR);
  const outCols = Math.ceil((c1 - c0) / blockC);
  const size = outRows * outCols;
  const out = (codes instanceof Uint16Array ? new Uint16Array(size) : new Uint8Array(size)).fill(masked);
  const column = new Uint32Array(c1 - c0);
  for (let c = 0; c < column.length; c++) column[c] = Math.floor(c / blockC);
  for (let r = r0; r < r1; r++) {
    const to = Math.floor((r - r0) / blockR) * outCols;
    const from = r * cols + c0;
    for (let c = 0; c < column.length; c++) {
      const code = codes[from + c];
      if (code === masked) continue;
      const at = to + column[c];
      const old = out[at];
      if (code === nan || old === nan) out[at] = nan;
      else if (old === masked || code > old) out[at] = code;
    }
  }
  return { codes: out, rows: outRows, cols: outCols };
}

/**
 * The strongest entries of a line and what is left over.
 *
 * @param {Float32Array} weights  MASKED and NaN are left out
 * @param {number} count
 */
export function strongestOf(weights, count) {
  /** @type {{index: number, weight: number}[]} */
  const top = [];
  let sum = 0;
  let readable = 0;
  for (let index = 0; index < weights.length; index++) {
    const w = weights[index];
    if (!(w >= 0)) continue;
    readable += 1;
    sum += w;
    if (top.length === count && w <= top[count - 1].weight) continue;
    let at = top.length;
    while (at > 0 && top[at - 1].weight < w) at -= 1;
    top.splice(at, 0, { index, weight: w });
    if (top.length > count) top.pop();
  }
  const shown = top.reduce((a, b) => a + b.weight, 0);
  return { top, rest: { weight: Math.max(sum - shown, 0), count: readable - top.length }, sum, readable };
}

/**
 * Spread in bits (0 = one key, log2(n) = uniform) and reach in tokens (weighted mean distance) of one query's row.
 *
 * @param {Float32Array} weights
 * @param {number} position  of the query
 * @param {ArrayLike<number>} positions  of the keys
 */
export function spreadAndReach(weights, position, positions) {
  let entropy = 0;
  let reach = 0;
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i];
    if (!(w > 0)) continue;
    entropy -= w * Math.log2(w);
    reach += w * Math.abs(position - positions[i]);
  }
  return { entropy: Math.max(entropy, 0), reach };
}

/**
 * Mean attention that each key receives from the queries that may read it.
 *
 * @param {Matrix} matrix
 * @returns {Float32Array | null}  null while only block maxima are known
 */
export function received(matrix) {
  if (!matrix.single) return null;
  const sums = new Float32Array(matrix.nKey);
  const counts = new Float32Array(matrix.nKey);
  const { top } = matrix.kind;
  for (let q = 0; q < matrix.nQuery; q++) {
    for (let k = 0; k < matrix.nKey; k++) {
      const code = matrix.codes[q * matrix.nKey + k];
      if (code > top) continue;
      sums[k] += code / top;
      counts[k] += 1;
    }
  }
  for (let k = 0; k < sums.length; k++) sums[k] = counts[k] ? sums[k] / counts[k] : 0;
  return sums;
}
